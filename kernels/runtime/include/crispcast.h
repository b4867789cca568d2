/* Crispcast runtime: low-resolution I420 in, high-resolution I420 out, through compiled experts.
 *
 * How to use it
 *
 *     crispcast_engine* engine;
 *     crispcast_plan* plan;
 *     crispcast_engine_create(0, NULL, &engine);             // all cores, best instruction set
 *     crispcast_plan_create(bytes, size, &plan);             // a wire plan: docs/plan-format.md
 *     crispcast_engine_reserve(engine, plan);                // optional: no allocation afterwards
 *
 *     crispcast_frame_job job = {0};
 *     job.width = 480; job.height = 270; job.scale = 4;      // luma pixels of the LR frame
 *     job.in[0] = (crispcast_plane){y, 480}; job.in[1] = ...; job.in[2] = ...;
 *     job.out[0] = (crispcast_mutable_plane){Y, 1920}; ...
 *     job.plans = (const crispcast_plan* const[]){plan}; job.plan_count = 1;
 *     if ((status = crispcast_upscale(engine, &job)) != CRISPCAST_OK)
 *         puts(crispcast_status_sentence(status));
 *
 *     crispcast_plan_destroy(plan); crispcast_engine_destroy(engine);
 *
 * Words: an expert is a network compiled to a plan; expert 0 is bicubic interpolation. A patch is a
 * rectangle of the LR frame and names its expert. A plate is a still high-resolution picture of the
 * place. `docs/runtime.md` says how the engine works.
 *
 * Ownership. What a *_create call gives is the caller's until its *_destroy. Nothing keeps a
 * pointer to the caller's memory after a call returns: wire bytes, plates and planes are copied or
 * only read during the call. Plans, plates and canvases must outlive the crispcast_upscale call
 * that uses them.
 *
 * Threads. Plans, plates and canvases are immutable once made: any number of threads and engines
 * may share them. Calls on one engine from several threads are safe and run one after the other.
 * *_destroy must not run while another call uses the object.
 *
 * Memory. crispcast_upscale allocates nothing once crispcast_engine_reserve has seen each plan and
 * a frame of that size and number of patches has run. A plan that would need more than
 * CRISPCAST_MAX_WORKING_BYTES of rows per thread is refused when it is loaded.
 *
 * Results. The network of a coded plan (8-bit values between layers) gives the same bits on every
 * processor; the bicubic base that is added to it may differ by one code value. For other plans and
 * one instruction set the output is the same to the last bit for any thread count and
 * any cutting of the frame into patches, and between instruction sets it differs by one code value
 * at most, because fused multiply-adds round once.
 *
 * Safety. Any bytes may be given to the calls that load plans and to crispcast_patch_map_decode. No
 * function throws, prints or exits.
 */
#ifndef CRISPCAST_H
#define CRISPCAST_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define CRISPCAST_API
#else
#define CRISPCAST_API __attribute__((visibility("default")))
#endif

#define CRISPCAST_VERSION "0.1.0"

/* Largest LR frame, in luma pixels a side. */
#define CRISPCAST_MAX_SIDE 16384
/* Largest row memory of a plan per thread, in bytes. */
#define CRISPCAST_MAX_WORKING_BYTES (64u << 20)
/* Most threads of an engine. */
#define CRISPCAST_MAX_THREADS 256
/* Most experts of a segment, interpolation not counted. */
#define CRISPCAST_MAX_EXPERTS 64
/* Most patches that a patch map can hold: 65536, each split in four. */
#define CRISPCAST_MAX_PATCHES 262144
/* The id of a base: the first bytes of the SHA-256 of its wire plan. */
#define CRISPCAST_BASE_ID_BYTES 16

/* Every call returns one of these; crispcast_status_sentence explains it to a user. */
typedef enum crispcast_status {
    CRISPCAST_OK = 0,
    CRISPCAST_ERROR_ARGUMENT = 1, /* a null pointer, or a number outside its documented range */
    CRISPCAST_ERROR_MEMORY = 2,   /* the system gave no memory */
    CRISPCAST_ERROR_THREAD = 3,   /* the system gave no thread */
    CRISPCAST_ERROR_ISA = 4,      /* instruction set unknown, or not of this processor */
    CRISPCAST_ERROR_SIZE = 5,     /* width, height or scale outside the limits */
    CRISPCAST_ERROR_STRIDE = 6,   /* a plane's stride is smaller than its row */
    CRISPCAST_ERROR_PATCHES = 7,  /* patches do not tile the frame exactly once */
    CRISPCAST_ERROR_EXPERT = 8,   /* a patch names an expert beyond the plans given */
    CRISPCAST_ERROR_SCALE = 9,    /* a plan's scale is not the job's */
    CRISPCAST_ERROR_PLATE = 10,   /* a plate, or its chroma, is not of the job's size or scale */
    CRISPCAST_ERROR_VIEW = 11, /* a view's corners enclose nothing, mirror, or lie too far away */

    CRISPCAST_ERROR_PLAN_MAGIC = 20,       /* not a plan */
    CRISPCAST_ERROR_PLAN_VERSION = 21,     /* a version that this runtime does not read */
    CRISPCAST_ERROR_PLAN_FLAGS = 22,       /* reserved flags are set */
    CRISPCAST_ERROR_PLAN_CRC = 23,         /* damaged on the way */
    CRISPCAST_ERROR_PLAN_SIZE = 24,        /* larger than 4 MiB */
    CRISPCAST_ERROR_PLAN_TRUNCATED = 25,   /* ends inside the op table or the payload */
    CRISPCAST_ERROR_PLAN_TRAILING = 26,    /* bytes left over after the payload */
    CRISPCAST_ERROR_PLAN_VARINT = 27,      /* a count above 2^32 - 1 */
    CRISPCAST_ERROR_PLAN_SCALE = 28,       /* scale is not 1, 2, 3 or 4 */
    CRISPCAST_ERROR_PLAN_INPUTS = 29,      /* luma missing, or unknown inputs */
    CRISPCAST_ERROR_PLAN_BASE = 30,        /* unknown base */
    CRISPCAST_ERROR_PLAN_LAYERS = 31,      /* no layers, or more than 128 */
    CRISPCAST_ERROR_PLAN_KERNEL = 32,      /* kernel is not 1, 3 or 5 */
    CRISPCAST_ERROR_PLAN_SOURCES = 33,     /* no sources, more than 8, or one not yet defined */
    CRISPCAST_ERROR_PLAN_CHANNELS = 34,    /* channels of a layer outside 1...512 */
    CRISPCAST_ERROR_PLAN_BLOCK = 35,       /* block is not 1, 4 or 8 */
    CRISPCAST_ERROR_PLAN_LAYER_FLAGS = 36, /* reserved flags of a layer are set */
    CRISPCAST_ERROR_PLAN_RESIDUAL = 37,    /* residual not defined or of other channels */
    CRISPCAST_ERROR_PLAN_BITS = 38,        /* bits are not 2...8 */
    CRISPCAST_ERROR_PLAN_OUTPUT = 39,      /* the last layer has not scale^2 channels */
    CRISPCAST_ERROR_PLAN_LIMIT = 40,   /* channels, weights or radius beyond the format's limits */
    CRISPCAST_ERROR_PLAN_NUMBER = 41,  /* a bias, slope or bound is no finite number, low > high, or
                                          a weight beyond its bits */
    CRISPCAST_ERROR_PLAN_WORKING = 42, /* needs more row memory than CRISPCAST_MAX_WORKING_BYTES */
    CRISPCAST_ERROR_PLAN_CODES = 43,   /* codes of some layers only, sources of different steps, or
                                          weights whose sums over codes would not be exact */
    CRISPCAST_ERROR_PLAN_NEEDS_BASE = 44, /* a difference to a base that was not given */
    CRISPCAST_ERROR_PLAN_BASE_SHAPE = 45, /* the base has layers of other shapes, or is itself a
                                             difference */

    CRISPCAST_ERROR_MAP_SIZE = 60,      /* a patch map larger than 1 MiB */
    CRISPCAST_ERROR_MAP_VERSION = 61,   /* a version that this runtime does not read */
    CRISPCAST_ERROR_MAP_GRID = 62,      /* patches outside 8...16384, or more than 65536 of them */
    CRISPCAST_ERROR_MAP_TRUNCATED = 63, /* ends before its last patch */
    CRISPCAST_ERROR_MAP_TRAILING = 64,  /* bytes left over after the last patch */
    CRISPCAST_ERROR_MAP_EXPERT = 65,    /* an expert beyond those of the segment */
    CRISPCAST_ERROR_MAP_SPLIT = 66,     /* a patch of one row or column is split */
    CRISPCAST_ERROR_MAP_CAPACITY = 67   /* more patches than the array given holds */
} crispcast_status;

/* One English sentence for a status: what was wrong and what to do. Never NULL, never freed. */
CRISPCAST_API const char* crispcast_status_sentence(crispcast_status status);

/* The runtime's version, e.g. "0.1.0". */
CRISPCAST_API const char* crispcast_version(void);

/* Instruction sets this build has and this processor and its system can run, slowest first;
 * index 0 is always "portable". NULL past the last. */
CRISPCAST_API const char* crispcast_isa(int index);

/* ---- plans ------------------------------------------------------------------------------- */

typedef struct crispcast_plan crispcast_plan;

typedef struct crispcast_plan_info {
    int scale;              /* 1, 2, 3 or 4 */
    int has_previous;       /* 1: takes the luma of the frame before */
    int has_plate;          /* 1: takes the plate's scale^2 planes */
    int radius;             /* receptive radius in LR pixels, without the base's 2 */
    int layers;             /* convolutions */
    uint64_t taps;          /* surviving taps, each shared by a block of output channels */
    uint64_t weights;       /* weights of those taps = multiply-adds per LR pixel */
    uint64_t weights_dense; /* the same without pruning */
    uint64_t working_bytes; /* row memory per thread */
} crispcast_plan_info;

/* Checks and prepares the wire plan `bytes` (docs/plan-format.md). On failure *plan is NULL. */
CRISPCAST_API crispcast_status crispcast_plan_create(const void* bytes, size_t size,
                                                     crispcast_plan** plan);

/* The same for a plan that may be a difference: `base` is the wire plan of its base, which must be
 * a full plan; NULL and 0: none, as above. A full plan ignores it. Only read during the call. */
CRISPCAST_API crispcast_status crispcast_plan_create_with_base(const void* bytes, size_t size,
                                                               const void* base, size_t base_size,
                                                               crispcast_plan** plan);
/* Which base the wire plan `bytes` is a difference to, from its header alone: *found is 0 for a
 * full plan, else 1 and the CRISPCAST_BASE_ID_BYTES bytes of `id` are its id. */
CRISPCAST_API crispcast_status crispcast_plan_base_id(const void* bytes, size_t size, uint8_t* id,
                                                      int* found);
CRISPCAST_API crispcast_status crispcast_plan_get_info(const crispcast_plan* plan,
                                                       crispcast_plan_info* info);
/* NULL is allowed. */
CRISPCAST_API void crispcast_plan_destroy(crispcast_plan* plan);

/* ---- plates ------------------------------------------------------------------------------ */

typedef struct crispcast_plate crispcast_plate;

/* Copies an HR luma plane of width x height samples (multiples of scale), `stride` bytes a row,
 * into scale^2 planes of LR size. On failure *plate is NULL. */
CRISPCAST_API crispcast_status crispcast_plate_create(const uint8_t* luma, ptrdiff_t stride,
                                                      int width, int height, int scale,
                                                      crispcast_plate** plate);
/* NULL is allowed. */
CRISPCAST_API void crispcast_plate_destroy(crispcast_plate* plate);

/* ---- chroma plates ----------------------------------------------------------------------- */

/* The chroma of a plate. Where it agrees with the LR's, the frame takes it in place of what is
 * interpolated, by whole numbers and so alike on every processor; where something moves, it fades
 * out (docs/chroma.md). No plan reads it, and it goes with any plans, or none. */
typedef struct crispcast_chroma_plate crispcast_chroma_plate;

/* Largest tolerance: nine samples wrong by 255. */
#define CRISPCAST_MAX_TOLERANCE 2295

/* Copies HR chroma planes of width x height samples each: `scale` times those of the LR, whose
 * sides are at most CRISPCAST_MAX_SIDE / 2. Code 0 of U: no plate there. tolerance,
 * 1...CRISPCAST_MAX_TOLERANCE: how far the sum of nine LR samples may be off, in codes, and the
 * plate still be taken whole; from twice as far on it is not taken. On failure *plate is NULL. */
CRISPCAST_API crispcast_status crispcast_chroma_plate_create(const uint8_t* u, ptrdiff_t u_stride,
                                                             const uint8_t* v, ptrdiff_t v_stride,
                                                             int width, int height, int scale,
                                                             int tolerance,
                                                             crispcast_chroma_plate** plate);
/* NULL is allowed. */
CRISPCAST_API void crispcast_chroma_plate_destroy(crispcast_chroma_plate* plate);

/* ---- canvases ---------------------------------------------------------------------------- */

/* A plate larger than the frame, for a camera that moves. Each frame has a view: x and y of the
 * corners of the HR frame (scale * width by scale * height, at whole samples 0 and size) in the
 * canvas, in 1/16 of its samples, clockwise from the top left. The warp between is projective,
 * sampled bicubically, and the same to the last bit on every processor; where the frame looks
 * beyond the canvas, its plate is code 128 (docs/canvas.md).
 *
 * Views come from the network. Corners beyond 2^19, or that enclose nothing or mirror the frame,
 * are refused with CRISPCAST_ERROR_VIEW; any others are safe, however absurd. */
typedef struct crispcast_canvas crispcast_canvas;

/* Copies a luma plane of width x height samples, 1...CRISPCAST_MAX_SIDE, `stride` bytes a row. On
 * failure *canvas is NULL. */
CRISPCAST_API crispcast_status crispcast_canvas_create(const uint8_t* luma, ptrdiff_t stride,
                                                       int width, int height,
                                                       crispcast_canvas** canvas);
/* NULL is allowed. */
CRISPCAST_API void crispcast_canvas_destroy(crispcast_canvas* canvas);

/* Writes the rectangle x, y, width, height of the plate that an HR frame of frame_width x
 * frame_height sees through `view` (8 numbers). crispcast_upscale needs no such call. */
CRISPCAST_API crispcast_status crispcast_canvas_render(const crispcast_canvas* canvas,
                                                       const int32_t* view, int frame_width,
                                                       int frame_height, int x, int y, int width,
                                                       int height, uint8_t* out, ptrdiff_t stride);

/* ---- engine ------------------------------------------------------------------------------ */

typedef struct crispcast_engine crispcast_engine;

/* threads: 0 = one per core this process may use, else 1...CRISPCAST_MAX_THREADS (the caller's
 * thread is one of them). isa: a name that crispcast_isa gives, or NULL or "auto" for the best. */
CRISPCAST_API crispcast_status crispcast_engine_create(int threads, const char* isa,
                                                       crispcast_engine** engine);
/* NULL is allowed. */
CRISPCAST_API void crispcast_engine_destroy(crispcast_engine* engine);
CRISPCAST_API int crispcast_engine_threads(const crispcast_engine* engine);
CRISPCAST_API const char* crispcast_engine_isa(const crispcast_engine* engine);
/* Bytes the engine holds now, all threads. */
CRISPCAST_API size_t crispcast_engine_bytes(const crispcast_engine* engine);

/* Makes room for `plan`, so that no later crispcast_upscale with it allocates. */
CRISPCAST_API crispcast_status crispcast_engine_reserve(crispcast_engine* engine,
                                                        const crispcast_plan* plan);

typedef struct crispcast_plane {
    const uint8_t* data;
    ptrdiff_t stride; /* bytes from a row to the next; at least the row's width */
} crispcast_plane;

typedef struct crispcast_mutable_plane {
    uint8_t* data;
    ptrdiff_t stride;
} crispcast_mutable_plane;

/* A rectangle of LR luma pixels and the expert that upscales it: 0 = interpolation, i = plans[i-1].
 */
typedef struct crispcast_patch {
    int32_t x, y, width, height, expert;
} crispcast_patch;

/* One frame. Zero-initialise it. Sizes in samples, I420: chroma planes of the LR frame are
 * ceil(width/2) x ceil(height/2), of the HR frame ceil(scale*width/2) x ceil(scale*height/2). */
typedef struct crispcast_frame_job {
    int width, height;              /* LR luma, 1...CRISPCAST_MAX_SIDE */
    int scale;                      /* 1, 2, 3 or 4 */
    crispcast_plane in[3];          /* Y, U, V */
    crispcast_mutable_plane out[3]; /* Y, U, V; must not overlap any input */
    crispcast_plane previous;       /* luma of the frame before; data NULL: the frame's own */
    const crispcast_plate* plate;   /* NULL: plate planes are code 128 */
    const crispcast_patch* patches; /* must tile the frame; NULL: one patch, expert 1 or 0 */
    size_t patch_count;
    const crispcast_plan* const* plans; /* plans[i] is expert i+1; NULL entry: interpolation */
    size_t plan_count;
    const crispcast_canvas* canvas;       /* instead of a plate; NULL: none */
    int32_t view[8];                      /* where the frame lies in the canvas */
    const crispcast_chroma_plate* chroma; /* NULL: chroma is interpolated */
} crispcast_frame_job;

/* Upscales one frame; returns when the output planes are whole. */
CRISPCAST_API crispcast_status crispcast_upscale(crispcast_engine* engine,
                                                 const crispcast_frame_job* job);

/* ---- patch maps -------------------------------------------------------------------------- */

/* Decodes a record of a patch map (docs/patch-maps.md) for an LR frame of width x height luma
 * pixels into the patches of a frame job, in raster order, a split patch as its four quarters.
 * max_expert: the number of experts of the segment, 0...CRISPCAST_MAX_EXPERTS.
 *
 * `patches` holds `capacity` of them; NULL and 0 only check the record and count. *count is how
 * many patches the record has, also where capacity is too small; after any other error it is 0, and
 * what `patches` holds is undefined. Allocates nothing; any threads at once. */
CRISPCAST_API crispcast_status crispcast_patch_map_decode(const void* record, size_t size,
                                                          int width, int height, int max_expert,
                                                          crispcast_patch* patches, size_t capacity,
                                                          size_t* count);

#ifdef __cplusplus
}
#endif
#endif
