package org.crispcast;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import org.webrtc.JavaI420Buffer;
import org.webrtc.VideoFrame;
import org.webrtc.VideoSink;

/**
 * The sink of the received track: takes small frames from WebRTC's threads and gives large ones to
 * the app's sink from the session's. Frames keep their time and rotation, planes are not copied.
 * Where frames come too fast, the oldest that waits is left out; where one cannot be upscaled, the
 * small one is shown.
 */
final class UpscalingSink implements VideoSink {
    private static final int MOST_WAITING = 4;
    private static final int MOST_SPARE = 4;

    /** Told on the session's thread. */
    interface Owner {
        /** A frame was placed, and shown where it is to be. */
        void upscaled(FrameInfo info);

        /** There is no manifest: a frame was shown as it came. */
        void passed();

        void failed(CrispcastException error);
    }

    private final SessionCore core;
    private final VideoSink output;
    private final Executor queue;
    private final Owner owner;
    private final Deque<VideoFrame> waiting = new ArrayDeque<>();
    private final Deque<I420> spare = new ArrayDeque<>(); // with itself as its lock
    private boolean closed; // with `waiting` as its lock, as the next
    private long skipped;

    // Of the session's thread.
    private final Pace pace = new Pace();
    private Backend backend = new SparseBackend();
    private SessionCore.Info info;

    UpscalingSink(SessionCore core, VideoSink output, Executor queue, Owner owner) {
        this.core = core;
        this.output = output;
        this.queue = queue;
        this.owner = owner;
    }

    /** The manifest is here. On the session's thread, as are all but {@link #onFrame}. */
    void manifest(SessionCore.Info known) {
        info = known;
    }

    /** Takes it in the place of the one before; it is the sink's to close, after the end at once. */
    void backend(Backend chosen) {
        boolean late;
        synchronized (waiting) {
            late = closed;
        }
        Backend other = late ? chosen : backend;
        if (!late) backend = chosen;
        other.close();
    }

    String backendName() {
        return backend.name();
    }

    double upscaleMs() {
        return pace.median() / 1e6;
    }

    boolean resting() {
        return pace.resting(System.nanoTime());
    }

    long skipped() {
        synchronized (waiting) {
            return skipped;
        }
    }

    @Override
    public void onFrame(VideoFrame frame) {
        VideoFrame left = null;
        synchronized (waiting) {
            if (closed) return;
            frame.retain();
            waiting.addLast(frame);
            if (waiting.size() > MOST_WAITING) {
                left = waiting.removeFirst();
                ++skipped;
            }
        }
        if (left != null) left.release();
        try {
            queue.execute(this::next);
        } catch (RejectedExecutionException closing) {
            refuse(); // the backend may be at work: close() is the session's
        }
    }

    /** Lets go of all frames and of the backend; frames that come later are passed over. */
    void close() {
        refuse();
        backend.close();
        backend = new SparseBackend();
    }

    /** Any thread. */
    private void refuse() {
        synchronized (waiting) {
            closed = true;
            for (VideoFrame frame : waiting) frame.release();
            waiting.clear();
        }
    }

    private void next() {
        VideoFrame frame;
        synchronized (waiting) {
            frame = waiting.pollFirst();
        }
        if (frame == null) return; // it was left out
        try {
            if (info != null) {
                upscale(frame);
            } else {
                output.onFrame(frame);
                owner.passed();
            }
        } finally {
            frame.release();
        }
    }

    private void upscale(VideoFrame frame) {
        VideoFrame.I420Buffer small = frame.getBuffer().toI420();
        if (small == null) {
            output.onFrame(frame);
            return;
        }
        I420 out = taken();
        boolean lent = false;
        try {
            I420 picture = new I420(
                    small.getWidth(), small.getHeight(), small.getDataY(), small.getStrideY(),
                    small.getDataU(), small.getStrideU(), small.getDataV(), small.getStrideV());
            long start = System.nanoTime();
            boolean rest = pace.resting(start);
            FrameInfo made = backend.upscale(core, incoming(frame, picture, rest), out);
            if (made.superResolved()) {
                long end = System.nanoTime();
                pace.took(end - start, info.frameNs, end);
            }
            if (made.shown()) {
                lent = true;
                show(out, frame);
            }
            owner.upscaled(made);
        } catch (CrispcastException error) {
            owner.failed(error);
            output.onFrame(frame);
        } finally {
            small.release();
            if (!lent) given(out);
        }
        if (backend instanceof NnapiBackend && ((NnapiBackend) backend).broken())
            backend(new SparseBackend());
    }

    private Incoming incoming(VideoFrame frame, I420 picture, boolean interpolate)
            throws CrispcastException {
        if (!(frame.getBuffer() instanceof TimedBuffer)) return Incoming.unknown(picture);
        TimedBuffer timed = (TimedBuffer) frame.getBuffer();
        core.coded(timed.rtpTime, timed.codec, timed.coded);
        return Incoming.at(timed.rtpTime, picture, interpolate);
    }

    private void show(I420 large, VideoFrame small) {
        JavaI420Buffer buffer = JavaI420Buffer.wrap(
                large.width, large.height, large.y, large.strideY, large.u, large.strideU, large.v,
                large.strideV, () -> given(large));
        VideoFrame frame = new VideoFrame(buffer, small.getRotation(), small.getTimestampNs());
        try {
            output.onFrame(frame);
        } finally {
            frame.release();
        }
    }

    private I420 taken() {
        synchronized (spare) {
            I420 picture = spare.pollFirst();
            if (picture != null && picture.width == info.width && picture.height == info.height)
                return picture;
        }
        return I420.allocate(info.width, info.height);
    }

    private void given(I420 picture) {
        synchronized (spare) {
            if (spare.size() < MOST_SPARE) spare.addFirst(picture);
        }
    }
}
