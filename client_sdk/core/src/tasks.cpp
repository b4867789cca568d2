#include "tasks.h"

#include <new>

namespace crispcast::client {

Notes::~Notes() {
    delete read_;
    while (first_ != nullptr) {
        Note* const note = first_;
        first_ = note->after;
        delete note;
    }
}

Notes::Note* Notes::add() {
    if (count_ == kMost) return nullptr;
    Note* const note = new (std::nothrow) Note;
    if (note == nullptr) return nullptr;
    (last_ == nullptr ? first_ : last_->after) = note;
    last_ = note;
    ++count_;
    return note;
}

bool Notes::send(const Text& text) {
    if (!text.ok()) return false;
    crispcast_task task = {};
    task.kind = CRISPCAST_TASK_SEND;
    task.rung = task.segment = -1;
    task.frame = -1;
    return give(task, text.bytes().data(), text.bytes().size());
}

bool Notes::give(const crispcast_task& task, const void* bytes, size_t size) {
    Note* const note = add();
    if (note == nullptr) return false;
    note->task = task;
    if (!note->bytes.resize(size)) return false;
    memcpy(note->bytes.data(), bytes, size);
    return true;
}

bool Notes::tell(const crispcast_task& task, const char* text) {
    Note* const note = add();
    if (note == nullptr) return false;
    note->task = task;
    note->text << text;
    return true;
}

bool Notes::next(crispcast_task& task) {
    delete read_;
    read_ = first_;
    if (first_ == nullptr) return false;
    first_ = first_->after;
    if (first_ == nullptr) last_ = nullptr;
    --count_;
    task = read_->task;
    task.text = read_->text.text();
    if (read_->bytes.size() != 0) {
        task.bytes = reinterpret_cast<const uint8_t*>(read_->bytes.data());
        task.size = read_->bytes.size();
    }
    return true;
}

}  // namespace crispcast::client
