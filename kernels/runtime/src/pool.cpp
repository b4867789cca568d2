#include "pool.h"

namespace crispcast {

bool Pool::start(int threads) {
    // Reserved first: a helper's address must not move once its thread runs.
    if (!helpers_.reserve(size_t(threads))) return false;
    for (int i = 1; i < threads; ++i) {
        if (!helpers_.push({this, i, {}})) return false;
        Helper& helper = helpers_[helpers_.size() - 1];
        if (pthread_create(&helper.thread, nullptr, begin, &helper) != 0) {
            helpers_.pop();
            return false;
        }
    }
    return true;
}

Pool::~Pool() {
    pthread_mutex_lock(&mutex_);
    ending_ = true;
    pthread_cond_broadcast(&begun_);
    pthread_mutex_unlock(&mutex_);
    for (Helper& helper : helpers_) pthread_join(helper.thread, nullptr);
    pthread_cond_destroy(&begun_);
    pthread_cond_destroy(&done_);
    pthread_mutex_destroy(&mutex_);
}

void Pool::run(Work work, void* context) {
    if (helpers_.size() != 0) {
        pthread_mutex_lock(&mutex_);
        work_ = work;
        context_ = context;
        running_ = int(helpers_.size());
        ++round_;
        pthread_cond_broadcast(&begun_);
        pthread_mutex_unlock(&mutex_);
    }
    work(context, 0);
    if (helpers_.size() != 0) {
        pthread_mutex_lock(&mutex_);
        while (running_ != 0) pthread_cond_wait(&done_, &mutex_);
        pthread_mutex_unlock(&mutex_);
    }
}

void* Pool::begin(void* helper) {
    Helper* self = static_cast<Helper*>(helper);
    self->pool->serve(self->number);
    return nullptr;
}

void Pool::serve(int number) {
    uint64_t seen = 0;
    pthread_mutex_lock(&mutex_);
    for (;;) {
        while (round_ == seen && !ending_) pthread_cond_wait(&begun_, &mutex_);
        if (ending_) break;
        seen = round_;
        pthread_mutex_unlock(&mutex_);
        work_(context_, number);
        pthread_mutex_lock(&mutex_);
        if (--running_ == 0) pthread_cond_signal(&done_);
    }
    pthread_mutex_unlock(&mutex_);
}

}  // namespace crispcast
