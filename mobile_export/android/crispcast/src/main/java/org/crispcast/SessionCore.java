package org.crispcast;

import java.util.ArrayList;
import java.util.List;

/**
 * The C core's session (crispcast_session.h), call for call. One thread at a time: a call beside
 * another is refused by the core. A call after {@link #close} is an IllegalStateException.
 */
final class SessionCore implements AutoCloseable {
    static final int INTERPOLATE = 1;
    static final int NUMBERED = 4;
    private static final int FOR_BACKEND = 8;
    private static final int CLOSED = 100;
    private static final int NO_MANIFEST = 103;

    private final int session;

    /** What a package is, once its manifest is here. */
    static final class Info {
        final int width;
        final int height;
        /** Nanoseconds that a frame lasts. */
        final long frameNs;
        final long frames;
        final String packageId;

        Info(long[] numbers, String packageId) {
            width = (int) numbers[0];
            height = (int) numbers[1];
            frameNs = numbers[3] * 1_000_000_000L / Math.max(1, numbers[2]);
            frames = numbers[4];
            this.packageId = packageId;
        }
    }

    /** The sizes of a rung. */
    static final class Rung {
        final int width;
        final int height;
        final int scale;
        final int paddedWidth;
        final int paddedHeight;

        Rung(long[] numbers) {
            width = (int) numbers[0];
            height = (int) numbers[1];
            scale = (int) numbers[2];
            paddedWidth = (int) numbers[3];
            paddedHeight = (int) numbers[4];
        }
    }

    /**
     * {@code isa}: the instruction set by name; null: the best. {@code trust}: public keys with blanks
     * between; null: signatures are not asked for.
     */
    SessionCore(
            int threads, String isa, int delivery, boolean plain, boolean loops, String trust)
            throws CrispcastException {
        Native.require();
        int[] status = new int[1];
        session = Native.sessionCreate(
                threads, isa, delivery, 1, plain ? 1 : 0, loops ? 1 : 0, 0, trust, status);
        Native.check(status[0]);
    }

    /** A status of a call: what the core found wrong, in its own words. */
    private void check(int status) throws CrispcastException {
        if (status == Native.OK) return;
        if (status == CLOSED)
            throw new IllegalStateException("this session is closed: make another one");
        String why = Native.text(Native.sessionWhy(session));
        throw why.isEmpty() ? Native.failure(status) : new CrispcastException(status, why);
    }

    /** {@code signature}: null where the manifest has none. */
    void manifest(byte[] bytes, String signature, int rung) throws CrispcastException {
        check(Native.sessionManifest(session, bytes, signature, rung));
    }

    /** The answer to VERIFY: 1, 0, or -1 where this phone cannot tell. */
    void verified(long question, int answer) throws CrispcastException {
        check(Native.sessionVerified(session, question, answer));
    }

    void connected() throws CrispcastException {
        check(Native.sessionConnected(session));
    }

    /** The connection is lost. Whether the last frame was shown: there is nothing to come back for. */
    boolean disconnected() throws CrispcastException {
        int[] over = new int[1];
        check(Native.sessionDisconnected(session, over));
        return over[0] != 0;
    }

    void message(byte[] text) throws CrispcastException {
        check(Native.sessionMessage(session, text));
    }

    void frameBytes(byte[] bytes) throws CrispcastException {
        check(Native.sessionFrameBytes(session, bytes));
    }

    void piece(String sha256, long offset, byte[] bytes, int size) throws CrispcastException {
        check(Native.sessionPiece(session, sha256, offset, bytes, size));
    }

    void asset(String sha256, byte[] bytes) throws CrispcastException {
        check(Native.sessionAsset(session, sha256, bytes));
    }

    void lacks(String sha256) throws CrispcastException {
        check(Native.sessionLacks(session, sha256));
    }

    /** {@code luma}: width x height bytes, or null where this phone cannot decode it. */
    void picture(String sha256, java.nio.ByteBuffer luma, int width, int height)
            throws CrispcastException {
        check(Native.sessionPicture(session, sha256, luma, width, width, height));
    }

    void base(String id, byte[] bytes) throws CrispcastException {
        check(Native.sessionBase(session, id, bytes));
    }

    /** All that is to be done now, the most urgent first. */
    List<Task> tasks(long nowMs) throws CrispcastException {
        List<Task> found = new ArrayList<>();
        for (;;) {
            long[] numbers = new long[10];
            Object[] things = new Object[4];
            check(Native.sessionNextTask(session, nowMs, numbers, things));
            Task task = new Task(numbers, things);
            if (task.kind() == Task.NONE) return found;
            found.add(task);
        }
    }

    void seek(long frame) throws CrispcastException {
        check(Native.sessionSeek(session, frame));
    }

    void pause(boolean on) throws CrispcastException {
        check(Native.sessionPause(session, on ? 1 : 0));
    }

    void loop(boolean on) throws CrispcastException {
        check(Native.sessionLoop(session, on ? 1 : 0));
    }

    void chooseRung(int rung) throws CrispcastException {
        check(Native.sessionChooseRung(session, rung));
    }

    void report(double upscaleMs, double fps, boolean interpolating) throws CrispcastException {
        check(Native.sessionReport(session, upscaleMs, fps, interpolating ? 1 : 0));
    }

    void leave() throws CrispcastException {
        check(Native.sessionLeave(session));
    }

    /** Null before the manifest is here. */
    Info info() throws CrispcastException {
        long[] numbers = new long[8];
        Object[] things = new Object[1];
        int status = Native.sessionInfo(session, numbers, things);
        if (status == NO_MANIFEST) return null;
        check(status);
        return new Info(numbers, (String) things[0]);
    }

    Rung rung(int rung) throws CrispcastException {
        long[] numbers = new long[6];
        check(Native.sessionRung(session, rung, numbers, new Object[1]));
        return new Rung(numbers);
    }

    long[] figures() throws CrispcastException {
        long[] numbers = new long[8];
        check(Native.sessionFigures(session, numbers));
        return numbers;
    }

    void coded(int rtpTime, int codec, byte[] bytes) throws CrispcastException {
        check(Native.sessionCoded(session, rtpTime, codec, bytes));
    }

    FrameInfo upscale(Incoming frame, I420 out) throws CrispcastException {
        return upscale(frame, frame.flags, out);
    }

    /** The same where another backend makes the luma of patches with networks afterwards. */
    FrameInfo upscaleForBackend(Incoming frame, I420 out) throws CrispcastException {
        return upscale(frame, frame.flags | FOR_BACKEND, out);
    }

    private FrameInfo upscale(Incoming frame, int flags, I420 out) throws CrispcastException {
        I420 in = frame.picture;
        int[] strides = {
            in.strideY, in.strideU, in.strideV, out.strideY, out.strideU, out.strideV
        };
        long[] result = new long[9];
        check(Native.sessionUpscale(
                session, frame.rtpTime, flags, frame.number, frame.rung, in.width, in.height, in.y,
                in.u, in.v, out.width, out.height, out.y, out.u, out.v, strides, result));
        return new FrameInfo(result);
    }

    /** Five numbers each; empty where the patch map is not here. */
    int[] patches() throws CrispcastException {
        int[] count = new int[1];
        int[] patches = new int[5 * 256];
        int status = Native.sessionPatches(session, patches, count);
        if (count[0] > patches.length / 5) {
            patches = new int[5 * count[0]];
            status = Native.sessionPatches(session, patches, count);
        }
        check(status);
        return java.util.Arrays.copyOf(patches, 5 * count[0]);
    }

    /** The hash of an expert's plan, from 1 on; null where the plan is not here. */
    String expert(int expert) throws CrispcastException {
        Object[] things = new Object[1];
        int[] here = new int[1];
        check(Native.sessionExpert(session, expert, things, here));
        return here[0] == 0 ? null : (String) things[0];
    }

    /** Writes the plate's luma, of the padded size of the rung; false where there is none. */
    boolean plate(int rung, java.nio.ByteBuffer luma, int stride) throws CrispcastException {
        int[] here = new int[1];
        check(Native.sessionPlate(session, rung, luma, stride, here));
        return here[0] != 0;
    }

    @Override
    public void close() {
        Native.sessionDestroy(session);
    }
}
