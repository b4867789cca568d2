// The way down a strip that rows of floats and rows of codes share: in each step every value makes
// its next row, a few behind the values it reads.
#pragma once

#include "strip.h"

namespace crispcast {

// Self has make_row(value, row of the frame), clear_row(value) for rows outside the frame, and
// finish(row) for the output's.
template <class Self>
class StripWalk {
  public:
    StripWalk(const Plan& plan, const Frame& frame, const Strip& strip, const Layout& layout)
        : plan_(plan), frame_(frame), strip_(strip), layout_(layout) {
        const int width = frame.planes[0].width;
        const int right = strip.x1 + plan.radius;
        height_ = frame.planes[0].height;
        origin_ = strip.x0 > plan.radius ? strip.x0 - plan.radius : 0;
        end_ = (right < width ? right : width) - origin_;
    }

    void run() {
        const int lag = plan_.output().lag;
        for (int step = strip_.y0 - plan_.radius; step < strip_.y1 + lag; ++step) {
            for (int v = 0; v < plan_.value_count; ++v) make(v, step - plan_.values[v].lag);
            const int y = step - lag;
            if (y >= strip_.y0 && y < strip_.y1) self().finish(y);
            for (int v = 0; v < plan_.value_count; ++v)
                if (++slot_[v] >= plan_.values[v].rows) slot_[v] = 0;
        }
    }

  protected:
    // Row y of a channel of an input, at column origin_; null: an absent plate. The channels of a
    // plate are asked for in order: the first has them all warped into `seen`.
    const uint8_t* input_row(Input input, int channel, int y, Array<uint8_t>& seen) const {
        if (input == Input::plate && frame_.view != nullptr) {
            if (channel == 0) frame_.view->planes(y, origin_, end_, plan_.scale, seen.data());
            return seen.data() + channel * end_;
        }
        const uint8_t* row = frame_.input_row(input, channel, y);
        return row == nullptr ? nullptr : row + origin_;
    }

    // Channels of its ring before those of the row that value v made `back` steps ago.
    size_t channels_before(int v, int back) const {
        const Value& value = plan_.values[v];
        int slot = slot_[v] - back;
        if (slot < 0) slot += value.rows;
        return size_t(slot) * size_t(value.channels);
    }

    // Calls visit(source, how many steps ago, index of the first row pointer) for each row that a
    // layer reads.
    template <class Visit>
    void for_each_row(const Layer& layer, int v, Visit visit) const {
        const int lag = plan_.values[v].lag, radius = layer.kernel / 2;
        for (int s = 0, i = 0; s < layer.source_count; ++s) {
            const int back = lag - plan_.values[layer.sources[s]].lag + radius;
            for (int ky = 0; ky < layer.kernel; ++ky, i += layer.kernel)
                visit(layer.sources[s], back - ky, i);
        }
    }

    // How many steps ago a layer's residual was made.
    int residual_back(const Layer& layer, int v) const {
        return plan_.values[v].lag - plan_.values[layer.residual].lag;
    }

    // What rows of floats and of codes say alike of the layer that makes value v.
    template <class Row>
    void describe(Row& row, const Layer& layer, int v) const {
        row.bias = layer.bias.data();
        row.low = layer.low.data();
        row.high = layer.high.data();
        row.activation = layer.activation;
        row.residual_after = layer.residual_after;
        row.steps = steps_of(layer, v);
    }

    Steps steps_of(const Layer& layer, int v) const {
        Steps steps = {};
        if (!plan_.coded) return steps;
        steps.units = layer.units.data();
        const bool of_input = layer.has_residual && layer.residual < plan_.input_count;
        steps.residual_unit = of_input ? plan_.values[layer.residual].codes.unit : 1.0f;
        steps.inverse = 1.0f / layer.codes.unit;
        steps.zero = layer.codes.zero;
        steps.last = v == plan_.value_count - 1;
        return steps;
    }

    const Plan& plan_;
    const Frame& frame_;
    const Strip& strip_;
    const Layout& layout_;
    int height_;
    int origin_;  // LR column of column 0
    int end_;     // columns with the halo, that are inside the frame

  private:
    // Row y of value v, where it is needed; outside the frame it is the padding, zeros.
    void make(int v, int y) {
        const Value& value = plan_.values[v];
        if (value.need < 0 || y < strip_.y0 - value.need || y >= strip_.y1 + value.need) return;
        if (y < 0 || y >= height_) return self().clear_row(v);
        self().make_row(v, y);
    }

    Self& self() { return *static_cast<Self*>(this); }

    int slot_[kMaxValues] = {};
};

}  // namespace crispcast
