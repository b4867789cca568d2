package org.crispcast;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.function.Supplier;

/**
 * Does what the session asks for: looks into the cache, fetches, decodes. Workers do it; the answers
 * come back on the session's thread.
 */
final class TaskRunner {
    private static final int DAMAGED = 109;

    /** A call of the core on the session's thread. */
    interface Answer {
        void give() throws CrispcastException;
    }

    /** The session's thread: runs an answer there, unless the session is closed. */
    interface Queue {
        /** False where the session is closed. */
        boolean post(Answer answer);
    }

    private final SessionCore core;
    private final AssetCache cache;
    private final Resources resources;
    private final PlateDecoder plates;
    private final SignatureVerifier verifier;
    private final Workers workers;
    private final Queue queue;

    TaskRunner(
            SessionCore core, AssetCache cache, Resources resources, PlateDecoder plates,
            SignatureVerifier verifier, Workers workers, Queue queue) {
        this.core = core;
        this.cache = cache;
        this.resources = resources;
        this.plates = plates;
        this.verifier = verifier;
        this.workers = workers;
        this.queue = queue;
    }

    /**
     * Begins a task of an asset or a base; false for any other kind. {@code fetcher}: of the connection
     * there is; null: there is none.
     */
    boolean run(Task task, AssetFetcher fetcher) {
        switch (task.kind()) {
            case Task.LOOK:
                workers.local.execute(() -> look(task.sha256));
                return true;
            case Task.FETCH:
                if (fetcher != null) workers.fetches.execute(() -> fetch(task, fetcher));
                return true;
            case Task.STORE:
                workers.local.execute(() -> orNull(() -> {
                    cache.put(task.sha256, task.bytes);
                    return null;
                }));
                return true;
            case Task.DECODE:
                workers.local.execute(() -> decode(task));
                return true;
            case Task.BASE:
                workers.local.execute(() -> base(task.id));
                return true;
            case Task.VERIFY:
                workers.local.execute(() -> verify(task));
                return true;
            default:
                return false;
        }
    }

    private void look(String sha256) {
        byte[] bytes = orNull(() -> cache.get(sha256));
        queue.post(() -> {
            if (bytes == null) {
                core.lacks(sha256);
                return;
            }
            try {
                core.asset(sha256, bytes);
            } catch (CrispcastException error) {
                if (error.status() == DAMAGED) cache.remove(sha256);
                throw error;
            }
        });
    }

    /** Nothing is said for a connection that is over: the next one is asked for the same assets. */
    private void fetch(Task task, AssetFetcher fetcher) {
        String sha256 = task.sha256;
        Boolean done = orNull(() -> fetcher.fetch(
                sha256, task.offset(), task.total(),
                (offset, bytes, size) -> queue.post(() -> {
                    if (!fetcher.closed()) core.piece(sha256, offset, bytes, size);
                })));
        if (done != null && done) return;
        queue.post(() -> {
            if (!fetcher.closed()) core.lacks(sha256);
        });
    }

    private void decode(Task task) {
        int width = task.width();
        int height = task.height();
        ByteBuffer luma = orNull(() -> plates.decode(task.bytes, width, height));
        queue.post(() -> core.picture(task.sha256, luma, width, height));
    }

    private void verify(Task task) {
        int answer = Signed.check(verifier, task.bytes);
        queue.post(() -> core.verified(task.count(), answer));
    }

    private void base(String id) {
        byte[] bytes = orNull(() -> {
            try {
                return resources.read("bases/" + id + ".plan");
            } catch (IOException error) {
                return null;
            }
        });
        queue.post(() -> core.base(id, bytes));
    }

    /**
     * What it gives, or null where it fails, be it for want of memory: a task without an answer is
     * never over, and an error ends the app.
     */
    private static <T> T orNull(Supplier<T> work) {
        try {
            return work.get();
        } catch (RuntimeException | OutOfMemoryError failure) {
            return null;
        }
    }
}
