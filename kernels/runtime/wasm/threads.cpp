// Threads of a page: workers that wait for work, and the locks between them (see pthread.h).
#include <errno.h>

#include "pthread.h"

#define CRISPCAST_EXPORT(name) __attribute__((export_name(#name)))

#if defined(__wasm_atomics__)

// Given by the page. Sleeps while *address is `value`, or returns at once where the thread may not
// sleep: the window's own thread has to look again instead.
extern "C" __attribute__((import_module("crispcast"), import_name("wait"))) void crispcast_wait(
    int32_t* address, int32_t value);

namespace {

int32_t load(const int32_t* p) {
    return __atomic_load_n(p, __ATOMIC_SEQ_CST);
}

void store(int32_t* p, int32_t value) {
    __atomic_store_n(p, value, __ATOMIC_SEQ_CST);
}

int32_t exchange(int32_t* p, int32_t value) {
    return __atomic_exchange_n(p, value, __ATOMIC_SEQ_CST);
}

bool change(int32_t* p, int32_t from, int32_t to) {
    return __atomic_compare_exchange_n(p, &from, to, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

void wake(int32_t* p, uint32_t count) {
    __builtin_wasm_memory_atomic_notify(p, count);
}

enum State : int32_t { kAbsent, kIdle, kTaken, kRunning };

struct Place {
    int32_t state;
    void* (*begin)(void*);
    void* context;
};

constexpr int kPlaces = 256;  // CRISPCAST_MAX_THREADS
Place places[kPlaces];
int32_t place_count;

}  // namespace

extern "C" {

// A worker takes a place; -1: there are no more.
CRISPCAST_EXPORT(crispcast_wasm_enter) int crispcast_wasm_enter(void) {
    const int place = __atomic_fetch_add(&place_count, 1, __ATOMIC_SEQ_CST);
    if (place >= kPlaces) return -1;
    store(&places[place].state, kIdle);
    return place;
}

// Runs what pthread_create gives to the place; never returns: the page ends its workers.
CRISPCAST_EXPORT(crispcast_wasm_park) void crispcast_wasm_park(int number) {
    Place& place = places[number];
    for (;;) {
        const int32_t state = load(&place.state);
        if (state == kRunning) {
            place.begin(place.context);
            store(&place.state, kIdle);
            wake(&place.state, ~0u);
        } else {
            crispcast_wait(&place.state, state);
        }
    }
}

int pthread_create(pthread_t* thread, const pthread_attr_t*, void* (*begin)(void*), void* context) {
    for (int i = 0; i < kPlaces; ++i) {
        Place& place = places[i];
        if (!change(&place.state, kIdle, kTaken)) continue;
        place.begin = begin;
        place.context = context;
        *thread = i;
        store(&place.state, kRunning);
        wake(&place.state, ~0u);
        return 0;
    }
    return EAGAIN;
}

int pthread_join(pthread_t thread, void**) {
    int32_t* state = &places[thread].state;
    while (load(state) == kRunning) crispcast_wait(state, kRunning);
    return 0;
}

// U. Drepper, "Futexes are tricky" (2011), section 6.
int pthread_mutex_lock(pthread_mutex_t* mutex) {
    if (change(&mutex->state, 0, 1)) return 0;
    while (exchange(&mutex->state, 2) != 0) crispcast_wait(&mutex->state, 2);
    return 0;
}

int pthread_mutex_unlock(pthread_mutex_t* mutex) {
    if (exchange(&mutex->state, 0) == 2) wake(&mutex->state, 1);
    return 0;
}

int pthread_cond_wait(pthread_cond_t* condition, pthread_mutex_t* mutex) {
    const int32_t seen = load(&condition->signals);
    pthread_mutex_unlock(mutex);
    crispcast_wait(&condition->signals, seen);
    return pthread_mutex_lock(mutex);
}

int pthread_cond_broadcast(pthread_cond_t* condition) {
    __atomic_fetch_add(&condition->signals, 1, __ATOMIC_SEQ_CST);
    wake(&condition->signals, ~0u);
    return 0;
}

int pthread_cond_signal(pthread_cond_t* condition) {
    return pthread_cond_broadcast(condition);
}

}  // extern "C"

#else

extern "C" {

int pthread_create(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*) {
    return EAGAIN;
}
int pthread_join(pthread_t, void**) {
    return 0;
}
int pthread_mutex_lock(pthread_mutex_t*) {
    return 0;
}
int pthread_mutex_unlock(pthread_mutex_t*) {
    return 0;
}
int pthread_cond_wait(pthread_cond_t*, pthread_mutex_t*) {
    return 0;
}
int pthread_cond_broadcast(pthread_cond_t*) {
    return 0;
}
int pthread_cond_signal(pthread_cond_t*) {
    return 0;
}

}  // extern "C"

#endif

extern "C" {

int pthread_mutex_destroy(pthread_mutex_t*) {
    return 0;
}
int pthread_cond_destroy(pthread_cond_t*) {
    return 0;
}

}  // extern "C"
