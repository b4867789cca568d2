#include "plan.h"

#include <atomic>
#include <new>

#include "wire.h"

namespace crispcast {
namespace {

constexpr int kMinUsefulColumns = 2 * kMaxVector;

int greater(int a, int b) {
    return a > b ? a : b;
}

int smaller(int a, int b) {
    return a < b ? a : b;
}

// Calls visit(layer, its value, source value, kernel radius) for each thing that a layer reads.
template <class Visit>
void for_each_read(const Plan& plan, Visit visit) {
    for (int l = 0; l < plan.layer_count; ++l) {
        const Layer& layer = plan.layers[l];
        const int v = plan.input_count + l;
        for (int s = 0; s < layer.source_count; ++s) visit(v, layer.sources[s], layer.kernel / 2);
        if (layer.has_residual) visit(v, layer.residual, 0);
    }
}

// How far around the output each value is read.
void find_needs(Plan& plan) {
    plan.values[plan.value_count - 1].need = 0;
    for (int v = plan.value_count - 1; v >= plan.input_count; --v) {
        const int need = plan.values[v].need;
        if (need < 0) continue;
        const Layer& layer = plan.layers[v - plan.input_count];
        for (int s = 0; s < layer.source_count; ++s) {
            Value& source = plan.values[layer.sources[s]];
            source.need = greater(source.need, need + layer.kernel / 2);
        }
        if (layer.has_residual)
            plan.values[layer.residual].need = greater(plan.values[layer.residual].need, need);
    }
    for (int v = 0; v < plan.input_count; ++v)
        plan.radius = greater(plan.radius, plan.values[v].need);
}

// When each value's rows are made. As early as possible first; then a value off the critical path
// moves to as late as possible where that keeps fewer rows (a skip from the luma, say).
void find_lags(Plan& plan) {
    int latest[kMaxValues];
    for_each_read(plan, [&](int v, int source, int radius) {
        plan.values[v].lag = greater(plan.values[v].lag, plan.values[source].lag + radius);
    });
    for (int v = plan.value_count - 1; v >= 0; --v) {
        latest[v] = plan.values[plan.value_count - 1].lag;
        for_each_read(plan, [&](int reader, int source, int radius) {
            if (source == v && plan.values[reader].need >= 0)
                latest[v] = smaller(latest[v], plan.values[reader].lag - radius);
        });
        const bool is_input = v < plan.input_count;
        if (is_input || plan.values[v].channels >= plan.layers[v - plan.input_count].cin)
            plan.values[v].lag = latest[v];
    }
}

void find_rings(Plan& plan) {
    plan.values[plan.value_count - 1].rows = 1;
    for_each_read(plan, [&](int reader, int source, int radius) {
        Value& value = plan.values[source];
        if (plan.values[reader].need < 0) return;
        value.rows = greater(value.rows, plan.values[reader].lag - value.lag + radius + 1);
    });
    for (int l = 0; plan.coded && l < plan.layer_count; ++l) {
        const Layer& layer = plan.layers[l];
        if (layer.has_residual && layer.residual >= plan.input_count)
            plan.values[layer.residual].exact = true;
    }
}

void resolve_offsets(Plan& plan) {
    for (int l = 0; l < plan.layer_count; ++l) {
        Layer& layer = plan.layers[l];
        for (Tap& tap : layer.taps) tap = resolved(tap, layer.kernel, plan.floats.stride);
    }
}

}  // namespace

crispcast_status lay_out(Plan& plan) {
    find_needs(plan);
    find_lags(plan);
    find_rings(plan);

    const int least = 2 * plan.radius + kMinUsefulColumns;
    for (int l = 0; l < plan.layer_count; ++l)
        plan.sides = greater(plan.sides, plan.layers[l].kernel / 2);
    // Before resolve_offsets, which makes the taps those of floats.
    if (plan.coded) {
        const crispcast_status status = lay_out_codes(plan, least);
        if (status != CRISPCAST_OK) return status;
    }
    Layout& layout = plan.floats;
    layout.unit = kMaxVector;
    const int side_floats = 2 * plan.sides * kMaxVector;
    size_t rows = 0;
    for (int v = 0; v < plan.value_count; ++v)
        rows += ring_column(plan.values[v]) * (plan.values[v].exact ? 2 : 1);
    const int most = int(kCacheBytes / sizeof(float) / rows) / kMaxVector * kMaxVector;
    layout.columns = (least + kMaxVector - 1) / kMaxVector * kMaxVector;
    layout.columns = smaller(greater(most - side_floats, layout.columns), kMaxColumns);
    // An odd number of cache lines: else the columns of one tile of all channels share a few cache
    // sets, up to 1.7 times the time.
    layout.stride = ((layout.columns + side_floats) / kMaxVector | 1) * kMaxVector;

    size_t offset = 0;
    for (int v = 0; v < plan.value_count; ++v) {
        const size_t ring = ring_column(plan.values[v]) * layout.stride;
        layout.ring[v] = offset;
        layout.exact[v] = offset + ring;
        offset += plan.values[v].exact ? 2 * ring : ring;
    }
    layout.bytes = offset * sizeof(float);
    if (layout.bytes > CRISPCAST_MAX_WORKING_BYTES) return CRISPCAST_ERROR_PLAN_WORKING;
    resolve_offsets(plan);
    return CRISPCAST_OK;
}

}  // namespace crispcast

using crispcast::Plan;

crispcast_status crispcast_plan_create(const void* bytes, size_t size, crispcast_plan** plan) {
    return crispcast_plan_create_with_base(bytes, size, nullptr, 0, plan);
}

crispcast_status crispcast_plan_base_id(const void* bytes, size_t size, uint8_t* id, int* found) {
    if (id == nullptr || found == nullptr || (bytes == nullptr && size != 0))
        return CRISPCAST_ERROR_ARGUMENT;
    const uint8_t* base;
    const crispcast_status status =
        crispcast::read_header(static_cast<const uint8_t*>(bytes), size, &base);
    *found = base != nullptr;
    for (int i = 0; i < CRISPCAST_BASE_ID_BYTES; ++i) id[i] = base ? base[i] : 0;
    return status;
}

crispcast_status crispcast_plan_create_with_base(const void* bytes, size_t size, const void* base,
                                                 size_t base_size, crispcast_plan** plan) {
    if (plan == nullptr) return CRISPCAST_ERROR_ARGUMENT;
    *plan = nullptr;
    if ((bytes == nullptr && size != 0) || (base == nullptr && base_size != 0))
        return CRISPCAST_ERROR_ARGUMENT;
    crispcast_plan* made = new (std::nothrow) crispcast_plan;
    if (made == nullptr) return CRISPCAST_ERROR_MEMORY;
    crispcast_status status =
        crispcast::read_wire({static_cast<const uint8_t*>(bytes), size},
                             {static_cast<const uint8_t*>(base), base_size}, made->plan);
    if (status == CRISPCAST_OK) status = crispcast::lay_out(made->plan);
    if (status != CRISPCAST_OK) {
        delete made;
        return status;
    }
    static std::atomic<uint64_t> serial{0};
    made->plan.serial = ++serial;
    *plan = made;
    return CRISPCAST_OK;
}

crispcast_status crispcast_plan_get_info(const crispcast_plan* plan, crispcast_plan_info* info) {
    if (plan == nullptr || info == nullptr) return CRISPCAST_ERROR_ARGUMENT;
    const Plan& p = plan->plan;
    *info = {};
    info->scale = p.scale;
    for (int i = 0; i < p.input_count; ++i) {
        if (p.inputs[i] == crispcast::Input::previous) info->has_previous = 1;
        if (p.inputs[i] == crispcast::Input::plate) info->has_plate = 1;
    }
    info->radius = p.radius;
    info->layers = p.layer_count;
    info->taps = p.tap_count;
    info->weights = p.weight_count;
    info->weights_dense = p.dense_count;
    info->working_bytes = p.floats.bytes;
    return CRISPCAST_OK;
}

void crispcast_plan_destroy(crispcast_plan* plan) {
    delete plan;
}
