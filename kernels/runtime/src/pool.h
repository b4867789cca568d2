// A small pool of threads that run one function together and meet again.
#pragma once

#include <pthread.h>

#include "array.h"

namespace crispcast {

class Pool {
  public:
    typedef void (*Work)(void* context, int thread);

    Pool() = default;
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;
    ~Pool();

    // Starts threads - 1 threads; the caller of `run` is thread 0. False: the system gave none.
    bool start(int threads);

    // Runs work(context, 0 ... threads - 1) and returns when all are done. One caller at a time.
    void run(Work work, void* context);

    int threads() const { return int(helpers_.size()) + 1; }

  private:
    struct Helper {
        Pool* pool;
        int number;
        pthread_t thread;
    };

    static void* begin(void* helper);
    void serve(int number);

    Array<Helper> helpers_;
    pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t begun_ = PTHREAD_COND_INITIALIZER;
    pthread_cond_t done_ = PTHREAD_COND_INITIALIZER;
    Work work_ = nullptr;
    void* context_ = nullptr;
    uint64_t round_ = 0;
    int running_ = 0;
    bool ending_ = false;
};

}  // namespace crispcast
