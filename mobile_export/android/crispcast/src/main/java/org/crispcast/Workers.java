package org.crispcast;

import java.util.concurrent.ExecutorService;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/**
 * The threads for what is slow, beside the session's own: a few at most, whatever is asked for. Each
 * kind has its own, so that a server that hangs holds up nothing else. Threads that idle end.
 */
final class Workers {
    private static final long IDLE_S = 10;

    /** The cache, decoding, bases, the choice of a backend. */
    final ExecutorService local;
    /** GETs of assets: two at a time. */
    final ExecutorService fetches;
    /** POSTs of offers. */
    final ExecutorService offers;
    /** DELETEs of sessions. */
    final ExecutorService farewells;

    Workers() {
        local = atMost(4, "crispcast-local");
        fetches = atMost(2, "crispcast-fetch");
        offers = atMost(1, "crispcast-offer");
        farewells = atMost(1, "crispcast-farewell");
    }

    /** All by one executor. */
    Workers(ExecutorService all) {
        local = fetches = offers = farewells = all;
    }

    /** What was begun or waits is still done, and no more. */
    void shutdown() {
        for (ExecutorService each : new ExecutorService[] {local, fetches, offers, farewells})
            each.shutdown();
    }

    private static ExecutorService atMost(int threads, String name) {
        ThreadPoolExecutor made = new ThreadPoolExecutor(
                threads, threads, IDLE_S, TimeUnit.SECONDS, new LinkedBlockingQueue<>(),
                run -> new Thread(run, name));
        made.allowCoreThreadTimeOut(true);
        return made;
    }
}
