package org.crispcast;

import java.net.URL;
import java.util.Collections;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.webrtc.PeerConnection;
import org.webrtc.PeerConnectionFactory;

/**
 * SilentServerRun: a server answers every offer, and its channel never opens. Time passes when this
 * says so. Says what comes of it.
 */
public final class SilentServerRun implements Lifeline.Owner {
    private final ExecutorService queue = Executors.newSingleThreadExecutor();
    private final BlockingQueue<Timer> timers = new LinkedBlockingQueue<>();

    private static final class Timer extends CompletableFuture<Void> {
        final long milliseconds;
        final TaskRunner.Answer answer;

        Timer(long milliseconds, TaskRunner.Answer answer) {
            this.milliseconds = milliseconds;
            this.answer = answer;
        }
    }

    private SilentServerRun() {}

    public static void main(String[] arguments) throws Exception {
        new SilentServerRun().play();
        System.exit(0);
    }

    private void play() throws Exception {
        URL url = new URL(new SignallingServer(null).url());
        BlockingQueue<PeerConnection> answered = new LinkedBlockingQueue<>();
        PeerConnectionFactory.answered = answered::add;
        Lifeline line = new Lifeline(
                url, new Bearer(null, url, Collections.emptyList()), 30,
                new PeerConnectionFactory(), frame -> {}, new Workers(), this);
        post(line::start);
        PeerConnection first = next(answered);
        Timer patience = next(timers);
        System.out.println("answered, " + patience.milliseconds);
        ring(patience);
        Timer wait = next(timers);
        System.out.println("left " + first.disposed + ", again " + (wait.milliseconds < 1000));
        ring(wait);
        PeerConnection second = next(answered);
        patience = next(timers);
        post(line::joined);
        settle();
        System.out.println("joined, waits " + !patience.isCancelled());
        post(() -> line.lose("lost"));
        wait = next(timers);
        post(line::found); // as of assets that are ready meanwhile
        settle();
        System.out.println("lost, waits " + !wait.isCancelled());
        post(line::end);
        settle();
        System.out.println(
                "left " + second.disposed + ", over, waits " + !wait.isCancelled());
    }

    private static <T> T next(BlockingQueue<T> queue) throws InterruptedException {
        T found = queue.poll(10, TimeUnit.SECONDS);
        if (found == null) throw new AssertionError("it waits for nothing");
        return found;
    }

    private void ring(Timer timer) {
        if (!timer.isCancelled()) post(timer.answer);
    }

    private void settle() throws InterruptedException {
        CountDownLatch done = new CountDownLatch(1);
        queue.execute(done::countDown);
        done.await();
    }

    @Override
    public boolean post(TaskRunner.Answer answer) {
        queue.execute(() -> {
            try {
                answer.give();
            } catch (CrispcastException error) {
                System.out.println(error.getMessage());
            }
        });
        return true;
    }

    @Override
    public Future<?> later(long milliseconds, TaskRunner.Answer answer) {
        Timer timer = new Timer(milliseconds, answer);
        timers.add(timer);
        return timer;
    }

    @Override
    public void channelOpen() {}

    @Override
    public void text(byte[] utf8) {}

    @Override
    public void binary(byte[] bytes) {}

    @Override
    public boolean parted() {
        return false;
    }

    @Override
    public void lost(String why) {}

    @Override
    public void gaveUp(String why) {
        System.out.println("gave up: " + why);
    }
}
