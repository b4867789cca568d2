package org.crispcast;

import static org.junit.Assert.assertEquals;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.RejectedExecutionException;
import org.junit.Test;
import org.webrtc.VideoFrame;

public class UpscalingSinkTest {
    private final Deque<Runnable> queued = new ArrayDeque<>();
    private boolean shut;
    private int closings;
    private int held;
    private int shown;

    private final UpscalingSink sink = new UpscalingSink(null, frame -> ++shown, run -> {
        if (shut) throw new RejectedExecutionException();
        queued.add(run);
    }, new UpscalingSink.Owner() {
        @Override
        public void upscaled(FrameInfo info) {}

        @Override
        public void passed() {}

        @Override
        public void failed(CrispcastException error) {}
    });

    /** Counts how often it is closed. */
    private final class Counted implements Backend {
        @Override
        public String name() {
            return "counted";
        }

        @Override
        public FrameInfo upscale(SessionCore core, Incoming frame, I420 out) {
            throw new AssertionError("there is no manifest");
        }

        @Override
        public void close() {
            ++closings;
        }
    }

    /** Counts its references. */
    private final class Picture implements VideoFrame.Buffer {
        @Override
        public int getWidth() {
            return 2;
        }

        @Override
        public int getHeight() {
            return 2;
        }

        @Override
        public VideoFrame.I420Buffer toI420() {
            throw new AssertionError("nothing reads it");
        }

        @Override
        public void retain() {
            ++held;
        }

        @Override
        public void release() {
            --held;
        }

        @Override
        public VideoFrame.Buffer cropAndScale(int x, int y, int w, int h, int sw, int sh) {
            throw new AssertionError("nothing crops it");
        }
    }

    private void frame() {
        sink.onFrame(new VideoFrame(new Picture(), 0, 0));
    }

    @Test
    public void aFrameThatComesWhileTheSessionClosesLeavesTheBackendToTheSession() {
        sink.backend(new Counted());
        frame();
        assertEquals(1, held);
        shut = true;
        frame();
        assertEquals(0, held);
        assertEquals(0, closings); // the session's thread may be in it
        assertEquals("counted", sink.backendName());
        for (Runnable run : queued) run.run(); // what was queued finds nothing
        assertEquals(0, shown);
        sink.close();
        assertEquals(1, closings);
    }

    @Test
    public void framesAfterTheEndAreNotHeld() {
        sink.backend(new Counted());
        sink.close();
        frame();
        assertEquals(0, held);
        assertEquals(0, queued.size());
        assertEquals(1, closings);
    }

    @Test
    public void aBackendThatIsChosenAfterTheEndIsClosedAtOnce() {
        sink.close();
        sink.backend(new Counted());
        assertEquals(1, closings);
        assertEquals("sparse", sink.backendName());
    }
}
