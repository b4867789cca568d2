#include "payload.h"

#include <cmath>

#include "range_decoder.h"

namespace crispcast {
namespace {

constexpr uint32_t kMaxCodeSum = 65535;  // codes up to 255 then sum up to less than 2^24
constexpr int kBiasBits = 17;            // of the distance between two halves

// Whole numbers of either sign, by groups of contexts.
template <int kGroups, int kBits>
struct SizeContexts {
    BitContext zero[kGroups], length[kGroups][kBits], second[kBits + 1], third[kBits + 1][2];

    // A number of at most `bits` bits and a sign.
    int read(RangeDecoder& in, int group, int bits) {
        if (in.bit(zero[group])) return 0;
        const bool negative = in.bypass();
        int more = 0;  // bits below the leading one
        while (more < bits - 1 && in.bit(length[group][more])) ++more;
        const int n = more + 1;
        int size = 1;
        for (int i = 0; i < more; ++i) {
            int bit;
            if (i == 0) {
                bit = in.bit(second[n]);
            } else if (i == 1) {
                bit = in.bit(third[n][size & 1]);
            } else {
                bit = in.bypass();
            }
            size = size << 1 | bit;
        }
        return negative ? -size : size;
    }
};

struct Contexts {
    BitContext scale[256], half_high[256], half_low[256];
    BitContext mask[27], mask_of_base[72];
    SizeContexts<4, 8> weight;
    SizeContexts<8, 8> difference;
    SizeContexts<1, kBiasBits> bias;
};

// False: an infinity or a NaN.
bool value_of(int half, float& value) {
    const int exponent = half >> 10 & 31, fraction = half & 1023;
    if (exponent == 31) return false;
    const float size = exponent == 0 ? std::ldexp(float(fraction), -24)
                                     : std::ldexp(float(fraction + 1024), exponent - 25);
    value = half & 0x8000 ? -size : size;
    return true;
}

int read_half(RangeDecoder& in, Contexts& contexts) {
    const int high = in.tree(contexts.half_high);
    return high << 8 | in.tree(contexts.half_low);
}

// A half as a difference between places in the order of all halves; -1: beyond them.
int read_moved_half(RangeDecoder& in, Contexts& contexts, int base) {
    int place = base < 0x8000 ? base : 0x8000 - base;
    place += contexts.bias.read(in, 0, kBiasBits);
    if (place > 0x7fff || place < -0x7fff) return -1;
    return place >= 0 ? place : 0x8000 - place;
}

int bit_length(int value) {
    int n = 0;
    for (; value; value >>= 1) ++n;
    return n;
}

// The context group of a weight by the bit lengths beside and above it.
int group_of(int lengths) {
    return lengths < 6 ? 0 : lengths < 9 ? 1 : lengths < 11 ? 2 : 3;
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

    crispcast_status read(const Numbers* base, Numbers* numbers) {
        if (in_.truncated()) return CRISPCAST_ERROR_PLAN_TRUNCATED;
        for (int l = 0; l < plan_.layer_count; ++l) {
            base_ = base ? &base->layers[l] : nullptr;
            numbers_ = numbers ? &numbers->layers[l] : nullptr;
            const crispcast_status status = read_layer(plan_.layers[l]);
            if (status != CRISPCAST_OK) return status;
        }
        return in_.at_end() ? CRISPCAST_OK : CRISPCAST_ERROR_PLAN_TRAILING;
    }

  private:
    crispcast_status read_layer(Layer& layer) {
        const int padded = (layer.cout + layer.block - 1) / layer.block * layer.block;
        if (!layer.bias.resize(padded) || !layer.low.resize(padded) || !layer.high.resize(padded) ||
            !layer.scales.resize(padded) || !list_places(layer) || !make_room(layer))
            return CRISPCAST_ERROR_MEMORY;
        // A layer may have no tap; offsets from its first one are taken all the same.
        if (!layer.taps.reserve(1) || !layer.weights.reserve(8)) return CRISPCAST_ERROR_MEMORY;
        const bool finite = read_numbers(layer, padded);
        if (in_.truncated()) return CRISPCAST_ERROR_PLAN_TRUNCATED;
        if (!finite) return CRISPCAST_ERROR_PLAN_NUMBER;
        for (int first = 0; first < layer.cout; first += layer.block) {
            const int channels =
                layer.cout - first < layer.block ? layer.cout - first : layer.block;
            if (!read_block(layer, first, channels)) return CRISPCAST_ERROR_MEMORY;
            // Also bounds the work on a plan that was cut off.
            if (in_.truncated()) return CRISPCAST_ERROR_PLAN_TRUNCATED;
            if (beyond_) return CRISPCAST_ERROR_PLAN_NUMBER;
            for (int c = 0; plan_.coded && c < channels; ++c)
                if (sums_[c] > kMaxCodeSum) return CRISPCAST_ERROR_PLAN_CODES;
        }
        return CRISPCAST_OK;
    }

    // Scales, biases and the activation's numbers; false: one is not finite or not in order.
    bool read_numbers(Layer& layer, int padded) {
        for (int c = 0; c < layer.cout; ++c) {
            const int place = (in_.tree(contexts_.scale) + (base_ ? base_->scales[c] : 0)) & 255;
            layer.scales[c] = grid_value(place);
            if (numbers_) numbers_->scales[c] = uint8_t(place);
        }
        bool finite = true;
        for (int c = 0; c < layer.cout; ++c) {
            const int half =
                base_ ? read_moved_half(in_, contexts_, base_->bias[c]) : read_half(in_, contexts_);
            finite &= half >= 0 && value_of(half, layer.bias[c]);
            if (numbers_) numbers_->bias[c] = uint16_t(half);
        }
        if (layer.activation == Activation::prelu)
            for (int c = 0; c < layer.cout; ++c)
                finite &= value_of(read_half(in_, contexts_), layer.low[c]);
        if (layer.activation == Activation::clip) {
            float low = 0, high = 0;
            finite &= value_of(read_half(in_, contexts_), low);
            finite &= value_of(read_half(in_, contexts_), high);
            finite &= low <= high;
            for (int c = 0; c < padded; ++c) layer.low[c] = low, layer.high[c] = high;
        }
        return finite;
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

    bool make_room(const Layer& layer) {
        predicted_.clear();
        if (base_ && !predicted_.resize(8 * places_.size())) return false;
        return numbers_ == nullptr ||
               (numbers_->scales.resize(layer.cout) && numbers_->bias.resize(layer.cout) &&
                numbers_->weights.resize(layer.cout * places_.size()));
    }

    // What the base says the block's integers are, [tap][8].
    void predict(const Layer& layer, int first, int channels) {
        const float highest = float((1 << (layer.bits - 1)) - 1);
        const size_t places = places_.size();
        for (int c = 0; c < channels; ++c) {
            const float* weights = base_->weights.data() + (first + c) * places;
            for (size_t i = 0; i < places; ++i) {
                const float whole = __builtin_rintf(weights[i] / layer.scales[first + c]);
                predicted_[8 * i + c] = int8_t(whole < -highest  ? -highest
                                               : whole > highest ? highest
                                                                 : whole);
            }
        }
    }

    int strength(size_t place, int channels) const {
        int largest = 0;
        for (int c = 0; c < channels; ++c) {
            const int size = std::abs(int(predicted_[8 * place + c]));
            largest = size > largest ? size : largest;
        }
        return bit_length(largest);
    }

    void read_mask(int first, int channels) {
        int last = 0, before_last = 0;
        for (size_t i = 0; i < places_.size(); ++i) {
            const int before = first == 0 ? 2 : mask_[i];
            const int kind = base_ ? strength(i, channels) : places_[i].position;
            const int context = (kind * 3 + before) * 3 + last + before_last;
            mask_[i] =
                uint8_t(in_.bit(base_ ? contexts_.mask_of_base[context] : contexts_.mask[context]));
            before_last = last;
            last = mask_[i];
        }
    }

    // One weight of tap `place`, channel c of its block; `length` is that of what was coded.
    int read_weight(const Layer& layer, size_t place, int c, int lengths, int& length) {
        const int group = group_of(lengths);
        if (base_ == nullptr) {
            const int q = contexts_.weight.read(in_, group, layer.bits - 1);
            length = bit_length(std::abs(q));
            return q;
        }
        const int expected = predicted_[8 * place + c];
        const int moved = contexts_.difference.read(in_, group + (expected ? 0 : 4), layer.bits);
        length = bit_length(std::abs(moved));
        const int q = expected + moved;
        if (std::abs(q) < 1 << (layer.bits - 1)) return q;
        beyond_ = true;
        return 0;
    }

    bool read_block(Layer& layer, int first, int channels) {
        const size_t places = places_.size();
        if (base_) predict(layer, first, channels);
        if (!layer.dense) read_mask(first, channels);
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
                const int q = read_weight(layer, i, c, length + lengths[c], length);
                lengths[c] = length;
                const float weight = float(q) * layer.scales[first + c];
                weights[c] = plan_.coded ? float(q) : weight;
                if (numbers_) numbers_->weights[(first + c) * places + i] = weight;
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
    const LayerNumbers* base_ = nullptr;
    LayerNumbers* numbers_ = nullptr;
    Contexts contexts_;
    bool beyond_ = false;    // a weight does not fit its bits
    uint32_t sums_[8] = {};  // of |weights|, by output channel of the block
    Array<Place> places_;
    Array<uint8_t> mask_;
    Array<int8_t> predicted_;
};

}  // namespace

float grid_value(int place) {
    return std::ldexp(float(std::exp2((place & 7) / 8.0)), (place >> 3) - 24);
}

crispcast_status read_payload(const uint8_t* bytes, size_t size, Plan& plan, const Numbers* base,
                              Numbers* numbers) {
    PayloadReader reader(bytes, size, plan);
    return reader.read(base, numbers);
}

}  // namespace crispcast
