// A coded plan for dot products: taps in quads, weights as bytes, rings of codes.
#include <math.h>

#include "plan.h"

namespace crispcast {
namespace {

// Taps `first` ... `first` + `count` - 1 of each of the blocks, which have the same.
bool push_quad(Layer& layer, const Block* blocks, size_t block_count, uint32_t first, int count) {
    for (int t = 0; t < 4; ++t)  // what fills the last quad has weight 0
        if (!layer.quad_taps.push(layer.taps[blocks->first_tap + first + (t < count ? t : 0)]))
            return false;
    for (size_t b = 0; b < block_count; ++b) {
        const float* weights = &layer.weights[size_t(blocks[b].first_tap + first) * layer.block];
        for (int c = 0; c < blocks[b].channels; ++c)
            for (int t = 0; t < 4; ++t) {
                const int8_t weight = t < count ? int8_t(weights[t * layer.block + c]) : int8_t(0);
                if (!layer.quad_weights.push(weight)) return false;
            }
    }
    return true;
}

// One block of quads of `block_count` blocks of the same taps.
bool push_blocks(Layer& layer, const Block* blocks, size_t block_count) {
    QuadBlock packed = {uint32_t(layer.quad_taps.size() / 4), 0,
                        uint32_t(layer.quad_weights.size() / 4), blocks->channel, 0};
    for (size_t b = 0; b < block_count; ++b) packed.channels += blocks[b].channels;
    for (uint32_t t = 0; t < blocks->taps; t += 4) {
        const int count = blocks->taps - t < 4 ? int(blocks->taps - t) : 4;
        if (!push_quad(layer, blocks, block_count, t, count)) return false;
        packed.quads += 1;
    }
    return layer.quad_blocks.push(packed);
}

void sum_weights(Layer& layer) {
    for (const Block& block : layer.blocks)
        for (uint32_t t = block.first_tap; t < block.first_tap + block.taps; ++t)
            for (int c = 0; c < block.channels; ++c) {
                const int weight = int(layer.weights[size_t(t) * layer.block + c]);
                layer.weight_sums[block.channel + c] += weight;
                layer.negative_sums[block.channel + c] += weight < 0 ? weight : 0;
            }
}

bool pack_quads(Layer& layer, int stride) {
    if (!layer.quad_taps.reserve(4) || !layer.quad_weights.reserve(32)) return false;
    const size_t count = layer.blocks.size();
    for (size_t b = 0; b < count;) {
        const size_t first = b++;
        while (b < count && layer.same_taps(layer.blocks[first], layer.blocks[b])) ++b;
        if (!push_blocks(layer, &layer.blocks[first], b - first)) return false;
    }
    for (Tap& tap : layer.quad_taps) tap = resolved(tap, layer.kernel, stride);
    return layer.quad_weights.resize(layer.quad_weights.size() + kPaddingWeights);
}

// How large a layer's values may become.
void find_range(Plan& plan, int index) {
    constexpr double kCodes = 255, kSums = 1 << 22, kSteps = (1 << 15) - 256;
    Layer& layer = plan.layers[index];
    Value& value = plan.values[plan.input_count + index];
    const double residual = layer.has_residual ? plan.values[layer.residual].most : 0;
    value.most = 0;
    bool narrow = true;
    for (int c = 0; c < layer.cout; ++c) {
        const double sum = kCodes * (layer.weight_sums[c] - 2 * layer.negative_sums[c]);
        double most = sum * fabs(layer.units[c]) + fabs(layer.bias[c]) + residual;
        if (layer.activation == Activation::prelu)
            most *= fabs(layer.low[c]) > 1 ? fabs(layer.low[c]) : 1;
        if (layer.activation == Activation::clip)
            most += fabs(layer.low[c]) + fabs(layer.high[c]) + residual;
        most *= 1.0001;                           // what rounding adds
        if (!(most < HUGE_VAL)) most = HUGE_VAL;  // what is no number, too
        narrow = narrow && sum < kSums;
        narrow = narrow && (!layer.has_codes || most < kSteps * layer.codes.unit);
        value.most = value.most > most ? value.most : most;
    }
    layer.narrow = narrow;
}

}  // namespace

crispcast_status lay_out_codes(Plan& plan, int least_columns) {
    Layout& layout = plan.codes;
    layout.unit = kMaxCodeVector;
    const int inner = plan.value_count - 1;                     // the last layer's row is of floats
    size_t codes = 0, floats = size_t(plan.output().channels);  // of a column
    for (int v = 0; v < inner; ++v) {
        codes += ring_column(plan.values[v]);
        if (plan.values[v].exact) floats += ring_column(plan.values[v]);
    }
    const size_t most = kCodeCacheBytes / (codes + sizeof(float) * floats);
    const int least = (least_columns + layout.unit - 1) / layout.unit * layout.unit;
    layout.columns = int(most) / layout.unit * layout.unit - kCodeSide;
    layout.columns = layout.columns > least ? layout.columns : least;
    layout.columns = layout.columns < kMaxColumns ? layout.columns : kMaxColumns;
    layout.stride = ((layout.columns + kCodeSide) / layout.unit | 1) * layout.unit;

    // In front of the first row is the left side of its first channel.
    size_t offset = kCodeSide;
    for (int v = 0; v < inner; ++v) {
        layout.ring[v] = offset;
        offset += ring_column(plan.values[v]) * layout.stride;
    }
    size_t next = offset / sizeof(float);  // strides are whole vectors, so this is exact
    for (int v = 0; v < inner; ++v) {
        layout.exact[v] = next;
        if (plan.values[v].exact) next += ring_column(plan.values[v]) * layout.columns;
    }
    layout.network = next;
    next += size_t(plan.output().channels) * layout.columns;
    // Of rows alone, so that a plan is refused by every processor or none.
    const size_t rows = next * sizeof(float);
    if (rows > CRISPCAST_MAX_WORKING_BYTES) return CRISPCAST_ERROR_PLAN_WORKING;

    size_t quads = 0, weights = 0;
    for (int l = 0; l < plan.layer_count; ++l) {
        Layer& layer = plan.layers[l];
        const size_t padded = layer.bias.size();
        if (!layer.units.resize(padded) || !layer.nothing.resize(padded) ||
            !layer.weight_sums.resize(padded) || !layer.negative_sums.resize(padded) ||
            !pack_quads(layer, layout.stride))
            return CRISPCAST_ERROR_MEMORY;
        sum_weights(layer);
        const float unit = plan.values[layer.sources[0]].codes.unit;
        for (size_t c = 0; c < padded; ++c) layer.units[c] = layer.scales[c] * unit;
        find_range(plan, l);
        quads = quads > layer.quad_taps.size() / 4 ? quads : layer.quad_taps.size() / 4;
        weights = weights > layer.quad_weights.size() ? weights : layer.quad_weights.size();
    }
    layout.addresses = (rows + kCodeSide - 1) / kCodeSide * kCodeSide;
    layout.scratch = layout.addresses + quads * 4 * sizeof(const uint8_t*);
    layout.bytes = layout.scratch + weights * kPackedWeight;
    return CRISPCAST_OK;
}

}  // namespace crispcast
