package org.crispcast;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.atomic.AtomicInteger;
import org.webrtc.DataChannel;
import org.webrtc.JavaI420Buffer;

/** BadInputRun: what a whole session makes of what it cannot use. Prints a line for each. */
public final class BadInputRun {
    private static final int WIDTH = 32;
    private static final int HEIGHT = 18;

    private BadInputRun() {}

    public static void main(String[] arguments) throws Exception {
        try (SignallingServer server = new SignallingServer(null)) {
            anotherVersion(new Play(server.url()));
            severalThreads(new Play(server.url()));
        }
    }

    /** The server's manifest is of a version that this client does not read. */
    private static void anotherVersion(Play play) throws Exception {
        byte[] manifest = "{\"format\":\"crispcast\",\"version\":\"9.0\"}"
                .getBytes(StandardCharsets.US_ASCII);
        byte[] sha256 = MessageDigest.getInstance("SHA-256").digest(manifest);
        StringBuilder hex = new StringBuilder();
        for (byte b : sha256) hex.append(String.format("%02x", b));
        play.text("{\"type\":\"manifest\",\"version\":\"1.1\",\"package\":\"0011223344556677\","
                + "\"rung\":0,\"sha256\":\"" + hex + "\",\"bytes\":" + manifest.length + "}");
        ByteBuffer piece = ByteBuffer.allocate(41 + manifest.length)
                .order(java.nio.ByteOrder.LITTLE_ENDIAN);
        piece.put((byte) 1).put(sha256).putInt(0).putInt(manifest.length).put(manifest);
        play.far.says(piece.array(), true);
        CrispcastException said = play.warnings.take();
        for (int i = 0; i < 3; ++i) play.frame();
        // What the server says after that is heard by nobody, and wrong for nobody.
        play.text("{\"type\":\"anchor\",\"rtp_time\":1,\"rung\":0,\"frame\":0}");
        play.session.figures();
        System.out.println("version: " + said.status() + " " + said.getMessage());
        System.out.println("shown small: " + play.small.get() + " of 3, " + play.states
                + ", more warnings: " + play.warnings.size());
        play.session.close();
        play.closed.await();
    }

    /** Several threads ask, while frames come, and one of them closes it. */
    private static void severalThreads(Play play) throws Exception {
        AtomicInteger asked = new AtomicInteger();
        AtomicInteger refused = new AtomicInteger();
        AtomicInteger wrong = new AtomicInteger();
        CountDownLatch some = new CountDownLatch(200);
        List<Thread> threads = new ArrayList<>();
        for (int t = 0; t < 4; ++t) {
            Thread thread = new Thread(() -> {
                try {
                    for (long i = 0;; ++i) {
                        play.session.pause(i % 2 == 0);
                        play.session.loop(i % 3 == 0);
                        play.session.figures();
                        play.frame();
                        asked.incrementAndGet();
                        some.countDown();
                    }
                } catch (IllegalStateException closed) {
                    refused.incrementAndGet();
                } catch (Exception error) {
                    wrong.incrementAndGet();
                }
            });
            thread.start();
            threads.add(thread);
        }
        some.await();
        play.session.close();
        for (Thread thread : threads) thread.join();
        play.closed.await();
        play.session.close();
        System.out.println("threads: " + (asked.get() >= 200) + " " + refused.get() + " "
                + wrong.get() + ", closed " + play.closings.get() + ", frames kept "
                + JavaI420Buffer.LIVE.get());
    }

    /** A session whose data channel is open. */
    private static final class Play implements SessionListener {
        final BlockingQueue<CrispcastException> warnings = new LinkedBlockingQueue<>();
        final List<SessionState> states = new ArrayList<>(); // of the session's thread
        final AtomicInteger small = new AtomicInteger();
        final AtomicInteger closings = new AtomicInteger();
        final CountDownLatch closed = new CountDownLatch(1);
        final CrispcastSession session;
        final FarEnd far;

        Play(String url) throws Exception {
            far = new FarEnd(
                    url, frame -> small.addAndGet(frame.getBuffer().getWidth() == WIDTH ? 1 : 0),
                    this, new SessionOptions());
            session = far.session;
            far.start();
            far.becomes(DataChannel.State.OPEN);
        }

        void text(String message) {
            far.says(message.getBytes(StandardCharsets.UTF_8), false);
        }

        void frame() {
            far.shows(I420.allocate(WIDTH, HEIGHT));
        }

        @Override
        public void onState(SessionState state, String sentence) {
            states.add(state);
            if (state != SessionState.CLOSED) return;
            closings.incrementAndGet();
            closed.countDown();
        }

        @Override
        public void onWarning(CrispcastException warning) {
            warnings.add(warning);
        }
    }
}
