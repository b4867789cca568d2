/* upscale PLAN WIDTH HEIGHT < small.yuv > large.yuv
 *
 * Reads raw I420 frames of WIDTH x HEIGHT until the input ends, upscales each with the expert in
 * the file PLAN and writes raw I420 frames. docs/c-api.md builds and explains it. */
#include <crispcast.h>
#include <stdio.h>
#include <stdlib.h>

static void fail(const char* what, crispcast_status status) {
    fprintf(stderr, "upscale: %s: %s\n", what, crispcast_status_sentence(status));
    exit(1);
}

/* The whole file, of at most the size that a plan may have; exits where it cannot be read. */
static size_t read_file(const char* path, unsigned char** bytes) {
    const size_t most = (4u << 20) + 1; /* one more, so that a longer file is refused, not cut */
    FILE* file = fopen(path, "rb");
    *bytes = malloc(most);
    if (file == NULL || *bytes == NULL) {
        fprintf(stderr, "upscale: cannot read %s\n", path);
        exit(1);
    }
    const size_t size = fread(*bytes, 1, most, file);
    fclose(file);
    return size;
}

/* One I420 frame in one piece of memory, and where its planes are. */
typedef struct frame {
    size_t size;
    uint8_t* planes[3];
    ptrdiff_t strides[3];
} frame;

static frame make_frame(int width, int height) {
    const int chroma_width = (width + 1) / 2, chroma_height = (height + 1) / 2;
    const size_t luma = (size_t)width * height, chroma = (size_t)chroma_width * chroma_height;
    frame made = {luma + 2 * chroma, {NULL}, {width, chroma_width, chroma_width}};
    made.planes[0] = malloc(made.size);
    if (made.planes[0] == NULL) fail("a frame", CRISPCAST_ERROR_MEMORY);
    made.planes[1] = made.planes[0] + luma;
    made.planes[2] = made.planes[1] + chroma;
    return made;
}

int main(int argc, char** argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: upscale PLAN WIDTH HEIGHT < small.yuv > large.yuv\n");
        return 2;
    }
    const int width = atoi(argv[2]), height = atoi(argv[3]);
    if (width < 1 || height < 1 || width > CRISPCAST_MAX_SIDE || height > CRISPCAST_MAX_SIDE)
        fail("the frame", CRISPCAST_ERROR_SIZE);

    unsigned char* bytes;
    const size_t size = read_file(argv[1], &bytes);
    crispcast_plan* plan;
    crispcast_status status = crispcast_plan_create(bytes, size, &plan);
    free(bytes); /* the plan keeps nothing of them */
    if (status != CRISPCAST_OK) fail(argv[1], status);
    crispcast_plan_info info;
    status = crispcast_plan_get_info(plan, &info);
    if (status != CRISPCAST_OK) fail(argv[1], status);

    crispcast_engine* engine;
    status = crispcast_engine_create(0, NULL, &engine);
    if (status != CRISPCAST_OK) fail("the engine", status);
    fprintf(stderr, "upscale: scale %d, %llu multiply-adds a pixel, %s, %d threads\n", info.scale,
            (unsigned long long)info.weights, crispcast_engine_isa(engine),
            crispcast_engine_threads(engine));

    frame small = make_frame(width, height);
    frame large = make_frame(info.scale * width, info.scale * height);
    const crispcast_plan* const plans[] = {plan};
    crispcast_frame_job job = {0};
    job.width = width;
    job.height = height;
    job.scale = info.scale;
    for (int i = 0; i < 3; ++i) {
        job.in[i] = (crispcast_plane){small.planes[i], small.strides[i]};
        job.out[i] = (crispcast_mutable_plane){large.planes[i], large.strides[i]};
    }
    job.plans = plans; /* no patches: the whole frame by expert 1 */
    job.plan_count = 1;
    while (fread(small.planes[0], 1, small.size, stdin) == small.size) {
        status = crispcast_upscale(engine, &job);
        if (status != CRISPCAST_OK) fail("a frame", status);
        if (fwrite(large.planes[0], 1, large.size, stdout) != large.size) {
            fprintf(stderr, "upscale: the output cannot be written\n");
            return 1;
        }
    }
    free(small.planes[0]);
    free(large.planes[0]);
    crispcast_engine_destroy(engine);
    crispcast_plan_destroy(plan);
    return 0;
}
