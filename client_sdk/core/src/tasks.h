// What the app is to say or to hear, in order. Tasks for assets are not here: they follow from what
// each asset waits for (assets.h), so that the most urgent is always the next.
#pragma once

#include "digest.h"

namespace crispcast::client {

class Notes {
  public:
    Notes() = default;
    ~Notes();
    Notes(const Notes&) = delete;
    Notes& operator=(const Notes&) = delete;

    // A control message to send.
    bool send(const Text& text);
    // Something to do with these bytes, which are copied.
    bool give(const crispcast_task& task, const void* bytes, size_t size);
    // Something to know, as the fields of a crispcast_task say it.
    bool tell(const crispcast_task& task, const char* text);
    // Takes the next one: false where there is none. Its bytes and text are kept until the next.
    bool next(crispcast_task& task);

  private:
    struct Note {
        Note* after = nullptr;
        crispcast_task task = {};
        Array<char> bytes;
        Sentence text;
    };

    // More than that, unread, is no conversation: what is told then is lost, what is sent too.
    static constexpr int kMost = 4096;

    Note* add();
    Note* first_ = nullptr;
    Note* last_ = nullptr;
    Note* read_ = nullptr;
    int count_ = 0;
};

}  // namespace crispcast::client
