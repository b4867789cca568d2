package org.crispcast;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import java.io.File;
import java.net.URL;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.junit.Test;

public class TaskRunnerTest {
    private static final String NAME = "ab".repeat(32);

    private final List<TaskRunner.Answer> answers = new CopyOnWriteArrayList<>();

    private static Task task(int kind) {
        return new Task(
                new long[] {kind, 0, 0, 10, 4, 4, 0, 0, 0, 0},
                new Object[] {NAME, NAME, new byte[0], null});
    }

    /** What is answered to a task where all that it needs fails; the core is not there. */
    private void run(Task task, AssetFetcher fetcher) throws InterruptedException {
        ExecutorService worker = Executors.newSingleThreadExecutor();
        TaskRunner runner = new TaskRunner(
                null, new AssetCache(new File("nowhere"), 0),
                name -> {
                    throw new OutOfMemoryError();
                },
                (avif, width, height) -> {
                    throw new OutOfMemoryError();
                },
                null, new Workers(worker), answers::add);
        assertTrue(runner.run(task, fetcher));
        worker.shutdown();
        assertTrue(worker.awaitTermination(10, TimeUnit.SECONDS));
    }

    @Test
    public void aPictureThatMemoryDoesNotHoldIsAnsweredAllTheSame() throws Exception {
        run(task(Task.DECODE), null);
        assertEquals(1, answers.size());
    }

    @Test
    public void soIsABase() throws Exception {
        run(task(Task.BASE), null);
        assertEquals(1, answers.size());
    }

    /** It would be taken for what the next connection is asked for. */
    @Test
    public void nothingIsHeardOfAFetchWhoseConnectionIsOver() throws Exception {
        URL endpoint = new URL("http://127.0.0.1:1/whep/x");
        AssetFetcher fetcher =
                new AssetFetcher(endpoint, new Bearer(null, endpoint, Collections.emptyList()));
        run(task(Task.FETCH), fetcher);
        assertEquals(1, answers.size());
        fetcher.close(); // while the answer waits for its turn
        for (TaskRunner.Answer answer : answers) answer.give();
    }

    @Test
    public void norOfOneWithoutAConnection() throws Exception {
        run(task(Task.FETCH), null);
        assertEquals(0, answers.size());
    }
}
