// The runtime's contract, checked natively: `contract PLAN`, or `contract PLAN frames` without the
// lies, which are the same on every processor of an architecture, or `contract PLAN bits` for a
// plan whose frames may not differ by a bit between instruction sets. Meant for sanitizers and for
// other processors (under qemu). Prints a hash of the portable result and "ok", or says what
// failed.
//
// Every instruction set of the machine agrees with the portable one within a code value; threads
// and patches never change a bit; one engine and one plan serve several callers at once; no bytes
// offered as a plan do harm.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crispcast.h"

static void require(bool holds, const char* what) {
    if (holds) return;
    printf("failed: %s\n", what);
    exit(1);
}

static unsigned random_state = 1;
static unsigned random_number() {
    random_state = random_state * 1664525u + 1013904223u;
    return random_state >> 8;
}

static uint8_t* random_bytes(size_t size) {
    uint8_t* bytes = static_cast<uint8_t*>(malloc(size));
    for (size_t i = 0; i < size; ++i) bytes[i] = uint8_t(random_number());
    return bytes;
}

// A frame with exactly as much memory as it may touch, so that sanitizers see a byte too far.
struct Frame {
    int width, height, scale;
    size_t in_sizes[3], out_sizes[3];
    uint8_t* in[3];
    uint8_t* previous;
    uint8_t* plate_luma;
    crispcast_plate* plate = nullptr;
    crispcast_chroma_plate* chroma = nullptr;

    Frame(int w, int h, int s) : width(w), height(h), scale(s) {
        for (int i = 0; i < 3; ++i) {
            in_sizes[i] = size_t(in_width(i)) * (i == 0 ? h : (h + 1) / 2);
            out_sizes[i] = size_t(out_width(i)) * (i == 0 ? s * h : (s * h + 1) / 2);
            in[i] = random_bytes(in_sizes[i]);
        }
        previous = random_bytes(in_sizes[0]);
        plate_luma = random_bytes(out_sizes[0]);
        require(crispcast_plate_create(plate_luma, s * w, s * w, s * h, s, &plate) == CRISPCAST_OK,
                "a plate is made");
        const int width = s * in_width(1), height = s * ((h + 1) / 2);
        uint8_t* colours = random_bytes(size_t(2) * width * height);
        // Random planes are off by some hundreds in nine samples: weights of all sizes.
        require(crispcast_chroma_plate_create(colours, width, colours + width * height, width,
                                              width, height, s, 200, &chroma) == CRISPCAST_OK,
                "a chroma plate is made");
        free(colours);
    }
    ~Frame() {
        for (uint8_t* plane : in) free(plane);
        free(previous);
        free(plate_luma);
        crispcast_plate_destroy(plate);
        crispcast_chroma_plate_destroy(chroma);
    }
    int in_width(int i) const { return i == 0 ? width : (width + 1) / 2; }
    int out_width(int i) const { return i == 0 ? scale * width : (scale * width + 1) / 2; }
};

struct Result {
    uint8_t* planes[3];
    size_t sizes[3];

    explicit Result(const Frame& frame) {
        for (int i = 0; i < 3; ++i) {
            sizes[i] = frame.out_sizes[i];
            planes[i] = static_cast<uint8_t*>(calloc(sizes[i], 1));
        }
    }
    ~Result() {
        for (uint8_t* plane : planes) free(plane);
    }
    int distance(const Result& other) const {
        int most = 0;
        for (int i = 0; i < 3; ++i)
            for (size_t k = 0; k < sizes[i]; ++k) {
                const int d = abs(planes[i][k] - other.planes[i][k]);
                most = d > most ? d : most;
            }
        return most;
    }
};

static crispcast_frame_job job_of(const Frame& frame, const crispcast_plan* const* plan,
                                  Result& result) {
    crispcast_frame_job job = {};
    job.width = frame.width;
    job.height = frame.height;
    job.scale = frame.scale;
    for (int i = 0; i < 3; ++i) {
        job.in[i] = {frame.in[i], frame.in_width(i)};
        job.out[i] = {result.planes[i], frame.out_width(i)};
    }
    job.previous = {frame.previous, frame.width};
    job.plate = frame.plate;
    job.chroma = frame.chroma;
    job.plans = plan;
    job.plan_count = 1;
    return job;
}

static void upscale(const char* isa, int threads, const Frame& frame, const crispcast_plan* plan,
                    const crispcast_patch* patches, size_t patch_count, Result& result) {
    crispcast_engine* engine;
    require(crispcast_engine_create(threads, isa, &engine) == CRISPCAST_OK, "an engine is made");
    require(crispcast_engine_reserve(engine, plan) == CRISPCAST_OK, "a plan is reserved");
    crispcast_frame_job job = job_of(frame, &plan, result);
    job.patches = patches;
    job.patch_count = patch_count;
    for (int frames = 0; frames < 2; ++frames)
        require(crispcast_upscale(engine, &job) == CRISPCAST_OK, "a frame is upscaled");
    crispcast_engine_destroy(engine);
}

// One of several threads that share an engine, a plan and a frame, each with its own result.
struct Caller {
    crispcast_engine* engine;
    const crispcast_plan* plan;
    const Frame* frame;
    Result* result;
};

static void* call(void* context) {
    const Caller& caller = *static_cast<const Caller*>(context);
    const crispcast_frame_job job = job_of(*caller.frame, &caller.plan, *caller.result);
    for (int frames = 0; frames < 4; ++frames) {
        require(crispcast_engine_reserve(caller.engine, caller.plan) == CRISPCAST_OK,
                "a plan is reserved beside other calls");
        require(crispcast_upscale(caller.engine, &job) == CRISPCAST_OK,
                "a frame is upscaled beside other calls");
        require(crispcast_engine_bytes(caller.engine) != 0,
                "its bytes are told beside other calls");
    }
    return nullptr;
}

// Two callers on one engine and one on another, all with the same plan.
static void check_callers(const crispcast_plan* plan, int scale) {
    const Frame frame(61, 23, scale);
    Result alone(frame), first(frame), second(frame), third(frame);
    upscale(nullptr, 1, frame, plan, nullptr, 0, alone);
    crispcast_engine *shared, *own;
    require(crispcast_engine_create(2, nullptr, &shared) == CRISPCAST_OK, "an engine is made");
    require(crispcast_engine_create(1, nullptr, &own) == CRISPCAST_OK, "an engine is made");
    Caller callers[3] = {{shared, plan, &frame, &first},
                         {shared, plan, &frame, &second},
                         {own, plan, &frame, &third}};
    pthread_t threads[3];
    for (int i = 0; i < 3; ++i)
        require(pthread_create(&threads[i], nullptr, call, &callers[i]) == 0, "a thread is made");
    for (pthread_t thread : threads) pthread_join(thread, nullptr);
    for (const Caller& caller : callers)
        require(caller.result->distance(alone) == 0, "callers never change a bit for each other");
    crispcast_engine_destroy(shared);
    crispcast_engine_destroy(own);
}

static unsigned long long check_frame(const crispcast_plan* plan, int width, int height, int scale,
                                      int tolerance) {
    const Frame frame(width, height, scale);
    Result portable(frame);
    upscale("portable", 1, frame, plan, nullptr, 0, portable);
    for (int i = 0; crispcast_isa(i) != nullptr; ++i) {
        const char* isa = crispcast_isa(i);
        Result one(frame), many(frame), cut(frame);
        upscale(isa, 1, frame, plan, nullptr, 0, one);
        require(one.distance(portable) <= tolerance, "instruction sets agree");
        upscale(isa, 3, frame, plan, nullptr, 0, many);
        require(many.distance(one) == 0, "threads never change a bit");
        if (width < 8 || height < 8) continue;
        const int x = width / 3, y = height / 4;
        const crispcast_patch patches[4] = {{x, 0, width - x, y, 1},
                                            {0, 0, x, y, 1},
                                            {0, y, x + 1, height - y, 1},
                                            {x + 1, y, width - x - 1, height - y, 1}};
        upscale(isa, 2, frame, plan, patches, 4, cut);
        require(cut.distance(one) == 0, "patches never change a bit");
    }
    unsigned long long hash = 1469598103934665603ull;
    for (int i = 0; i < 3; ++i)
        for (size_t k = 0; k < portable.sizes[i]; ++k)
            hash = (hash ^ portable.planes[i][k]) * 1099511628211ull;
    return hash;
}

static uint32_t crc32(const uint8_t* bytes, size_t size) {
    uint32_t crc = ~0u;
    for (size_t i = 0; i < size; ++i) {
        crc ^= bytes[i];
        for (int k = 0; k < 8; ++k) crc = (crc & 1) ? 0xedb88320u ^ (crc >> 1) : crc >> 1;
    }
    return ~crc;
}

// Offers a lie with a right checksum, and runs it where it is believed.
static void offer(uint8_t* wire, size_t size) {
    const uint32_t crc = crc32(wire + 12, size - 12);
    for (int i = 0; i < 4; ++i) wire[8 + i] = uint8_t(crc >> (8 * i));
    crispcast_plan* plan;
    const crispcast_status status = crispcast_plan_create(wire, size, &plan);
    require((status == CRISPCAST_OK) == (plan != nullptr), "a refused plan is null");
    if (plan == nullptr) return;
    crispcast_plan_info info;
    crispcast_plan_get_info(plan, &info);
    if (info.weights_dense < 20000) {
        const Frame frame(19, 11, info.scale);
        Result result(frame);
        upscale(nullptr, 2, frame, plan, nullptr, 0, result);
    }
    crispcast_plan_destroy(plan);
}

static void check_lies(const uint8_t* wire, size_t size) {
    uint8_t* lie = static_cast<uint8_t*>(malloc(size));
    for (size_t i = 12; i < size; ++i) {
        memcpy(lie, wire, size);
        lie[i] = uint8_t(random_number());
        offer(lie, size);
        memcpy(lie, wire, size);
        for (int k = 0; k < 3; ++k)
            lie[12 + random_number() % (size - 12)] ^= 1 << random_number() % 8;
        offer(lie, size);
    }
    free(lie);
    for (size_t cut = 0; cut < size; ++cut) {
        uint8_t* part = static_cast<uint8_t*>(malloc(cut + 1));
        memcpy(part, wire, cut);
        crispcast_plan* plan;
        require(crispcast_plan_create(part, cut, &plan) != CRISPCAST_OK && plan == nullptr,
                "a truncated plan is refused");
        if (cut > 12) offer(part, cut);
        free(part);
    }
}

// Views of a small canvas, from sane to absurd, beside the plate that they show.
static void check_views(const crispcast_plan* plan, int scale) {
    const Frame frame(70, 33, scale);
    const int width = scale * frame.width, height = scale * frame.height;
    uint8_t* luma = random_bytes(61 * 47);
    crispcast_canvas* canvas;
    require(crispcast_canvas_create(luma, 61, 61, 47, &canvas) == CRISPCAST_OK, "a canvas is made");
    free(luma);
    crispcast_engine* engine;
    require(crispcast_engine_create(2, nullptr, &engine) == CRISPCAST_OK, "an engine is made");
    uint8_t* shown = static_cast<uint8_t*>(malloc(size_t(width) * height));
    int seen = 0;
    for (int i = 0; i < 60; ++i) {
        crispcast_frame_job job = {};
        const int reach = i < 20 ? 160 : i < 40 ? 16000 : 1 << 20;
        for (int k = 0; k < 8; ++k) job.view[k] = int(random_number()) % reach;
        if (i < 20) {
            job.view[2] += 16 * width;
            job.view[4] += 16 * width;
            job.view[5] += 16 * height;
            job.view[7] += 16 * height;
        }
        const crispcast_status rendered = crispcast_canvas_render(
            canvas, job.view, width, height, 0, 0, width, height, shown, width);
        Result through(frame), direct(frame);
        crispcast_frame_job view_job = job_of(frame, &plan, through);
        view_job.plate = nullptr;
        view_job.canvas = canvas;
        memcpy(view_job.view, job.view, sizeof job.view);
        require(crispcast_upscale(engine, &view_job) == rendered, "views are refused alike");
        if (rendered != CRISPCAST_OK) {
            require(rendered == CRISPCAST_ERROR_VIEW, "a view is refused as such");
            continue;
        }
        ++seen;
        crispcast_plate* plate;
        require(crispcast_plate_create(shown, width, width, height, scale, &plate) == CRISPCAST_OK,
                "what a view shows is a plate");
        crispcast_frame_job plate_job = job_of(frame, &plan, direct);
        plate_job.plate = plate;
        require(crispcast_upscale(engine, &plate_job) == CRISPCAST_OK, "a frame is upscaled");
        require(through.distance(direct) == 0, "a view is the plate that it shows, to the bit");
        crispcast_plate_destroy(plate);
    }
    require(seen >= 20, "sane views are shown");
    free(shown);
    crispcast_engine_destroy(engine);
    crispcast_canvas_destroy(canvas);
}

int main(int argc, char** argv) {
    require(argc == 2 || argc == 3, "usage: contract PLAN [frames|bits]");
    const int tolerance = argc == 3 && strcmp(argv[2], "bits") == 0 ? 0 : 1;
    FILE* file = fopen(argv[1], "rb");
    require(file != nullptr, "the plan can be read");
    uint8_t wire[65536];
    const size_t size = fread(wire, 1, sizeof wire, file);
    fclose(file);
    crispcast_plan* plan;
    require(crispcast_plan_create(wire, size, &plan) == CRISPCAST_OK, "the plan is accepted");
    crispcast_plan_info info;
    crispcast_plan_get_info(plan, &info);
    const int sizes[5][2] = {{70, 33}, {1, 1}, {3, 2}, {17, 40}, {530, 9}};
    unsigned long long hash = 0;
    for (const int* s : sizes)
        hash = hash * 31 + check_frame(plan, s[0], s[1], info.scale, tolerance);
    check_callers(plan, info.scale);
    check_views(plan, info.scale);
    crispcast_plan_destroy(plan);
    if (argc == 2) check_lies(wire, size);
    for (int i = 0; crispcast_isa(i) != nullptr; ++i) printf("%s ", crispcast_isa(i));
    printf("%016llx ok\n", hash);
    return 0;
}
