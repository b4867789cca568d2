// The Python face of crispcast.h: kernels.runtime._runtime. Its types are in _runtime.pyi.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "crispcast.h"

namespace nb = nanobind;

namespace {

// Raised for everything that the core refuses; kernels.errors.PlanError.
[[noreturn]] void raise_plan_error(const std::string& message) {
    const nb::object type = nb::module_::import_("kernels.errors").attr("PlanError");
    PyErr_SetString(type.ptr(), message.c_str());
    throw nb::python_error();
}

void check(crispcast_status status) {
    if (status != CRISPCAST_OK) raise_plan_error(crispcast_status_sentence(status));
}

using Array = nb::ndarray<nb::ro>;
using OutArray = nb::ndarray<nb::numpy, uint8_t, nb::ndim<2>>;

std::string size_text(size_t width, size_t height) {
    return std::to_string(width) + "x" + std::to_string(height);
}

// A u8 array [height, width] with unit stride along x, as the core sees it.
template <class AnyArray>
void check_plane(const AnyArray& array, const char* name) {
    const std::string who = name;
    if (array.dtype() != nb::dtype<uint8_t>())
        raise_plan_error(who + " is not of dtype uint8; convert it");
    if (array.ndim() != 2)
        raise_plan_error(who + " has " + std::to_string(array.ndim()) +
                         " dimensions; give an array [height, width]");
    if (array.shape(1) > 1 && array.stride(1) != 1)
        raise_plan_error(who + " is strided along its rows; make each row contiguous");
    if (array.shape(0) > 1 && array.stride(0) < int64_t(array.shape(1)))
        raise_plan_error(who + " has rows that overlap or run backwards; copy it");
}

void check_size(const Array& array, const char* name, size_t width, size_t height) {
    check_plane(array, name);
    if (array.shape(1) != width || array.shape(0) != height)
        raise_plan_error(std::string(name) + " is " + size_text(array.shape(1), array.shape(0)) +
                         ", not " + size_text(width, height));
}

// The stride of an array of one row means nothing; give the core one that it accepts.
template <class AnyArray>
ptrdiff_t stride_of(const AnyArray& array) {
    return array.shape(0) > 1 ? ptrdiff_t(array.stride(0)) : ptrdiff_t(array.shape(1));
}

crispcast_plane plane_of(const Array& array) {
    return {static_cast<const uint8_t*>(array.data()), stride_of(array)};
}

template <class T>
T cast(nb::handle value, const char* name, const char* wanted) {
    T out;
    if (!nb::try_cast<T>(value, out)) raise_plan_error(std::string(name) + " is not " + wanted);
    return out;
}

OutArray new_plane(size_t width, size_t height) {
    uint8_t* data = new uint8_t[width * height];
    const nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<uint8_t*>(p); });
    return OutArray(data, {height, width}, owner);
}

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

class Engine {
  public:
    Engine(int threads, const std::string& isa) {
        if (threads < 0 || threads > CRISPCAST_MAX_THREADS)
            raise_plan_error("threads is " + std::to_string(threads) + ", not 0 to " +
                             std::to_string(CRISPCAST_MAX_THREADS));
        const crispcast_status status = crispcast_engine_create(threads, isa.c_str(), &engine_);
        if (status == CRISPCAST_ERROR_ISA)
            raise_plan_error("isa is '" + isa + "', not auto or one of available_isas()");
        check(status);
    }
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;
    ~Engine() { crispcast_engine_destroy(engine_); }

    const char* isa() const { return crispcast_engine_isa(engine_); }
    int threads() const { return crispcast_engine_threads(engine_); }
    size_t bytes() const { return crispcast_engine_bytes(engine_); }

    nb::tuple upscale(const nb::object& lr, int scale, const nb::object& previous,
                      const nb::object& patches, const nb::object& plans, const Plate* plate,
                      const Canvas* canvas, const nb::object& view, const ChromaPlate* chroma,
                      const nb::object& out) {
        static const char* const names[3] = {"lr[0] (Y)", "lr[1] (U)", "lr[2] (V)"};
        static const char* const out_names[3] = {"out[0] (Y)", "out[1] (U)", "out[2] (V)"};
        crispcast_frame_job job = {};
        job.scale = scale;
        if (scale < 1 || scale > 4)
            raise_plan_error("scale is " + std::to_string(scale) + ", not 1, 2, 3 or 4");

        const nb::sequence lr_planes = cast<nb::sequence>(lr, "lr", "a tuple of three planes");
        if (nb::len(lr_planes) != 3) raise_plan_error("lr is not a tuple of three planes");
        Array in[3];
        for (int i = 0; i < 3; ++i) in[i] = cast<Array>(lr_planes[i], names[i], "an array");
        check_plane(in[0], names[0]);
        const size_t width = in[0].shape(1), height = in[0].shape(0);
        if (width < 1 || height < 1 || width > CRISPCAST_MAX_SIDE || height > CRISPCAST_MAX_SIDE)
            raise_plan_error("the frame is " + size_text(width, height) + ", not 1 to " +
                             std::to_string(CRISPCAST_MAX_SIDE) + " pixels a side");
        job.width = int(width);
        job.height = int(height);
        for (int i = 0; i < 3; ++i) {
            if (i > 0) check_size(in[i], names[i], (width + 1) / 2, (height + 1) / 2);
            job.in[i] = plane_of(in[i]);
        }

        Array previous_array;
        if (!previous.is_none()) {
            previous_array = cast<Array>(previous, "previous", "an array");
            check_size(previous_array, "previous", width, height);
            job.previous = plane_of(previous_array);
        }
        if (plate != nullptr) {
            if (plate->scale() != scale || plate->width() != job.width ||
                plate->height() != job.height)
                raise_plan_error("the plate is for " + size_text(plate->width(), plate->height()) +
                                 " at scale " + std::to_string(plate->scale()) + ", not " +
                                 size_text(width, height) + " at scale " + std::to_string(scale));
            job.plate = plate->get();
        }
        if ((canvas == nullptr) != view.is_none())
            raise_plan_error("a canvas needs a view of it, and a view a canvas; give both");
        if (canvas != nullptr) {
            if (plate != nullptr) raise_plan_error("there is a plate and a canvas; give one");
            const Canvas::View corners = Canvas::view_of(view);
            std::copy(corners.begin(), corners.end(), job.view);
            job.canvas = canvas->get();
        }

        if (chroma != nullptr) {
            const int half_width = (job.width + 1) / 2, half_height = (job.height + 1) / 2;
            if (chroma->scale() != scale || chroma->width() != half_width ||
                chroma->height() != half_height)
                raise_plan_error(
                    "the chroma plate is for " + size_text(chroma->width(), chroma->height()) +
                    " at scale " + std::to_string(chroma->scale()) + ", not " +
                    size_text(half_width, half_height) + " at scale " + std::to_string(scale));
            job.chroma = chroma->get();
        }

        // Held by reference: another thread may change the caller's list while the frame runs.
        std::vector<nb::object> held;
        std::vector<const crispcast_plan*> experts;
        for (nb::handle entry : cast<nb::sequence>(plans, "plans", "a sequence of Plan or None")) {
            held.push_back(nb::borrow(entry));
            const Plan* plan = entry.is_none()
                                   ? nullptr
                                   : cast<Plan*>(entry, "an entry of plans", "a Plan or None");
            if (plan != nullptr && plan->info().scale != scale)
                raise_plan_error("the plan of expert " + std::to_string(held.size()) +
                                 " is for scale " + std::to_string(plan->info().scale) + ", not " +
                                 std::to_string(scale));
            experts.push_back(plan == nullptr ? nullptr : plan->get());
        }
        job.plans = experts.data();
        job.plan_count = experts.size();

        Array patch_array;
        if (!patches.is_none()) {
            patch_array = cast<Array>(patches, "patches", "an array");
            if (patch_array.dtype() != nb::dtype<int32_t>() || patch_array.ndim() != 2 ||
                patch_array.shape(1) != 5)
                raise_plan_error("patches is not an int32 array [n, 5] of x, y, w, h, expert");
            const bool rows_whole = patch_array.stride(1) == 1 &&
                                    (patch_array.shape(0) < 2 || patch_array.stride(0) == 5);
            if (patch_array.shape(0) > 0 && !rows_whole)
                raise_plan_error("patches is not contiguous; copy it");
            static_assert(sizeof(crispcast_patch) == 5 * sizeof(int32_t), "rows are patches");
            static const crispcast_patch nothing = {};
            job.patches = patch_array.shape(0) == 0
                              ? &nothing
                              : static_cast<const crispcast_patch*>(patch_array.data());
            job.patch_count = patch_array.shape(0);
        }

        nb::object result[3];
        for (int i = 0; i < 3; ++i) {
            const size_t w = scale * width, h = scale * height;
            const size_t out_width = i == 0 ? w : (w + 1) / 2,
                         out_height = i == 0 ? h : (h + 1) / 2;
            OutArray array;
            if (out.is_none()) {
                array = new_plane(out_width, out_height);
                result[i] = nb::cast(array);
            } else {
                const nb::sequence given =
                    cast<nb::sequence>(out, "out", "a tuple of three planes");
                if (nb::len(given) != 3) raise_plan_error("out is not a tuple of three planes");
                result[i] = given[i];
                if (!nb::try_cast<OutArray>(result[i], array, false))
                    raise_plan_error(std::string(out_names[i]) +
                                     " is not a writable uint8 array [height, width]");
                check_plane(array, out_names[i]);
                if (array.shape(1) != out_width || array.shape(0) != out_height)
                    raise_plan_error(std::string(out_names[i]) + " is " +
                                     size_text(array.shape(1), array.shape(0)) + ", not " +
                                     size_text(out_width, out_height));
            }
            job.out[i] = {array.data(), stride_of(array)};
        }

        crispcast_status status;
        {
            const nb::gil_scoped_release unlocked;
            status = crispcast_upscale(engine_, &job);
        }
        check(status);
        return nb::make_tuple(result[0], result[1], result[2]);
    }

  private:
    crispcast_engine* engine_ = nullptr;
};

// The patches of a patch map's record, int32 [n, 5] of x, y, width, height, expert.
nb::ndarray<nb::numpy, int32_t> decode_patch_map(const nb::bytes& record, int width, int height,
                                                 int max_expert) {
    size_t count = 0;
    check(crispcast_patch_map_decode(record.data(), record.size(), width, height, max_expert,
                                     nullptr, 0, &count));
    int32_t* rows = new int32_t[count * 5];
    const nb::capsule owner(rows, [](void* p) noexcept { delete[] static_cast<int32_t*>(p); });
    static_assert(sizeof(crispcast_patch) == 5 * sizeof(int32_t), "rows are patches");
    check(crispcast_patch_map_decode(record.data(), record.size(), width, height, max_expert,
                                     reinterpret_cast<crispcast_patch*>(rows), count, &count));
    return nb::ndarray<nb::numpy, int32_t>(rows, {count, 5}, owner);
}

}  // namespace

NB_MODULE(_runtime, m) {
    // Plans and engines that a program still holds when it ends are no error of the binding.
    nb::set_leak_warnings(false);
    m.doc() = "The Crispcast runtime: I420 u8 in, I420 u8 out, through compiled experts.";

    nb::class_<Plan>(m, "Plan")
        .def(nb::init<const nb::bytes&, const std::optional<nb::bytes>&>(), nb::arg("wire"),
             nb::arg("base") = nb::none())
        .def_prop_ro("scale", [](const Plan& p) { return p.info().scale; })
        .def_prop_ro("inputs", &Plan::inputs)
        .def_prop_ro("radius", [](const Plan& p) { return p.info().radius; })
        .def_prop_ro("layers", [](const Plan& p) { return p.info().layers; })
        .def_prop_ro("taps", [](const Plan& p) { return p.info().taps; })
        .def_prop_ro("weights", [](const Plan& p) { return p.info().weights; })
        .def_prop_ro(
            "density",
            [](const Plan& p) { return double(p.info().weights) / double(p.info().weights_dense); })
        .def_prop_ro("macs_per_pixel", [](const Plan& p) { return double(p.info().weights); })
        .def_prop_ro("working_bytes", [](const Plan& p) { return p.info().working_bytes; });

    nb::class_<Plate>(m, "Plate")
        .def(nb::init<const nb::object&, int>(), nb::arg("luma"), nb::arg("scale"))
        .def_prop_ro("scale", &Plate::scale)
        .def_prop_ro("width", &Plate::width)
        .def_prop_ro("height", &Plate::height);

    nb::class_<ChromaPlate>(m, "ChromaPlate")
        .def(nb::init<const nb::object&, const nb::object&, int, int>(), nb::arg("u"), nb::arg("v"),
             nb::arg("scale"), nb::arg("tolerance"))
        .def_prop_ro("scale", &ChromaPlate::scale)
        .def_prop_ro("width", &ChromaPlate::width)
        .def_prop_ro("height", &ChromaPlate::height);

    nb::class_<Canvas>(m, "Canvas")
        .def(nb::init<const nb::object&>(), nb::arg("luma"))
        .def_prop_ro("width", &Canvas::width)
        .def_prop_ro("height", &Canvas::height)
        .def("render", &Canvas::render, nb::arg("view"), nb::arg("frame_width"),
             nb::arg("frame_height"), nb::arg("x") = 0, nb::arg("y") = 0,
             nb::arg("width") = nb::none(), nb::arg("height") = nb::none());

    nb::class_<Engine>(m, "Engine")
        .def(nb::init<int, const std::string&>(), nb::arg("threads") = 0, nb::arg("isa") = "auto")
        .def_prop_ro("isa", &Engine::isa)
        .def_prop_ro("threads", &Engine::threads)
        .def_prop_ro("bytes", &Engine::bytes)
        .def("upscale", &Engine::upscale, nb::arg("lr").none(), nb::arg("scale"), nb::kw_only(),
             nb::arg("previous") = nb::none(), nb::arg("patches") = nb::none(),
             nb::arg("plans") = nb::make_tuple(), nb::arg("plate").none() = nb::none(),
             nb::arg("canvas").none() = nb::none(), nb::arg("view") = nb::none(),
             nb::arg("chroma").none() = nb::none(), nb::arg("out") = nb::none());

    m.def("available_isas", [] {
        nb::list names;
        for (int i = 0; crispcast_isa(i) != nullptr; ++i) names.append(crispcast_isa(i));
        return nb::tuple(names);
    });
    m.def("decode_patch_map", &decode_patch_map, nb::arg("record"), nb::arg("width"),
          nb::arg("height"), nb::arg("max_expert"));
    m.def("version", &crispcast_version);
#if defined(__clang__)
    m.attr("compiler") = "clang " __clang_version__;
#else
    m.attr("compiler") = "GCC " __VERSION__;
#endif
}
