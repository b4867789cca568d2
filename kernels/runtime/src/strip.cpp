#include "strip.h"

#include <string.h>

namespace crispcast {
namespace {

int greater(int a, int b) {
    return a > b ? a : b;
}

int smaller(int a, int b) {
    return a < b ? a : b;
}

class StripRun {
  public:
    StripRun(const RowKernels& kernels, const Plan& plan, const Frame& frame, const Strip& strip,
             Arena& arena)
        : kernels_(kernels), plan_(plan), frame_(frame), strip_(strip), arena_(arena) {
        width_ = frame.planes[0].width;
        height_ = frame.planes[0].height;
        origin_ = greater(0, strip.x0 - plan.radius);
        end_ = smaller(width_, strip.x1 + plan.radius) - origin_;
        vectors_ = greater(2, (end_ + kernels.width - 1) / kernels.width);
    }

    void run() {
        const int lag = plan_.output().lag;
        for (int step = strip_.y0 - plan_.radius; step < strip_.y1 + lag; ++step) {
            for (int v = 0; v < plan_.value_count; ++v) make_row(v, step - plan_.values[v].lag);
            const int y = step - lag;
            if (y >= strip_.y0 && y < strip_.y1) finish(y);
            for (int v = 0; v < plan_.value_count; ++v)
                if (++slot_[v] >= plan_.values[v].rows) slot_[v] = 0;
        }
    }

  private:
    // Row y of value v, where it is needed; outside the frame it is the padding, zeros.
    void make_row(int v, int y) {
        const Value& value = plan_.values[v];
        if (value.need < 0 || y < strip_.y0 - value.need || y >= strip_.y1 + value.need) return;
        float* row = row_of(v, 0);
        if (y < 0 || y >= height_) {
            memset(row - side(), 0, size_t(value.channels) * plan_.stride * sizeof(float));
            return;
        }
        if (v < plan_.input_count) {
            load(plan_.inputs[v], y, row);
        } else {
            convolve(plan_.layers[v - plan_.input_count], v, row);
        }
        if (v != plan_.value_count - 1)
            kernels_.close(row, value.channels, plan_.stride, vectors_, plan_.sides, end_);
    }

    void load(Input input, int y, float* row) {
        if (input == Input::plate) {
            const int channels = plan_.scale * plan_.scale;
            for (int c = 0; c < channels; ++c, row += plan_.stride) {
                if (frame_.plate != nullptr) {
                    load(frame_.plate->row(c, y), row);
                } else {
                    memset(row, 0, size_t(vectors_) * kernels_.width * sizeof(float));
                }
            }
            return;
        }
        const crispcast_plane& plane =
            input == Input::previous ? frame_.previous : frame_.planes[0].in;
        load(plane.data + y * plane.stride, row);
    }

    void load(const uint8_t* in, float* row) {
        kernels_.load(in + origin_, end_, vectors_, row, arena_.base.column);
    }

    void convolve(const Layer& layer, int v, float* out) {
        ConvRow row;
        const int lag = plan_.values[v].lag, radius = layer.kernel / 2;
        row.row_count = layer.source_count * layer.kernel * layer.kernel;
        for (int s = 0, i = 0; s < layer.source_count; ++s) {
            const int source = layer.sources[s];
            const int back = lag - plan_.values[source].lag + radius;
            for (int ky = 0; ky < layer.kernel; ++ky) {
                const float* in = row_of(source, back - ky);
                for (int kx = 0; kx < layer.kernel; ++kx)
                    row.rows[i++] = in + (kx - radius) * kernels_.width;
            }
        }
        row.blocks = layer.blocks.data();
        row.block_count = int(layer.blocks.size());
        row.block = layer.block;
        row.taps = layer.taps.data();
        row.weights = layer.weights.data();
        row.bias = layer.bias.data();
        row.low = layer.low.data();
        row.high = layer.high.data();
        row.activation = layer.activation;
        row.residual_after = layer.residual_after;
        row.residual = layer.has_residual
                           ? row_of(layer.residual, lag - plan_.values[layer.residual].lag)
                           : nullptr;
        row.out = out;
        row.stride = plan_.stride;
        row.vectors = vectors_;
        kernels_.convolve(row);
    }

    void finish(int y) {
        float* network = row_of(plan_.value_count - 1, 0);
        for (int c = 0; c < plan_.output().channels; ++c)
            kernels_.straighten(network + c * ptrdiff_t(plan_.stride), vectors_,
                                arena_.base.column);
        finish_row(kernels_, frame_.planes[0], plan_.scale, frame_.taps, plan_.bicubic_base, y,
                   strip_.x0, strip_.x1, network + (strip_.x0 - origin_), plan_.stride,
                   arena_.base);
    }

    ptrdiff_t side() const { return plan_.sides * kernels_.width; }

    // The row that value v made `back` steps ago, at vector 0 of channel 0.
    float* row_of(int v, int back) {
        const Value& value = plan_.values[v];
        int slot = slot_[v] - back;
        if (slot < 0) slot += value.rows;
        return arena_.rows.data() + value.ring +
               size_t(slot) * value.channels * size_t(plan_.stride) + side();
    }

    const RowKernels& kernels_;
    const Plan& plan_;
    const Frame& frame_;
    const Strip& strip_;
    Arena& arena_;
    int width_, height_;
    int origin_;   // LR column of column 0
    int end_;      // columns with the halo, that are inside the frame
    int vectors_;  // of a row
    int slot_[kMaxValues] = {};
};

}  // namespace

void run_strip(const RowKernels& kernels, const Plan& plan, const Frame& frame, const Strip& strip,
               Arena& arena) {
    if (arena.plan != plan.serial) {
        arena.rows.clear();
        arena.rows.resize(plan.arena_floats);
        arena.plan = plan.serial;
    }
    StripRun(kernels, plan, frame, strip, arena).run();
}

}  // namespace crispcast
