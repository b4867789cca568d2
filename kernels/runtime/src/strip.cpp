#include <string.h>

#include "strip_walk.h"

namespace crispcast {
namespace {

class FloatStrip : public StripWalk<FloatStrip> {
  public:
    FloatStrip(const RowKernels& kernels, const Plan& plan, const Frame& frame, const Strip& strip,
               Arena& arena)
        : StripWalk(plan, frame, strip, plan.floats),
          kernels_(kernels),
          arena_(arena),
          rows_(reinterpret_cast<float*>(arena.rows.data())) {
        vectors_ = (end_ + kernels.width - 1) / kernels.width;
        if (vectors_ < 2) vectors_ = 2;
    }

    void clear_row(int v) {
        memset(row_of(v, 0) - side(), 0,
               size_t(plan_.values[v].channels) * layout_.stride * sizeof(float));
    }

    void make_row(int v, int y) {
        float* row = row_of(v, 0);
        if (v < plan_.input_count) {
            load(plan_.inputs[v], y, row);
        } else {
            convolve(plan_.layers[v - plan_.input_count], v, row);
        }
        if (v != plan_.value_count - 1)
            kernels_.close(row, plan_.values[v].channels, layout_.stride, vectors_, plan_.sides,
                           end_);
    }

    void finish(int y) {
        float* network = row_of(plan_.value_count - 1, 0);
        for (int c = 0; c < plan_.output().channels; ++c)
            kernels_.straighten(network + c * ptrdiff_t(layout_.stride), vectors_,
                                arena_.base.columns);
        finish_row(kernels_, frame_.planes[0], plan_.scale, frame_.taps, plan_.bicubic_base, y,
                   strip_.x0, strip_.x1, network + (strip_.x0 - origin_), layout_.stride,
                   arena_.base);
    }

  private:
    void load(Input input, int y, float* row) {
        const int channels = input == Input::plate ? plan_.scale * plan_.scale : 1;
        for (int c = 0; c < channels; ++c, row += layout_.stride) {
            const uint8_t* in = input_row(input, c, y, arena_.seen);
            if (in != nullptr) {
                kernels_.load(in, end_, vectors_, plan_.coded ? 1.0f : 1.0f / 128, row,
                              arena_.base.columns);
            } else {
                memset(row, 0, size_t(vectors_) * kernels_.width * sizeof(float));
            }
        }
    }

    void convolve(const Layer& layer, int v, float* out) {
        ConvRow row;
        row.row_count = layer.source_count * layer.kernel * layer.kernel;
        for_each_row(layer, v, [&](int source, int back, int first) {
            const float* in = row_of(source, back);
            for (int kx = 0; kx < layer.kernel; ++kx)
                row.rows[first + kx] = in + (kx - layer.kernel / 2) * kernels_.width;
        });
        row.blocks = layer.blocks.data();
        row.block_count = int(layer.blocks.size());
        row.taps = layer.taps.data();
        row.weights = layer.weights.data();
        row.block = layer.block;
        row.start = plan_.coded ? layer.nothing.data() : layer.bias.data();
        describe(row, layer, v);
        row.residual = nullptr;
        if (layer.has_residual) {
            const int back = residual_back(layer, v);
            row.residual = plan_.values[layer.residual].exact ? exact_of(layer.residual, back)
                                                              : row_of(layer.residual, back);
        }
        row.out = out;
        row.exact = plan_.values[v].exact ? exact_of(v, 0) : nullptr;
        row.stride = layout_.stride;
        row.vectors = vectors_;
        kernels_.convolve(row);
    }

    ptrdiff_t side() const { return plan_.sides * kernels_.width; }

    // The row that value v made `back` steps ago, at vector 0 of channel 0.
    float* row_of(int v, int back) {
        return rows_ + layout_.ring[v] + channels_before(v, back) * layout_.stride + side();
    }
    float* exact_of(int v, int back) {
        return rows_ + layout_.exact[v] + channels_before(v, back) * layout_.stride + side();
    }

    const RowKernels& kernels_;
    Arena& arena_;
    float* rows_;
    int vectors_;  // of a row
};

class CodeStrip : public StripWalk<CodeStrip> {
  public:
    CodeStrip(const RowKernels& kernels, const Plan& plan, const Frame& frame, const Strip& strip,
              Arena& arena)
        : StripWalk(plan, frame, strip, plan.codes),
          kernels_(kernels),
          flip_(kernels.codes->flip),
          arena_(arena),
          rows_(arena.rows.data()),
          floats_(reinterpret_cast<float*>(arena.rows.data())),
          addresses_(reinterpret_cast<const uint8_t**>(rows_ + layout_.addresses)) {}

    void clear_row(int v) {
        if (v == plan_.value_count - 1) return;  // no output row lies outside the frame
        const Value& value = plan_.values[v];
        memset(row_of(v, 0) - plan_.sides, value.codes.zero ^ flip_,
               size_t(value.channels) * layout_.stride);
    }

    void make_row(int v, int y) {
        if (v < plan_.input_count) {
            load(plan_.inputs[v], y, row_of(v, 0));
        } else {
            convolve(plan_.layers[v - plan_.input_count], v);
        }
        if (v != plan_.value_count - 1) close(v);
    }

    void finish(int y) {
        finish_row(kernels_, frame_.planes[0], plan_.scale, frame_.taps, plan_.bicubic_base, y,
                   strip_.x0, strip_.x1, floats_ + layout_.network + (strip_.x0 - origin_),
                   layout_.columns, arena_.base);
    }

  private:
    void load(Input input, int y, uint8_t* row) {
        const int channels = input == Input::plate ? plan_.scale * plan_.scale : 1;
        for (int c = 0; c < channels; ++c, row += layout_.stride) {
            const uint8_t* in = input_row(input, c, y, arena_.seen);
            if (in != nullptr) {
                for (int x = 0; x < end_; ++x) row[x] = in[x] ^ flip_;
            } else {
                memset(row, 128 ^ flip_, size_t(end_));
            }
        }
    }

    // The codes of 0 on both sides of a row.
    void close(int v) {
        const Value& value = plan_.values[v];
        const uint8_t zero = uint8_t(value.codes.zero) ^ flip_;
        uint8_t* row = row_of(v, 0);
        for (int c = 0; c < value.channels; ++c, row += layout_.stride) {
            for (int i = 1; i <= plan_.sides; ++i) {
                row[-i] = zero;
                row[end_ + i - 1] = zero;
            }
        }
    }

    // Once a row, not once a tile: up to a fifth less time, for a tile has only a few instructions
    // to each of its taps.
    void find_taps(const Layer& layer, int v) {
        const uint8_t* rows[kMaxRowPointers];
        for_each_row(layer, v, [&](int source, int back, int first) {
            const uint8_t* in = row_of(source, back);
            for (int kx = 0; kx < layer.kernel; ++kx)
                rows[first + kx] = in + (kx - layer.kernel / 2);
        });
        const uint8_t** address = addresses_;
        for (const Tap& tap : layer.quad_taps) *address++ = rows[tap.row] + tap.offset;
    }

    void convolve(const Layer& layer, int v) {
        find_taps(layer, v);
        CodeRow row;
        row.blocks = layer.quad_blocks.data();
        row.block_count = int(layer.quad_blocks.size());
        row.taps = addresses_;
        row.weights = layer.quad_weights.data();
        row.weight_count = layer.quad_weights.size() - kPaddingWeights;
        row.weight_sums = layer.weight_sums.data();
        row.negative_sums = layer.negative_sums.data();
        row.narrow = layer.narrow;
        row.scratch = rows_ + layout_.scratch;
        row.zero = plan_.values[layer.sources[0]].codes.zero;
        describe(row, layer, v);
        row.residual = nullptr;
        row.residual_input = nullptr;
        if (layer.has_residual) {
            const int back = residual_back(layer, v);
            if (plan_.values[layer.residual].exact) {
                row.residual = exact_of(layer.residual, back);
            } else {
                row.residual_input = row_of(layer.residual, back);
            }
        }
        const bool last = v == plan_.value_count - 1;
        row.out = last ? nullptr : row_of(v, 0);
        row.exact = plan_.values[v].exact ? exact_of(v, 0) : nullptr;
        row.network = last ? floats_ + layout_.network : nullptr;
        row.stride = layout_.stride;
        row.float_stride = layout_.columns;
        row.columns = end_;
        kernels_.codes->convolve(row);
    }

    // The row that value v made `back` steps ago, at column 0 of channel 0.
    uint8_t* row_of(int v, int back) {
        return rows_ + layout_.ring[v] + channels_before(v, back) * layout_.stride;
    }
    float* exact_of(int v, int back) {
        return floats_ + layout_.exact[v] + channels_before(v, back) * layout_.columns;
    }

    const RowKernels& kernels_;
    const uint8_t flip_;
    Arena& arena_;
    uint8_t* rows_;
    float* floats_;  // the same arena
    const uint8_t** addresses_;
};

}  // namespace

bool runs_codes(const RowKernels& kernels, const Plan& plan) {
    return plan.coded && kernels.codes != nullptr;
}

bool Arena::reserve(const RowKernels& kernels, const Plan& plan) {
    const Layout& layout = plan.layout(runs_codes(kernels, plan));
    bool plate = false;
    for (int i = 0; i < plan.input_count; ++i) plate |= plan.inputs[i] == Input::plate;
    const size_t lines = plate ? size_t(plan.scale) * size_t(plan.scale + 1) : 0;
    return rows.reserve(layout.bytes) && seen.reserve(lines * size_t(layout.columns) + kMaxVector);
}

void run_strip(const RowKernels& kernels, const Plan& plan, const Frame& frame, const Strip& strip,
               Arena& arena) {
    const bool codes = runs_codes(kernels, plan);
    if (arena.plan != plan.serial) {
        arena.rows.clear();
        arena.rows.resize(plan.layout(codes).bytes);
        arena.plan = plan.serial;
    }
    if (codes) return CodeStrip(kernels, plan, frame, strip, arena).run();
    FloatStrip(kernels, plan, frame, strip, arena).run();
}

}  // namespace crispcast
