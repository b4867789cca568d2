#include "wire.h"

#include <cstring>
#include <memory>
#include <new>

#include "payload.h"
#include "sha256.h"

namespace crispcast {
namespace {

constexpr size_t kMaxPlanBytes = 4u << 20;
constexpr size_t kHeaderBytes = 12;
constexpr uint32_t kMaxValueChannels = 8192;
constexpr uint64_t kMaxWeights = 4194304;
constexpr int kMaxRadius = 64;

uint32_t crc32(const uint8_t* bytes, size_t size) {
    uint32_t table[256];
    for (uint32_t i = 0; i < 256; ++i) {
        uint32_t c = i;
        for (int k = 0; k < 8; ++k) c = (c & 1) ? 0xedb88320u ^ (c >> 1) : c >> 1;
        table[i] = c;
    }
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < size; ++i) crc = table[(crc ^ bytes[i]) & 255] ^ (crc >> 8);
    return ~crc;
}

uint32_t little_endian_32(const uint8_t* p) {
    return uint32_t(p[0]) | uint32_t(p[1]) << 8 | uint32_t(p[2]) << 16 | uint32_t(p[3]) << 24;
}

// Reads the op table; keeps the first thing that went wrong and gives zeros after it.
struct Cursor {
    const uint8_t* next;
    const uint8_t* end;
    crispcast_status status = CRISPCAST_OK;

    uint32_t byte() {
        if (next != end) return *next++;
        if (status == CRISPCAST_OK) status = CRISPCAST_ERROR_PLAN_TRUNCATED;
        return 0;
    }

    uint32_t varint() {
        uint64_t value = 0;
        for (int i = 0; i < 5; ++i) {
            const uint32_t b = byte();
            value |= uint64_t(b & 127) << (7 * i);
            if (!(b & 128)) {
                if (value > 0xffffffffu) break;
                return uint32_t(value);
            }
        }
        if (status == CRISPCAST_OK) status = CRISPCAST_ERROR_PLAN_VARINT;
        return 0;
    }
};

crispcast_status read_layer(Cursor& in, Plan& plan, Layer& layer) {
    layer.kernel = int(in.byte());
    layer.source_count = int(in.byte());
    if (in.status != CRISPCAST_OK) return in.status;
    if (layer.kernel != 1 && layer.kernel != 3 && layer.kernel != 5)
        return CRISPCAST_ERROR_PLAN_KERNEL;
    if (layer.source_count < 1 || layer.source_count > kMaxSources)
        return CRISPCAST_ERROR_PLAN_SOURCES;
    for (int i = 0; i < layer.source_count; ++i) {
        const uint32_t id = in.varint();
        if (in.status != CRISPCAST_OK) return in.status;
        if (id >= uint32_t(plan.value_count)) return CRISPCAST_ERROR_PLAN_SOURCES;
        layer.sources[i] = int(id);
        layer.cin += plan.values[id].channels;
    }
    if (layer.cin > kMaxChannels) return CRISPCAST_ERROR_PLAN_LIMIT;

    const uint32_t cout = in.varint();
    const uint32_t block = in.byte();
    const uint32_t flags = in.byte();
    if (in.status != CRISPCAST_OK) return in.status;
    if (cout < 1 || cout > uint32_t(kMaxChannels)) return CRISPCAST_ERROR_PLAN_CHANNELS;
    if (block != 1 && block != 4 && block != 8) return CRISPCAST_ERROR_PLAN_BLOCK;
    // Bit 3 only says where the residual of bit 2 goes, bit 6 what the codes of bit 5 are.
    if ((flags & ~127u) || ((flags & 8) && !(flags & 4)) || ((flags & 64) && !(flags & 32)))
        return CRISPCAST_ERROR_PLAN_LAYER_FLAGS;
    layer.cout = int(cout);
    layer.block = int(block);
    layer.activation = Activation(flags & 3);
    layer.has_residual = flags & 4;
    layer.residual_after = flags & 8;
    layer.dense = flags & 16;
    if (layer.has_residual) {
        const uint32_t id = in.varint();
        if (in.status != CRISPCAST_OK) return in.status;
        if (id >= uint32_t(plan.value_count) || plan.values[id].channels != layer.cout)
            return CRISPCAST_ERROR_PLAN_RESIDUAL;
        layer.residual = int(id);
    }
    layer.bits = int(in.byte());
    if (in.status != CRISPCAST_OK) return in.status;
    if (layer.bits < 2 || layer.bits > 8) return CRISPCAST_ERROR_PLAN_BITS;
    layer.has_codes = flags & 32;
    if (layer.has_codes) layer.codes = {grid_value(int(in.byte())), flags & 64 ? 128 : 0};
    if (in.status != CRISPCAST_OK) return in.status;

    plan.values[plan.value_count].codes = layer.codes;
    plan.values[plan.value_count++].channels = layer.cout;
    plan.dense_count += uint64_t(layer.cin) * layer.cout * layer.kernel * layer.kernel;
    return CRISPCAST_OK;
}

// Codes are the output of every layer but the last, or of none; a layer's sources agree in them.
bool codes_agree(const Plan& plan) {
    for (int l = 0; l < plan.layer_count; ++l) {
        const Layer& layer = plan.layers[l];
        const bool last = l == plan.layer_count - 1;
        if (layer.has_codes != (plan.coded && !last)) return false;
        const Codes& first = plan.values[layer.sources[0]].codes;
        for (int s = 1; plan.coded && s < layer.source_count; ++s) {
            const Codes& other = plan.values[layer.sources[s]].codes;
            if (first.unit != other.unit || first.zero != other.zero) return false;
        }
    }
    return true;
}

crispcast_status check_limits(const Plan& plan) {
    uint32_t channels = 0;
    for (int v = 0; v < plan.value_count; ++v) channels += uint32_t(plan.values[v].channels);
    if (channels > kMaxValueChannels || plan.dense_count > kMaxWeights)
        return CRISPCAST_ERROR_PLAN_LIMIT;

    int depth[kMaxValues] = {};
    for (int l = 0; l < plan.layer_count; ++l) {
        const Layer& layer = plan.layers[l];
        int deepest = 0;
        for (int i = 0; i < layer.source_count; ++i) {
            const int d = depth[layer.sources[i]] + layer.kernel / 2;
            deepest = d > deepest ? d : deepest;
        }
        if (layer.has_residual && depth[layer.residual] > deepest) deepest = depth[layer.residual];
        if (deepest > kMaxRadius) return CRISPCAST_ERROR_PLAN_LIMIT;
        depth[plan.input_count + l] = deepest;
    }
    return CRISPCAST_OK;
}

crispcast_status read_op_table(Cursor& in, Plan& plan) {
    plan.scale = int(in.byte());
    const uint32_t inputs = in.byte();
    const uint32_t base = in.byte();
    const uint32_t layers = in.varint();
    if (in.status != CRISPCAST_OK) return in.status;
    if (plan.scale < 1 || plan.scale > 4) return CRISPCAST_ERROR_PLAN_SCALE;
    if (!(inputs & 1) || (inputs & ~7u)) return CRISPCAST_ERROR_PLAN_INPUTS;
    if (base > 1) return CRISPCAST_ERROR_PLAN_BASE;
    if (layers < 1 || layers > uint32_t(kMaxLayers)) return CRISPCAST_ERROR_PLAN_LAYERS;
    plan.bicubic_base = base == 1;
    for (int i = 0; i < kMaxInputs; ++i) {
        if (!(inputs >> i & 1)) continue;
        plan.inputs[plan.input_count++] = Input(i);
        plan.values[plan.value_count++].channels =
            Input(i) == Input::plate ? plan.scale * plan.scale : 1;
    }
    for (plan.layer_count = 0; plan.layer_count < int(layers); ++plan.layer_count) {
        const crispcast_status status = read_layer(in, plan, plan.layers[plan.layer_count]);
        if (status != CRISPCAST_OK) return status;
    }
    if (plan.output().channels != plan.scale * plan.scale) return CRISPCAST_ERROR_PLAN_OUTPUT;
    plan.coded = plan.layers[0].has_codes;
    if (!codes_agree(plan)) return CRISPCAST_ERROR_PLAN_CODES;
    return check_limits(plan);
}

}  // namespace

crispcast_status read_header(const uint8_t* bytes, size_t size, const uint8_t** base) {
    *base = nullptr;
    if (size < 4 || std::memcmp(bytes, "CCPL", 4) != 0) return CRISPCAST_ERROR_PLAN_MAGIC;
    if (size < kHeaderBytes) return CRISPCAST_ERROR_PLAN_TRUNCATED;
    if (size > kMaxPlanBytes) return CRISPCAST_ERROR_PLAN_SIZE;
    if (bytes[4] != 1 || bytes[5] > 1) return CRISPCAST_ERROR_PLAN_VERSION;
    // Version 1.0 is a full plan, 1.1 a difference.
    if (bytes[6] != bytes[5] || bytes[7]) return CRISPCAST_ERROR_PLAN_FLAGS;
    if (bytes[6] == 0) return CRISPCAST_OK;
    if (size < kHeaderBytes + CRISPCAST_BASE_ID_BYTES) return CRISPCAST_ERROR_PLAN_TRUNCATED;
    *base = bytes + kHeaderBytes;
    return CRISPCAST_OK;
}

namespace {

bool same_shapes(const Plan& plan, const Plan& base) {
    if (plan.layer_count != base.layer_count) return false;
    for (int l = 0; l < plan.layer_count; ++l) {
        const Layer &one = plan.layers[l], &other = base.layers[l];
        if (one.kernel != other.kernel || one.cin != other.cin || one.cout != other.cout)
            return false;
    }
    return true;
}

// A whole plan behind its header; `base` is what a difference is to, `numbers` what to keep.
crispcast_status read_body(const uint8_t* bytes, size_t size, size_t begin, Plan& plan,
                           const Plan* base_plan, const Numbers* base, Numbers* numbers) {
    if (little_endian_32(bytes + 8) != crc32(bytes + kHeaderBytes, size - kHeaderBytes))
        return CRISPCAST_ERROR_PLAN_CRC;
    Cursor in{bytes + begin, bytes + size};
    const crispcast_status status = read_op_table(in, plan);
    if (status != CRISPCAST_OK) return status;
    if (base_plan != nullptr && !same_shapes(plan, *base_plan))
        return CRISPCAST_ERROR_PLAN_BASE_SHAPE;
    return read_payload(in.next, size_t(in.end - in.next), plan, base, numbers);
}

crispcast_status read_difference(Bytes wire, const uint8_t* id, Bytes base, Plan& plan) {
    uint8_t digest[32];
    if (base.data == nullptr) return CRISPCAST_ERROR_PLAN_NEEDS_BASE;
    sha256(base.data, base.size, digest);
    if (std::memcmp(digest, id, CRISPCAST_BASE_ID_BYTES) != 0)
        return CRISPCAST_ERROR_PLAN_NEEDS_BASE;
    const uint8_t* id_of_base;
    crispcast_status status = read_header(base.data, base.size, &id_of_base);
    if (status != CRISPCAST_OK) return status;
    if (id_of_base != nullptr) return CRISPCAST_ERROR_PLAN_BASE_SHAPE;  // no chains
    const std::unique_ptr<Plan> base_plan(new (std::nothrow) Plan);
    const std::unique_ptr<Numbers> numbers(new (std::nothrow) Numbers);
    if (base_plan == nullptr || numbers == nullptr) return CRISPCAST_ERROR_MEMORY;
    status =
        read_body(base.data, base.size, kHeaderBytes, *base_plan, nullptr, nullptr, numbers.get());
    if (status != CRISPCAST_OK) return status;
    return read_body(wire.data, wire.size, kHeaderBytes + CRISPCAST_BASE_ID_BYTES, plan,
                     base_plan.get(), numbers.get(), nullptr);
}

}  // namespace

crispcast_status read_wire(Bytes wire, Bytes base, Plan& plan) {
    const uint8_t* id;
    const crispcast_status status = read_header(wire.data, wire.size, &id);
    if (status != CRISPCAST_OK) return status;
    if (id != nullptr) return read_difference(wire, id, base, plan);
    return read_body(wire.data, wire.size, kHeaderBytes, plan, nullptr, nullptr, nullptr);
}

}  // namespace crispcast
