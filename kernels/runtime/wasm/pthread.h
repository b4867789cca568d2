// The few POSIX thread calls that the runtime makes, over WebAssembly atomics. It stands before the
// system's header on the include path, so that the core is the same source everywhere.
//
// A page cannot start a thread from within a call: a worker begins only when its creator returns to
// the event loop. So the page starts workers beforehand; each parks in `crispcast_wasm_park` until
// pthread_create hands it a function. The one-thread build has no workers and creates no threads.
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    int32_t state;  // 0 free, 1 taken, 2 taken and somebody waits
} pthread_mutex_t;

typedef struct {
    int32_t signals;  // counts them, so that one between unlock and wait is not lost
} pthread_cond_t;

typedef int32_t pthread_t;  // the parking place
typedef void pthread_attr_t;
typedef void pthread_mutexattr_t;
typedef void pthread_condattr_t;

#define PTHREAD_MUTEX_INITIALIZER {0}
#define PTHREAD_COND_INITIALIZER {0}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*begin)(void*),
                   void* context);
int pthread_join(pthread_t thread, void** result);
int pthread_mutex_lock(pthread_mutex_t* mutex);
int pthread_mutex_unlock(pthread_mutex_t* mutex);
int pthread_mutex_destroy(pthread_mutex_t* mutex);
int pthread_cond_wait(pthread_cond_t* condition, pthread_mutex_t* mutex);
int pthread_cond_signal(pthread_cond_t* condition);
int pthread_cond_broadcast(pthread_cond_t* condition);
int pthread_cond_destroy(pthread_cond_t* condition);

#ifdef __cplusplus
}
#endif
