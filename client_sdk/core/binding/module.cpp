// The Python face of crispcast_session.h: client_sdk.core._session. Its types are in _session.pyi.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <optional>
#include <string>

#include "crispcast_session.h"

namespace nb = nanobind;

namespace {

using Array = nb::ndarray<nb::ro>;
using OutArray = nb::ndarray<nb::numpy, uint8_t, nb::ndim<2>>;

// A sentence of the core. What it quotes came from anybody: no byte of it may raise by itself.
nb::str as_text(const std::string& bytes) {
    PyObject* const text = PyUnicode_DecodeUTF8(bytes.data(), Py_ssize_t(bytes.size()), "replace");
    if (text == nullptr) throw nb::python_error();
    return nb::steal<nb::str>(text);
}

[[noreturn]] void raise(const char* type, const std::string& message) {
    const nb::object error = nb::module_::import_("kernels.errors").attr(type);
    PyErr_SetObject(error.ptr(), as_text(message).ptr());
    throw nb::python_error();
}

Array plane_of(const nb::object& value, const char* name) {
    Array array;
    if (!nb::try_cast<Array>(value, array) || array.dtype() != nb::dtype<uint8_t>() ||
        array.ndim() != 2 || (array.shape(1) > 1 && array.stride(1) != 1) ||
        (array.shape(0) > 1 && array.stride(0) < int64_t(array.shape(1))) ||
        array.shape(0) > CRISPCAST_MAX_SIDE || array.shape(1) > CRISPCAST_MAX_SIDE)
        raise("StreamError",
              std::string(name) + " is no u8 array [height, width] with contiguous rows");
    return array;
}

// The stride of an array of one row means nothing; give the core one that it accepts.
ptrdiff_t stride_of(const Array& array) {
    return array.shape(0) > 1 ? ptrdiff_t(array.stride(0)) : ptrdiff_t(array.shape(1));
}

struct Size {
    int width = 0, height = 0;

    Size half() const { return {(width + 1) / 2, (height + 1) / 2}; }
    bool operator==(const Size& other) const {
        return width == other.width && height == other.height;
    }
};

// A plane of which a part is shown.
OutArray new_plane(const Size& whole, const Size& shown) {
    uint8_t* data = new uint8_t[size_t(whole.width) * size_t(whole.height)];
    const nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<uint8_t*>(p); });
    const size_t shape[2] = {size_t(shown.height), size_t(shown.width)};
    const int64_t strides[2] = {whole.width, 1};
    return OutArray(data, 2, shape, owner, strides);
}

// What a session is to do, copied: a task outlives the call that gave it.
struct Task {
    explicit Task(const crispcast_task& task)
        : task(task),
          bytes(reinterpret_cast<const char*>(task.bytes), task.size),
          text(task.text) {}

    crispcast_task task;
    std::string bytes, text;
};

struct Result {
    crispcast_session_result result;
    nb::object planes;
};

class Session {
  public:
    Session(int threads, const std::string& isa, int delivery, bool cache, bool plain, bool loops,
            bool offline, double horizon, uint64_t memory_limit,
            const std::optional<std::string>& trust, uint32_t http_from) {
        crispcast_session_options options = {};
        options.threads = threads;
        options.isa = isa.c_str();
        options.delivery = delivery;
        options.cache = cache;
        options.plain = plain;
        options.loops = loops;
        options.offline = offline;
        options.horizon = horizon;
        options.memory_limit = memory_limit;
        options.trust = trust ? trust->c_str() : nullptr;
        options.http_from = http_from;
        check(crispcast_session_create(&options, &session_));
    }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    ~Session() { crispcast_session_destroy(session_); }

    void close() { check(crispcast_session_destroy(session_)); }

    void manifest(const nb::bytes& data, int rung, const std::optional<std::string>& signature) {
        check(crispcast_session_signed_manifest(session_, data.data(), data.size(),
                                                signature ? signature->c_str() : nullptr, rung));
    }
    void verified(int64_t question, std::optional<bool> answer) {
        check(crispcast_session_verified(session_, question, answer ? *answer : -1));
    }
    void connected() { check(crispcast_session_connected(session_)); }
    bool disconnected() {
        int32_t over = 0;
        check(crispcast_session_disconnected(session_, &over));
        return over != 0;
    }
    void message(const nb::bytes& text) {
        check(crispcast_session_message(session_, text.data(), text.size()));
    }
    void frame_bytes(const nb::bytes& data) {
        check(crispcast_session_frame_bytes(session_, data.data(), data.size()));
    }
    void piece(const std::string& sha256, uint64_t offset, const nb::bytes& data) {
        check(crispcast_session_piece(session_, sha256.c_str(), offset, data.data(), data.size()));
    }
    void asset(const std::string& sha256, const nb::bytes& data) {
        check(crispcast_session_asset(session_, sha256.c_str(), data.data(), data.size()));
    }
    void lacks(const std::string& sha256) {
        check(crispcast_session_lacks(session_, sha256.c_str()));
    }
    void picture(const std::string& sha256, const nb::object& samples) {
        if (samples.is_none()) {
            check(crispcast_session_picture(session_, sha256.c_str(), nullptr, 0, 0, 0));
            return;
        }
        const Array array = plane_of(samples, "the picture");
        check(crispcast_session_picture(session_, sha256.c_str(),
                                        static_cast<const uint8_t*>(array.data()), stride_of(array),
                                        int32_t(array.shape(1)), int32_t(array.shape(0))));
    }
    void base(const std::string& id, const std::optional<nb::bytes>& data) {
        check(crispcast_session_base(session_, id.c_str(), data ? data->data() : nullptr,
                                     data ? data->size() : 0));
    }

    std::optional<Task> next_task(int64_t now_ms) {
        crispcast_task task;
        check(crispcast_session_next_task(session_, now_ms, &task));
        if (task.kind == CRISPCAST_TASK_NONE) return std::nullopt;
        return Task(task);
    }

    void seek(int64_t frame) { check(crispcast_session_seek(session_, frame)); }
    void pause(bool on) { check(crispcast_session_pause(session_, on)); }
    void loop(bool on) { check(crispcast_session_loop(session_, on)); }
    void choose_rung(std::optional<int> rung) {
        check(crispcast_session_choose_rung(session_, rung ? *rung : -1));
    }
    void report(double upscale_ms, double fps, bool interpolating) {
        check(crispcast_session_report(session_, upscale_ms, fps, interpolating));
    }
    void leave() { check(crispcast_session_leave(session_)); }

    nb::dict figures() {
        crispcast_session_figures f;
        check(crispcast_session_get_figures(session_, &f));
        nb::dict out;
        out["frames"] = f.frames;
        out["frames_sr"] = f.frames_sr;
        out["late_assets"] = f.late_assets;
        out["asset_bytes"] = f.asset_bytes;
        out["cached_bytes"] = f.cached_bytes;
        out["refused_assets"] = f.refused_assets;
        out["wrong_messages"] = f.wrong_messages;
        out["memory_bytes"] = f.memory_bytes;
        out["frames_lost"] = f.frames_lost;
        return out;
    }

    std::string isa() {
        crispcast_session_info info;
        check(crispcast_session_get_info(session_, &info));
        return info.isa;
    }

    bool ready(int rung, int segment) {
        int32_t ready = 0;
        check(crispcast_session_ready(session_, rung, segment, &ready));
        return ready != 0;
    }

    void coded(uint32_t rtp_time, bool av1, const nb::bytes& unit) {
        check(crispcast_session_coded(session_, rtp_time,
                                      av1 ? CRISPCAST_CODEC_AV1 : CRISPCAST_CODEC_H264, unit.data(),
                                      unit.size()));
    }
    void identify(uint32_t rtp_time, const nb::bytes& payload) {
        check(crispcast_session_identify(session_, rtp_time, payload.data(), payload.size()));
    }

    Result upscale(const nb::sequence& lr, std::optional<uint32_t> rtp_time,
                   std::optional<int64_t> number, int rung, bool networks, int columns) {
        if (nb::len(lr) != 3) raise("StreamError", "an LR frame is three planes: Y, U and V");
        crispcast_session_info info;
        check(crispcast_session_get_info(session_, &info));
        crispcast_session_frame frame = {};
        frame.rtp_time = rtp_time.value_or(0);
        frame.flags = (rtp_time ? 0 : CRISPCAST_FRAME_NUMBERED) |
                      (networks ? 0 : CRISPCAST_FRAME_INTERPOLATE);
        frame.number = number.value_or(-1);
        frame.rung = rung;
        frame.columns = columns;
        Array in[3];
        static const char* const names[] = {"Y", "U", "V"};
        for (size_t i = 0; i < 3; ++i) {
            in[i] = plane_of(lr[i], names[i]);
            frame.in[i] = {static_cast<const uint8_t*>(in[i].data()), stride_of(in[i])};
        }
        frame.width = int32_t(in[0].shape(1));
        frame.height = int32_t(in[0].shape(0));
        for (int i = 1; i < 3; ++i)
            if (in[i].shape(1) != size_t(frame.width + 1) / 2 ||
                in[i].shape(0) != size_t(frame.height + 1) / 2)
                raise("StreamError", std::string(names[i]) + " is not half as large as Y");
        // Of a padded frame a view is given: nothing is copied.
        const Size shown = {info.width, info.height}, whole = padded(info);
        if (!(whole == shown)) frame.flags |= CRISPCAST_FRAME_PADDED;
        OutArray out[3] = {new_plane(whole, shown), new_plane(whole.half(), shown.half()),
                           new_plane(whole.half(), shown.half())};
        for (int i = 0; i < 3; ++i)
            frame.out[i] = {out[i].data(), i == 0 ? whole.width : whole.half().width};
        Result made;
        int32_t status;
        {
            const nb::gil_scoped_release release;
            status = crispcast_session_upscale(session_, &frame, &made.result);
        }
        check(status);
        made.planes =
            made.result.shown ? nb::object(nb::make_tuple(out[0], out[1], out[2])) : nb::none();
        return made;
    }

  private:
    // Room for any rung's frame.
    Size padded(const crispcast_session_info& info) {
        for (int rung = 0; padded_rungs_ < info.rungs; rung = ++padded_rungs_) {
            crispcast_rung_info facts;
            check(crispcast_session_get_rung(session_, rung, &facts));
            padded_.width = std::max(padded_.width, facts.padded_width);
            padded_.height = std::max(padded_.height, facts.padded_height);
        }
        return padded_;
    }

    void check(int32_t status) const {
        if (status == CRISPCAST_OK) return;
        char why[CRISPCAST_WHY_BYTES] = "";
        if (status != CRISPCAST_ERROR_CLOSED && status != CRISPCAST_ERROR_BUSY)
            crispcast_session_why(session_, why, sizeof why);
        const bool package = status == CRISPCAST_ERROR_MANIFEST || status == CRISPCAST_ERROR_RUNG ||
                             status == CRISPCAST_ERROR_FRAME_SIZE ||
                             status == CRISPCAST_ERROR_FRAME_NUMBER;
        raise(package ? "PackageError" : "StreamError",
              why[0] != 0 ? why : crispcast_session_sentence(status));
    }

    crispcast_session session_ = 0;
    Size padded_;
    int padded_rungs_ = 0;  // that are in it
};

nb::bytes as_bytes(const std::string& text) {
    return nb::bytes(text.data(), text.size());
}

}  // namespace

NB_MODULE(_session, m) {
    nb::class_<Task>(m, "Task")
        .def_prop_ro("kind", [](const Task& t) { return t.task.kind; })
        .def_prop_ro("status", [](const Task& t) { return t.task.status; })
        .def_prop_ro("sha256", [](const Task& t) { return std::string(t.task.sha256); })
        .def_prop_ro("id", [](const Task& t) { return std::string(t.task.id); })
        .def_prop_ro("data", [](const Task& t) { return as_bytes(t.bytes); })
        .def_prop_ro("text", [](const Task& t) { return as_text(t.text); })
        .def_prop_ro("offset", [](const Task& t) { return t.task.offset; })
        .def_prop_ro("total", [](const Task& t) { return t.task.total; })
        .def_prop_ro("width", [](const Task& t) { return t.task.width; })
        .def_prop_ro("height", [](const Task& t) { return t.task.height; })
        .def_prop_ro("rung", [](const Task& t) { return t.task.rung; })
        .def_prop_ro("segment", [](const Task& t) { return t.task.segment; })
        .def_prop_ro("frame", [](const Task& t) { return t.task.frame; })
        .def_prop_ro("count", [](const Task& t) { return t.task.count; });

    nb::class_<Result>(m, "Result")
        .def_prop_ro("planes", [](const Result& r) { return r.planes; })
        .def_prop_ro("frame", [](const Result& r) { return r.result.frame; })
        .def_prop_ro("rung", [](const Result& r) { return r.result.rung; })
        .def_prop_ro("segment", [](const Result& r) { return r.result.segment; })
        .def_prop_ro("shown", [](const Result& r) { return r.result.shown != 0; })
        .def_prop_ro("landed", [](const Result& r) { return r.result.landed != 0; })
        .def_prop_ro("super_resolved", [](const Result& r) { return r.result.super_resolved != 0; })
        .def_prop_ro("late", [](const Result& r) { return r.result.late != 0; })
        .def_prop_ro("follows", [](const Result& r) { return r.result.follows != 0; })
        .def_prop_ro("missing", [](const Result& r) { return r.result.missing; });

    nb::class_<Session>(m, "Session")
        .def(nb::init<int, const std::string&, int, bool, bool, bool, bool, double, uint64_t,
                      const std::optional<std::string>&, uint32_t>(),
             nb::kw_only(), nb::arg("threads") = 0, nb::arg("isa") = "auto",
             nb::arg("delivery") = 0, nb::arg("cache") = false, nb::arg("plain") = false,
             nb::arg("loops") = false, nb::arg("offline") = false, nb::arg("horizon") = 0.0,
             nb::arg("memory_limit") = 0, nb::arg("trust") = nb::none(), nb::arg("http_from") = 0)
        .def("close", &Session::close)
        .def("manifest", &Session::manifest, nb::arg("data"), nb::arg("rung") = 0,
             nb::arg("signature") = nb::none())
        .def("verified", &Session::verified, nb::arg("question"), nb::arg("answer").none())
        .def("connected", &Session::connected)
        .def("disconnected", &Session::disconnected)
        .def("message", &Session::message, nb::arg("text"))
        .def("frame_bytes", &Session::frame_bytes, nb::arg("data"))
        .def("piece", &Session::piece, nb::arg("sha256"), nb::arg("offset"), nb::arg("data"))
        .def("asset", &Session::asset, nb::arg("sha256"), nb::arg("data"))
        .def("lacks", &Session::lacks, nb::arg("sha256"))
        .def("picture", &Session::picture, nb::arg("sha256"), nb::arg("samples").none())
        .def("base", &Session::base, nb::arg("id"), nb::arg("data").none())
        .def("next_task", &Session::next_task, nb::arg("now_ms"))
        .def("seek", &Session::seek, nb::arg("frame"))
        .def("pause", &Session::pause, nb::arg("on"))
        .def("loop", &Session::loop, nb::arg("on"))
        .def("choose_rung", &Session::choose_rung, nb::arg("rung").none())
        .def("report", &Session::report, nb::arg("upscale_ms"), nb::arg("fps"),
             nb::arg("interpolating"))
        .def("leave", &Session::leave)
        .def("figures", &Session::figures)
        .def("isa", &Session::isa)
        .def("ready", &Session::ready, nb::arg("rung"), nb::arg("segment"))
        .def("coded", &Session::coded, nb::arg("rtp_time"), nb::arg("av1"), nb::arg("unit"))
        .def("identify", &Session::identify, nb::arg("rtp_time"), nb::arg("payload"))
        .def("upscale", &Session::upscale, nb::arg("lr"), nb::kw_only(),
             nb::arg("rtp_time") = nb::none(), nb::arg("number") = nb::none(), nb::arg("rung") = 0,
             nb::arg("networks") = true, nb::arg("columns") = 0);

    m.def("sentence", [](int status) { return crispcast_session_sentence(status); });
}
