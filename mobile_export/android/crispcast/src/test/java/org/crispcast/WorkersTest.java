package org.crispcast;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.TimeUnit;
import org.junit.Test;

public class WorkersTest {
    /** How many threads a hundred tasks get, none of which ends before all are asked for. */
    private static int threads(ExecutorService pool) throws InterruptedException {
        CountDownLatch go = new CountDownLatch(1);
        CountDownLatch done = new CountDownLatch(100);
        Set<Thread> seen = ConcurrentHashMap.newKeySet();
        for (int i = 0; i < 100; ++i)
            pool.execute(() -> {
                try {
                    seen.add(Thread.currentThread());
                    go.await();
                    done.countDown();
                } catch (InterruptedException interrupted) {
                    Thread.currentThread().interrupt();
                }
            });
        go.countDown();
        assertTrue(done.await(10, TimeUnit.SECONDS));
        return seen.size();
    }

    @Test
    public void threadsAreFewWhateverIsAskedFor() throws InterruptedException {
        Workers workers = new Workers();
        assertEquals(4, threads(workers.local));
        assertEquals(2, threads(workers.fetches));
        assertEquals(1, threads(workers.offers));
        assertEquals(1, threads(workers.farewells));
        workers.shutdown();
    }

    @Test
    public void fetchesThatHangHoldUpNothingElseAndWhatWaitsIsDoneAtTheEnd()
            throws InterruptedException {
        Workers workers = new Workers();
        CountDownLatch hangs = new CountDownLatch(1);
        CountDownLatch others = new CountDownLatch(3);
        CountDownLatch fetched = new CountDownLatch(9);
        for (int i = 0; i < 9; ++i)
            workers.fetches.execute(() -> {
                try {
                    hangs.await();
                    fetched.countDown();
                } catch (InterruptedException interrupted) {
                    Thread.currentThread().interrupt();
                }
            });
        workers.local.execute(others::countDown);
        workers.offers.execute(others::countDown);
        workers.farewells.execute(others::countDown);
        assertTrue(others.await(10, TimeUnit.SECONDS));
        workers.shutdown();
        hangs.countDown();
        assertTrue(fetched.await(10, TimeUnit.SECONDS));
    }
}
