package org.crispcast;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/**
 * The native calls, as jni/*.cpp has them. Handles are pointers: {@link Handle} keeps those that are
 * closed away from here. Buffers are direct; the native side checks that planes lie inside them.
 */
final class Native {
    static final int OK = 0;
    private static final String MISSING = load();

    private Native() {}

    private static String load() {
        try {
            System.loadLibrary("crispcast");
            return null;
        } catch (UnsatisfiedLinkError error) {
            return "libcrispcast.so is not in the app for this processor: " + error.getMessage();
        }
    }

    /** Throws where the library could not be loaded. */
    static void require() throws CrispcastException {
        if (MISSING != null) throw new CrispcastException(CrispcastException.NO_LIBRARY, MISSING);
    }

    /** Throws the sentence of a status that is not OK. */
    static void check(int status) throws CrispcastException {
        if (status != OK) throw failure(status);
    }

    static CrispcastException failure(int status) {
        return new CrispcastException(status, text(sentence(status)));
    }

    static String text(byte[] utf8) {
        return new String(utf8, StandardCharsets.UTF_8);
    }

    static native String version();

    static native String isa(int index);

    static native byte[] sentence(int status);

    static native long engineCreate(int threads, String isa, int[] status);

    static native void engineDestroy(long engine);

    static native String engineIsa(long engine);

    static native long planCreate(byte[] wire, byte[] base, int[] status);

    static native int planInfo(long plan, int[] facts);

    static native void planDestroy(long plan);

    static native long plateCreate(
            ByteBuffer luma, int stride, int width, int height, int scale, int[] status);

    static native void plateDestroy(long plate);

    static native int upscale(
            long engine, int width, int height, int scale, ByteBuffer y, ByteBuffer u, ByteBuffer v,
            ByteBuffer outY, ByteBuffer outU, ByteBuffer outV, ByteBuffer previous, int[] strides,
            long plate, int[] patches, long[] plans);

    static native int pack(
            ByteBuffer samples, int stride, int width, int height, int x, int y, int columns,
            int rows, int factor, boolean floats, ByteBuffer tensor);

    static native int unpack(
            ByteBuffer hr, int columns, int rows, int fromX, int fromY, int width, int height,
            ByteBuffer samples, int stride, int planeWidth, int planeHeight, int x, int y);

    static native int copy(
            ByteBuffer from, int fromStride, ByteBuffer to, int toStride, int width, int height);

    static native int first(ByteBuffer pixels, int stride, int width, int height, ByteBuffer luma);

    static native int sessionCreate(
            int threads, String isa, int delivery, int cache, int plain, int loops, long memory,
            String trust, int[] status);

    static native int sessionDestroy(int session);

    static native byte[] sessionWhy(int session);

    static native int sessionManifest(int session, byte[] bytes, String signature, int rung);

    static native int sessionVerified(int session, long question, int answer);

    static native int sessionConnected(int session);

    static native int sessionDisconnected(int session, int[] over);

    static native int sessionMessage(int session, byte[] text);

    static native int sessionFrameBytes(int session, byte[] bytes);

    static native int sessionPiece(
            int session, String sha256, long offset, byte[] bytes, int size);

    static native int sessionAsset(int session, String sha256, byte[] bytes);

    static native int sessionLacks(int session, String sha256);

    static native int sessionPicture(
            int session, String sha256, ByteBuffer samples, int stride, int width, int height);

    static native int sessionBase(int session, String id, byte[] bytes);

    static native int sessionNextTask(
            int session, long nowMs, long[] numbers, Object[] things);

    static native int sessionSeek(int session, long frame);

    static native int sessionPause(int session, int on);

    static native int sessionLoop(int session, int on);

    static native int sessionChooseRung(int session, int rung);

    static native int sessionReport(int session, double upscaleMs, double fps, int interpolating);

    static native int sessionLeave(int session);

    static native int sessionInfo(int session, long[] numbers, Object[] things);

    static native int sessionRung(int session, int rung, long[] numbers, Object[] things);

    static native int sessionFigures(int session, long[] numbers);

    static native int sessionCoded(int session, int rtpTime, int codec, byte[] bytes);

    static native int sessionUpscale(
            int session, int rtpTime, int flags, long number, int rung, int width, int height,
            ByteBuffer y, ByteBuffer u, ByteBuffer v, int outWidth, int outHeight, ByteBuffer outY,
            ByteBuffer outU, ByteBuffer outV, int[] strides, long[] result);

    static native int sessionPatches(int session, int[] patches, int[] count);

    static native int sessionExpert(int session, int expert, Object[] things, int[] here);

    static native int sessionPlate(
            int session, int rung, ByteBuffer luma, int stride, int[] here);
}
