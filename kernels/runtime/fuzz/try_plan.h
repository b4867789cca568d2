// What the fuzzers of plans share: checksums made right, and a plan that was taken is run.
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crispcast.h"

constexpr size_t kHeader = 12, kChecksum = 8;

inline uint32_t crc32(const uint8_t* bytes, size_t size) {
    uint32_t crc = ~0u;
    for (size_t i = 0; i < size; ++i) {
        crc ^= bytes[i];
        for (int k = 0; k < 8; ++k) crc = (crc & 1) ? 0xedb88320u ^ (crc >> 1) : crc >> 1;
    }
    return ~crc;
}

// Memory of exactly `size` bytes, so that the address sanitizer sees one too far.
struct Bytes {
    explicit Bytes(size_t n) : size(n), data(static_cast<uint8_t*>(malloc(n ? n : 1))) {
        for (size_t i = 0; i < n; ++i) data[i] = uint8_t(37 * i + (i >> 3));
    }
    ~Bytes() { free(data); }
    Bytes(const Bytes&) = delete;
    Bytes& operator=(const Bytes&) = delete;
    size_t size;
    uint8_t* data;
};

inline void require(bool holds) {
    if (!holds) abort();
}

constexpr int kMaxIsas = 8;

// One engine an instruction set, made once. `choice` is any number.
inline crispcast_engine* engine_of(uint32_t choice) {
    static crispcast_engine* engines[kMaxIsas];
    uint32_t isas = 0;
    while (isas < kMaxIsas && crispcast_isa(int(isas)) != nullptr) ++isas;
    crispcast_engine*& engine = engines[choice % isas];
    if (engine == nullptr)
        require(crispcast_engine_create(1, crispcast_isa(int(choice % isas)), &engine) ==
                CRISPCAST_OK);
    return engine;
}

// A frame too narrow for a vector or one of a few vectors, in one piece and in two patches.
inline void run(crispcast_engine* engine, const crispcast_plan* plan,
                const crispcast_plan_info& info, int width, int height) {
    const int s = info.scale, cw = (width + 1) / 2, ch = (height + 1) / 2;
    const int ow = (s * width + 1) / 2, oh = (s * height + 1) / 2;
    const Bytes y(size_t(width) * height), u(size_t(cw) * ch), v(size_t(cw) * ch);
    Bytes out_y(size_t(s) * s * width * height), out_u(size_t(ow) * oh), out_v(size_t(ow) * oh);
    crispcast_frame_job job = {};
    job.width = width;
    job.height = height;
    job.scale = s;
    job.in[0] = {y.data, width};
    job.in[1] = {u.data, cw};
    job.in[2] = {v.data, cw};
    job.out[0] = {out_y.data, s * width};
    job.out[1] = {out_u.data, ow};
    job.out[2] = {out_v.data, ow};
    job.plans = &plan;
    job.plan_count = 1;
    require(crispcast_upscale(engine, &job) == CRISPCAST_OK);
    const int cut = width / 2;
    if (cut == 0) return;
    const crispcast_patch patches[2] = {{0, 0, cut, height, 1}, {cut, 0, width - cut, height, 1}};
    const Bytes whole(out_y.size);
    memcpy(whole.data, out_y.data, whole.size);
    job.patches = patches;
    job.patch_count = 2;
    require(crispcast_upscale(engine, &job) == CRISPCAST_OK);
    require(memcmp(whole.data, out_y.data, whole.size) == 0);
}

// Makes the checksum of a wire plan right: a fuzzer cannot guess one. Returns it.
inline uint32_t seal(uint8_t* wire, size_t size) {
    if (size <= kHeader) return 0;
    const uint32_t crc = crc32(wire + kHeader, size - kHeader);
    for (int i = 0; i < 4; ++i) wire[kChecksum + i] = uint8_t(crc >> (8 * i));
    return crc;
}

// A loader's answer is consistent, and the engine can run the plan that it took, which ends here.
inline void try_plan(crispcast_status status, crispcast_plan* plan, uint32_t choice) {
    require((status == CRISPCAST_OK) == (plan != nullptr));
    require(crispcast_status_sentence(status) != nullptr);
    if (plan == nullptr) return;
    crispcast_plan_info info;
    require(crispcast_plan_get_info(plan, &info) == CRISPCAST_OK);
    require(info.scale >= 1 && info.scale <= 4 && info.weights <= info.weights_dense);
    require(info.working_bytes <= CRISPCAST_MAX_WORKING_BYTES);
    // Halos make the work of a small frame that of the plan's radius; keep the fuzzer quick.
    const uint64_t side = 2 * uint64_t(info.radius) + 8;
    const bool quick = info.weights * side * (side + 32) < 40000000;
    if (quick && info.working_bytes < (8u << 20)) {
        run(engine_of(choice), plan, info, 5, 3);
        run(engine_of(choice), plan, info, 37, 4);
    }
    crispcast_plan_destroy(plan);
}
