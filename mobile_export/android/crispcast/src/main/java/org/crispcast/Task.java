package org.crispcast;

import java.nio.ByteBuffer;

/** What the session asks for next; crispcast_session.h says what each kind means. */
final class Task {
    static final int NONE = 0;
    static final int SEND = 1;
    static final int LOOK = 2;
    static final int FETCH = 3;
    static final int STORE = 4;
    static final int DECODE = 5;
    static final int BASE = 6;
    static final int VERIFY = 7;
    static final int MANIFEST = 20;
    static final int READY = 21;
    static final int LATE = 22;
    static final int REFUSED = 23;
    static final int NOT_DONE = 24;
    static final int ENDED = 25;
    static final int LOST = 26;
    static final int FAILED = 27;
    static final int UNTRUSTED = 28;
    static final int JOINED = 29;

    private final long[] numbers;
    final String sha256;
    final String id;
    final String text;
    /** A copy of the session's bytes; empty where there are none. */
    final byte[] bytes;

    Task(long[] numbers, Object[] things) {
        this.numbers = numbers;
        sha256 = (String) things[0];
        id = (String) things[1];
        text = Native.text((byte[]) things[2]);
        ByteBuffer lent = (ByteBuffer) things[3];
        bytes = new byte[lent == null ? 0 : lent.capacity()];
        if (lent != null) lent.get(bytes);
    }

    int kind() {
        return (int) numbers[0];
    }

    int status() {
        return (int) numbers[1];
    }

    long offset() {
        return numbers[2];
    }

    long total() {
        return numbers[3];
    }

    int width() {
        return (int) numbers[4];
    }

    int height() {
        return (int) numbers[5];
    }

    long count() {
        return numbers[9];
    }
}
