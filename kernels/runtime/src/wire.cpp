#include "wire.h"

#include <cmath>

#include "range_decoder.h"

namespace crispcast {
namespace {

constexpr size_t kMaxPlanBytes = 4u << 20;
constexpr size_t kHeaderBytes = 12;
constexpr uint32_t kMaxValueChannels = 8192;
constexpr uint64_t kMaxWeights = 4194304;
constexpr int kMaxRadius = 64;
constexpr uint32_t kMaxCodeSum = 65535;  // codes up to 255 then sum up to less than 2^24

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

// The value of a place on the grid of steps and weight scales: eighths of an octave.
float grid_value(int place) {
    return std::ldexp(float(std::exp2((place & 7) / 8.0)), (place >> 3) - 24);
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
    if (plan.scale < 2 || plan.scale > 4) return CRISPCAST_ERROR_PLAN_SCALE;
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

struct Contexts {
    BitContext scale[256], half_high[256], half_low[256];
    BitContext mask[27];
    BitContext zero[4], length[4][7], second[9], third[9][2];
};

// False: an infinity or a NaN.
bool read_half(RangeDecoder& in, Contexts& contexts, float& value) {
    const int high = in.tree(contexts.half_high);
    const int half = high << 8 | in.tree(contexts.half_low);
    const int exponent = half >> 10 & 31, fraction = half & 1023;
    if (exponent == 31) return false;
    const float size = exponent == 0 ? std::ldexp(float(fraction), -24)
                                     : std::ldexp(float(fraction + 1024), exponent - 25);
    value = half & 0x8000 ? -size : size;
    return true;
}

int bit_length(int value) {
    int n = 0;
    for (; value; value >>= 1) ++n;
    return n;
}

// One weight of `bits` bits; `s` as in the document.
int read_weight(RangeDecoder& in, Contexts& contexts, int bits, int s) {
    const int c = s < 6 ? 0 : s < 9 ? 1 : s < 11 ? 2 : 3;
    if (in.bit(contexts.zero[c])) return 0;
    const bool negative = in.bypass();
    int more = 0;  // bits below the leading one
    while (more < bits - 2 && in.bit(contexts.length[c][more])) ++more;
    const int n = more + 1;
    int size = 1;
    for (int i = 0; i < more; ++i) {
        int bit;
        if (i == 0) {
            bit = in.bit(contexts.second[n]);
        } else if (i == 1) {
            bit = in.bit(contexts.third[n][size & 1]);
        } else {
            bit = in.bypass();
        }
        size = size << 1 | bit;
    }
    return negative ? -size : size;
}

int tap_position(int kernel, int ky, int kx) {
    const int dy = std::abs(ky - kernel / 2), dx = std::abs(kx - kernel / 2);
    return kernel == 3 ? dy + dx : dy > dx ? dy : dx;
}

struct Place {
    uint32_t row;
    int32_t offset;
    uint8_t position;
};

class PayloadReader {
  public:
    PayloadReader(const uint8_t* bytes, size_t size, Plan& plan) : in_(bytes, size), plan_(plan) {}

    crispcast_status read() {
        if (in_.truncated()) return CRISPCAST_ERROR_PLAN_TRUNCATED;
        for (int l = 0; l < plan_.layer_count; ++l) {
            const crispcast_status status = read_layer(plan_.layers[l]);
            if (status != CRISPCAST_OK) return status;
        }
        return in_.at_end() ? CRISPCAST_OK : CRISPCAST_ERROR_PLAN_TRAILING;
    }

  private:
    crispcast_status read_layer(Layer& layer) {
        const int padded = (layer.cout + layer.block - 1) / layer.block * layer.block;
        if (!layer.bias.resize(padded) || !layer.low.resize(padded) || !layer.high.resize(padded) ||
            !layer.scales.resize(padded) || !list_places(layer))
            return CRISPCAST_ERROR_MEMORY;
        // A layer may have no tap; offsets from its first one are taken all the same.
        if (!layer.taps.reserve(1) || !layer.weights.reserve(8)) return CRISPCAST_ERROR_MEMORY;
        for (int c = 0; c < layer.cout; ++c)
            layer.scales[c] = grid_value(in_.tree(contexts_.scale));
        bool finite = true;
        for (int c = 0; c < layer.cout; ++c) finite &= read_half(in_, contexts_, layer.bias[c]);
        if (layer.activation == Activation::prelu)
            for (int c = 0; c < layer.cout; ++c) finite &= read_half(in_, contexts_, layer.low[c]);
        if (layer.activation == Activation::clip) {
            float low = 0, high = 0;
            finite &= read_half(in_, contexts_, low);
            finite &= read_half(in_, contexts_, high);
            finite &= low <= high;
            for (int c = 0; c < padded; ++c) layer.low[c] = low, layer.high[c] = high;
        }
        if (in_.truncated()) return CRISPCAST_ERROR_PLAN_TRUNCATED;
        if (!finite) return CRISPCAST_ERROR_PLAN_NUMBER;
        for (int first = 0; first < layer.cout; first += layer.block) {
            const int channels =
                layer.cout - first < layer.block ? layer.cout - first : layer.block;
            if (!read_block(layer, first, channels)) return CRISPCAST_ERROR_MEMORY;
            // Also bounds the work on a plan that was cut off.
            if (in_.truncated()) return CRISPCAST_ERROR_PLAN_TRUNCATED;
            for (int c = 0; plan_.coded && c < channels; ++c)
                if (sums_[c] > kMaxCodeSum) return CRISPCAST_ERROR_PLAN_CODES;
        }
        return CRISPCAST_OK;
    }

    // Where each tap of the layer's dense raster lies; the same for all its blocks.
    bool list_places(const Layer& layer) {
        const int k = layer.kernel;
        places_.clear();
        mask_.clear();
        for (int s = 0; s < layer.source_count; ++s)
            for (int c = 0; c < plan_.values[layer.sources[s]].channels; ++c)
                for (int ky = 0; ky < k; ++ky)
                    for (int kx = 0; kx < k; ++kx)
                        if (!places_.push({uint32_t(s * k + ky), c * 8 + kx,
                                           uint8_t(tap_position(k, ky, kx))}))
                            return false;
        return mask_.resize(places_.size());
    }

    bool read_block(Layer& layer, int first, int channels) {
        const size_t places = places_.size();
        if (!layer.dense) {
            int last = 0, before_last = 0;
            for (size_t i = 0; i < places; ++i) {
                const int before = first == 0 ? 2 : mask_[i];
                const int context = (places_[i].position * 3 + before) * 3 + last + before_last;
                mask_[i] = uint8_t(in_.bit(contexts_.mask[context]));
                before_last = last;
                last = mask_[i];
            }
        }
        Block block{uint32_t(layer.taps.size()), 0, first, channels};
        int lengths[8] = {};  // of the tap before, by output channel
        for (uint32_t& sum : sums_) sum = 0;
        for (size_t i = 0; i < places; ++i) {
            if (!layer.dense && !mask_[i]) continue;
            if (in_.truncated()) return true;
            float weights[8] = {};
            int length = 0;  // of the weight before in this tap
            bool any = false;
            for (int c = 0; c < channels; ++c) {
                const int q = read_weight(in_, contexts_, layer.bits, length + lengths[c]);
                length = lengths[c] = bit_length(std::abs(q));
                weights[c] = plan_.coded ? float(q) : float(q) * layer.scales[first + c];
                sums_[c] += uint32_t(std::abs(q));
                any |= q != 0;
            }
            plan_.tap_count += 1;
            plan_.weight_count += uint64_t(channels);
            if (!any) continue;  // quantised to nothing: it would only add zeros
            if (!layer.taps.push({places_[i].row, places_[i].offset})) return false;
            for (int c = 0; c < layer.block; ++c)
                if (!layer.weights.push(weights[c])) return false;
            block.taps += 1;
        }
        return layer.blocks.push(block);
    }

    RangeDecoder in_;
    Plan& plan_;
    Contexts contexts_;
    uint32_t sums_[8] = {};  // of |weights|, by output channel of the block
    Array<Place> places_;
    Array<uint8_t> mask_;
};

}  // namespace

crispcast_status read_wire(const uint8_t* bytes, size_t size, Plan& plan) {
    if (size < 4 || std::memcmp(bytes, "CCPL", 4) != 0) return CRISPCAST_ERROR_PLAN_MAGIC;
    if (size < kHeaderBytes) return CRISPCAST_ERROR_PLAN_TRUNCATED;
    if (size > kMaxPlanBytes) return CRISPCAST_ERROR_PLAN_SIZE;
    if (bytes[4] != 1 || bytes[5] != 0) return CRISPCAST_ERROR_PLAN_VERSION;
    if (bytes[6] || bytes[7]) return CRISPCAST_ERROR_PLAN_FLAGS;
    if (little_endian_32(bytes + 8) != crc32(bytes + kHeaderBytes, size - kHeaderBytes))
        return CRISPCAST_ERROR_PLAN_CRC;
    Cursor in{bytes + kHeaderBytes, bytes + size};
    const crispcast_status status = read_op_table(in, plan);
    if (status != CRISPCAST_OK) return status;
    PayloadReader payload(in.next, size_t(in.end - in.next), plan);
    return payload.read();
}

}  // namespace crispcast
