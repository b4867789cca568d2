package org.crispcast;

import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.LongConsumer;

/**
 * A native object that may be used by several threads and is freed once, after the last use. A use
 * after that is an IllegalStateException and never reaches the native side.
 */
final class Handle {
    private final ReadWriteLock lock = new ReentrantReadWriteLock();
    private final LongConsumer destroy;
    private final String what;
    private long pointer;

    Handle(long pointer, String what, LongConsumer destroy) {
        this.pointer = pointer;
        this.what = what;
        this.destroy = destroy;
    }

    /** The pointer, which stays until {@link #leave}. */
    long enter() {
        lock.readLock().lock();
        if (pointer != 0) return pointer;
        lock.readLock().unlock();
        throw new IllegalStateException("this " + what + " is closed: make another one");
    }

    void leave() {
        lock.readLock().unlock();
    }

    /** Waits for the uses that run; a second call does nothing. */
    void close() {
        lock.writeLock().lock();
        try {
            if (pointer != 0) destroy.accept(pointer);
            pointer = 0;
        } finally {
            lock.writeLock().unlock();
        }
    }
}
