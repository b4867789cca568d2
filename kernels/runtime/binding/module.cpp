// The Python face of crispcast.h: kernels.runtime._runtime. Its types are in _runtime.pyi.
#include <algorithm>
#include <vector>

#include "holdings.h"

namespace {

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
    size_t bytes() const {
        const nb::gil_scoped_release unlocked;  // it may wait for a frame
        return crispcast_engine_bytes(engine_);
    }

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
