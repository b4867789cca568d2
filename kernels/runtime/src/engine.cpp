// The engine: checks a frame job, cuts it into pieces and lets the threads take them in turn.
#include <atomic>
#include <new>

#include "cpu.h"
#include "pool.h"
#include "strip.h"
#include "tiling.h"

using namespace crispcast;

struct crispcast_engine {
    const RowKernels* kernels = nullptr;
    Pool pool;
    Array<Arena*> arenas;  // one a thread
    Tiling tiling;
    View view;
    mutable pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

    ~crispcast_engine() {
        for (Arena* arena : arenas) delete arena;
        pthread_mutex_destroy(&mutex);
    }
};

namespace {

struct Lock {
    explicit Lock(pthread_mutex_t& m) : mutex(m) { pthread_mutex_lock(&mutex); }
    ~Lock() { pthread_mutex_unlock(&mutex); }
    pthread_mutex_t& mutex;
};

struct Run {
    const crispcast_engine* engine;
    const Frame* frame;
    std::atomic<size_t> next;
};

void work(void* context, int thread) {
    Run& run = *static_cast<Run*>(context);
    const crispcast_engine& engine = *run.engine;
    const Array<Piece>& pieces = engine.tiling.pieces();
    Arena& arena = *engine.arenas[size_t(thread)];
    for (;;) {
        const size_t i = run.next.fetch_add(1, std::memory_order_relaxed);
        if (i >= pieces.size()) return;
        const Piece& p = pieces[i];
        const Frame& frame = *run.frame;
        if (p.plan != nullptr) {
            run_strip(*engine.kernels, *p.plan, frame, {p.x0, p.y0, p.x1, p.y1}, arena);
        } else {
            interpolate(*engine.kernels, frame.planes[p.plane], frame.scale, frame.taps, p.x0, p.y0,
                        p.x1, p.y1, arena.base);
            if (p.plane > 0 && frame.chroma != nullptr)
                mend(*frame.chroma, frame.planes + 1, p.plane - 1, p.y0, p.y1, arena.chroma);
        }
    }
}

crispcast_status check(const crispcast_frame_job& job) {
    if (job.width < 1 || job.height < 1 || job.width > CRISPCAST_MAX_SIDE ||
        job.height > CRISPCAST_MAX_SIDE || job.scale < 1 || job.scale > 4)
        return CRISPCAST_ERROR_SIZE;
    if ((job.plans == nullptr && job.plan_count != 0) ||
        (job.patches == nullptr && job.patch_count != 0))
        return CRISPCAST_ERROR_ARGUMENT;
    for (int i = 0; i < 3; ++i) {
        const int width = i == 0 ? job.width : (job.width + 1) / 2;
        const int out_width = i == 0 ? job.scale * job.width : (job.scale * job.width + 1) / 2;
        if (job.in[i].data == nullptr || job.out[i].data == nullptr)
            return CRISPCAST_ERROR_ARGUMENT;
        if (job.in[i].stride < width || job.out[i].stride < out_width)
            return CRISPCAST_ERROR_STRIDE;
    }
    if (job.previous.data != nullptr && job.previous.stride < job.width)
        return CRISPCAST_ERROR_STRIDE;
    if (job.plate != nullptr && (job.plate->width != job.width || job.plate->height != job.height ||
                                 job.plate->scale != job.scale))
        return CRISPCAST_ERROR_PLATE;
    const crispcast_chroma_plate* chroma = job.chroma;
    if (chroma != nullptr && (chroma->width != (job.width + 1) / 2 ||
                              chroma->height != (job.height + 1) / 2 || chroma->scale != job.scale))
        return CRISPCAST_ERROR_PLATE;
    if (job.plate != nullptr && job.canvas != nullptr) return CRISPCAST_ERROR_ARGUMENT;
    for (size_t i = 0; i < job.plan_count; ++i)
        if (job.plans[i] != nullptr && job.plans[i]->plan.scale != job.scale)
            return CRISPCAST_ERROR_SCALE;
    return CRISPCAST_OK;
}

bool reserve(crispcast_engine& engine, const Plan& plan) {
    for (Arena* arena : engine.arenas)
        if (!arena->reserve(*engine.kernels, plan)) return false;
    return true;
}

}  // namespace

crispcast_status crispcast_engine_create(int threads, const char* isa, crispcast_engine** engine) {
    if (engine == nullptr) return CRISPCAST_ERROR_ARGUMENT;
    *engine = nullptr;
    if (threads < 0 || threads > CRISPCAST_MAX_THREADS) return CRISPCAST_ERROR_ARGUMENT;
    const RowKernels* kernels = kernels_named(isa);
    if (kernels == nullptr) return CRISPCAST_ERROR_ISA;
    if (threads == 0) threads = usable_cores();
    if (threads > CRISPCAST_MAX_THREADS) threads = CRISPCAST_MAX_THREADS;

    crispcast_engine* made = new (std::nothrow) crispcast_engine;
    if (made == nullptr) return CRISPCAST_ERROR_MEMORY;
    made->kernels = kernels;
    crispcast_status status = CRISPCAST_OK;
    for (int i = 0; i < threads && status == CRISPCAST_OK; ++i) {
        Arena* arena = new (std::nothrow) Arena;
        if (arena == nullptr || !made->arenas.push(arena)) {
            delete arena;
            status = CRISPCAST_ERROR_MEMORY;
        }
    }
    if (status == CRISPCAST_OK && !made->pool.start(threads)) status = CRISPCAST_ERROR_THREAD;
    if (status != CRISPCAST_OK) {
        delete made;
        return status;
    }
    *engine = made;
    return CRISPCAST_OK;
}

void crispcast_engine_destroy(crispcast_engine* engine) {
    delete engine;
}

int crispcast_engine_threads(const crispcast_engine* engine) {
    return engine == nullptr ? 0 : engine->pool.threads();
}

const char* crispcast_engine_isa(const crispcast_engine* engine) {
    return engine == nullptr ? "" : engine->kernels->isa;
}

size_t crispcast_engine_bytes(const crispcast_engine* engine) {
    if (engine == nullptr) return 0;
    const Lock lock(engine->mutex);  // what others reserve meanwhile moves
    size_t bytes =
        sizeof *engine + engine->tiling.bytes() + engine->view.bytes() + engine->arenas.bytes();
    for (const Arena* arena : engine->arenas)
        bytes += sizeof *arena + arena->rows.bytes() + arena->seen.bytes() + arena->chroma.bytes();
    return bytes;
}

crispcast_status crispcast_engine_reserve(crispcast_engine* engine, const crispcast_plan* plan) {
    if (engine == nullptr || plan == nullptr) return CRISPCAST_ERROR_ARGUMENT;
    const Lock lock(engine->mutex);
    return reserve(*engine, plan->plan) ? CRISPCAST_OK : CRISPCAST_ERROR_MEMORY;
}

crispcast_status crispcast_upscale(crispcast_engine* engine, const crispcast_frame_job* job) {
    if (engine == nullptr || job == nullptr) return CRISPCAST_ERROR_ARGUMENT;
    crispcast_status status = check(*job);
    if (status != CRISPCAST_OK) return status;
    const Lock lock(engine->mutex);
    status = engine->tiling.set_patches(*job);
    if (status == CRISPCAST_OK)
        status = engine->tiling.cut(job->width, job->height, engine->pool.threads(),
                                    engine->kernels->codes != nullptr);
    if (status != CRISPCAST_OK) return status;
    for (const Piece& piece : engine->tiling.pieces())
        if (piece.plan != nullptr && !reserve(*engine, *piece.plan)) return CRISPCAST_ERROR_MEMORY;
    if (job->chroma != nullptr)
        for (Arena* arena : engine->arenas)
            if (!arena->chroma.reserve(*job->chroma)) return CRISPCAST_ERROR_MEMORY;
    if (job->canvas != nullptr)
        status = engine->view.look(*job->canvas, job->view, job->scale * job->width,
                                   job->scale * job->height);
    if (status != CRISPCAST_OK) return status;

    const View* view = job->canvas == nullptr ? nullptr : &engine->view;
    Frame frame{{},          job->previous, job->plate,           view,
                job->chroma, job->scale,    CubicTaps(job->scale)};
    for (int i = 0; i < 3; ++i) {
        const int width = i == 0 ? job->width : (job->width + 1) / 2;
        const int height = i == 0 ? job->height : (job->height + 1) / 2;
        const int out_width = i == 0 ? job->scale * job->width : (job->scale * job->width + 1) / 2;
        const int out_height =
            i == 0 ? job->scale * job->height : (job->scale * job->height + 1) / 2;
        frame.planes[i] = {job->in[i], job->out[i], width, height, out_width, out_height};
    }
    if (frame.previous.data == nullptr) frame.previous = job->in[0];
    Run run{engine, &frame, {}};
    engine->pool.run(work, &run);
    return CRISPCAST_OK;
}
