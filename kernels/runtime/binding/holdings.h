// What Python holds of the core's, immutable once made: plans, plates, their chroma, canvases.
#pragma once

#include <nanobind/stl/optional.h>

#include <array>
#include <optional>

#include "planes.h"

namespace {

class Plan {
  public:
    Plan(const nb::bytes& wire, const std::optional<nb::bytes>& base) {
        const void* const data = base ? base->data() : nullptr;
        const size_t size = base ? base->size() : 0;
        check(crispcast_plan_create_with_base(wire.data(), wire.size(), data, size, &plan_));
        crispcast_plan_get_info(plan_, &info_);
    }
    Plan(const Plan&) = delete;
    Plan& operator=(const Plan&) = delete;
    ~Plan() { crispcast_plan_destroy(plan_); }

    const crispcast_plan* get() const { return plan_; }
    const crispcast_plan_info& info() const { return info_; }

    nb::tuple inputs() const {
        nb::list names;
        names.append("luma");
        if (info_.has_previous) names.append("previous");
        if (info_.has_plate) names.append("plate");
        return nb::tuple(names);
    }

  private:
    crispcast_plan* plan_ = nullptr;
    crispcast_plan_info info_ = {};
};

class Plate {
  public:
    Plate(const nb::object& luma, int scale) {
        const Array array = cast<Array>(luma, "the plate", "an array");
        check_plane(array, "the plate");
        const size_t most = size_t(CRISPCAST_MAX_SIDE) * 4;
        if (array.shape(0) > most || array.shape(1) > most) check(CRISPCAST_ERROR_SIZE);
        if (scale >= 1 && (array.shape(0) % scale || array.shape(1) % scale))
            raise_plan_error("the plate is " + size_text(array.shape(1), array.shape(0)) +
                             ", not a multiple of its scale " + std::to_string(scale));
        check(crispcast_plate_create(static_cast<const uint8_t*>(array.data()), stride_of(array),
                                     int(array.shape(1)), int(array.shape(0)), scale, &plate_));
        scale_ = scale;
        width_ = int(array.shape(1)) / scale;
        height_ = int(array.shape(0)) / scale;
    }
    Plate(const Plate&) = delete;
    Plate& operator=(const Plate&) = delete;
    ~Plate() { crispcast_plate_destroy(plate_); }

    const crispcast_plate* get() const { return plate_; }
    int scale() const { return scale_; }
    int width() const { return width_; }
    int height() const { return height_; }

  private:
    crispcast_plate* plate_ = nullptr;
    int scale_ = 0, width_ = 0, height_ = 0;
};

class ChromaPlate {
  public:
    ChromaPlate(const nb::object& u, const nb::object& v, int scale, int tolerance) {
        const Array planes[2] = {cast<Array>(u, "the plate's U", "an array"),
                                 cast<Array>(v, "the plate's V", "an array")};
        check_plane(planes[0], "the plate's U");
        const size_t width = planes[0].shape(1), height = planes[0].shape(0);
        check_size(planes[1], "the plate's V", width, height);
        const size_t most = size_t(CRISPCAST_MAX_SIDE) * 2;
        if (width > most || height > most) check(CRISPCAST_ERROR_SIZE);
        if (scale >= 1 && (width % scale || height % scale))
            raise_plan_error("the plate's chroma is " + size_text(width, height) +
                             ", not a multiple of its scale " + std::to_string(scale));
        if (tolerance < 1 || tolerance > CRISPCAST_MAX_TOLERANCE)
            raise_plan_error("the tolerance is " + std::to_string(tolerance) + ", not 1 to " +
                             std::to_string(CRISPCAST_MAX_TOLERANCE));
        check(crispcast_chroma_plate_create(
            static_cast<const uint8_t*>(planes[0].data()), stride_of(planes[0]),
            static_cast<const uint8_t*>(planes[1].data()), stride_of(planes[1]), int(width),
            int(height), scale, tolerance, &plate_));
        scale_ = scale;
        width_ = int(width) / scale;
        height_ = int(height) / scale;
    }
    ChromaPlate(const ChromaPlate&) = delete;
    ChromaPlate& operator=(const ChromaPlate&) = delete;
    ~ChromaPlate() { crispcast_chroma_plate_destroy(plate_); }

    const crispcast_chroma_plate* get() const { return plate_; }
    int scale() const { return scale_; }
    int width() const { return width_; }
    int height() const { return height_; }

  private:
    crispcast_chroma_plate* plate_ = nullptr;
    int scale_ = 0, width_ = 0, height_ = 0;
};

class Canvas {
  public:
    explicit Canvas(const nb::object& luma) {
        const Array array = cast<Array>(luma, "the canvas", "an array");
        check_plane(array, "the canvas");
        width_ = array.shape(1);
        height_ = array.shape(0);
        if (width_ > CRISPCAST_MAX_SIDE || height_ > CRISPCAST_MAX_SIDE)
            check(CRISPCAST_ERROR_SIZE);
        check(crispcast_canvas_create(static_cast<const uint8_t*>(array.data()), stride_of(array),
                                      int(width_), int(height_), &canvas_));
    }
    Canvas(const Canvas&) = delete;
    Canvas& operator=(const Canvas&) = delete;
    ~Canvas() { crispcast_canvas_destroy(canvas_); }

    const crispcast_canvas* get() const { return canvas_; }
    size_t width() const { return width_; }
    size_t height() const { return height_; }

    OutArray render(const nb::object& view, int frame_width, int frame_height, int x, int y,
                    const std::optional<int>& width, const std::optional<int>& height) const {
        const View corners = view_of(view);
        const int64_t w = width ? *width : int64_t(frame_width) - x;
        const int64_t h = height ? *height : int64_t(frame_height) - y;
        const bool fits = x >= 0 && y >= 0 && w >= 1 && h >= 1 && w <= int64_t(frame_width) - x &&
                          h <= int64_t(frame_height) - y;
        if (!fits || frame_width > kMost || frame_height > kMost)
            raise_plan_error("the rectangle of " + std::to_string(w) + "x" + std::to_string(h) +
                             " does not lie in the frame of " + std::to_string(frame_width) + "x" +
                             std::to_string(frame_height));
        OutArray out = new_plane(size_t(w), size_t(h));
        crispcast_status status;
        {
            const nb::gil_scoped_release unlocked;
            status = crispcast_canvas_render(canvas_, corners.data(), frame_width, frame_height, x,
                                             y, int(w), int(h), out.data(), w);
        }
        check(status);
        return out;
    }

    using View = std::array<int32_t, 8>;

    static View view_of(const nb::object& view) {
        const char* const wanted = "eight whole numbers of 32 bits";
        View corners;
        const nb::sequence numbers = cast<nb::sequence>(view, "the view", wanted);
        if (nb::len(numbers) != corners.size())
            raise_plan_error("the view is not eight numbers: x and y of four corners");
        for (size_t i = 0; i < corners.size(); ++i)
            corners[i] = cast<int32_t>(nb::int_(nb::object(numbers[i])), "the view", wanted);
        return corners;
    }

  private:
    static constexpr int kMost = 4 * CRISPCAST_MAX_SIDE;

    crispcast_canvas* canvas_ = nullptr;
    size_t width_ = 0, height_ = 0;
};

}  // namespace
