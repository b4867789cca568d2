package org.webrtc;

import java.nio.ByteBuffer;
import java.util.concurrent.atomic.AtomicInteger;

/** Counts references, and fails where there are more releases than retains. */
public class JavaI420Buffer implements VideoFrame.I420Buffer {
    /** Buffers that are not released yet. */
    public static final AtomicInteger LIVE = new AtomicInteger();

    private final int width;
    private final int height;
    private final ByteBuffer[] data;
    private final int[] strides;
    private final Runnable released;
    private final AtomicInteger references = new AtomicInteger(1);

    private JavaI420Buffer(
            int width, int height, ByteBuffer[] data, int[] strides, Runnable released) {
        this.width = width;
        this.height = height;
        this.data = data;
        this.strides = strides;
        this.released = released;
        LIVE.incrementAndGet();
    }

    public static JavaI420Buffer wrap(
            int width, int height, ByteBuffer y, int strideY, ByteBuffer u, int strideU,
            ByteBuffer v, int strideV, Runnable released) {
        return new JavaI420Buffer(
                width, height, new ByteBuffer[] {y, u, v}, new int[] {strideY, strideU, strideV},
                released);
    }

    private ByteBuffer plane(int index) {
        if (references.get() <= 0) throw new IllegalStateException("read after release");
        return data[index].slice();
    }

    @Override
    public int getWidth() {
        return width;
    }

    @Override
    public int getHeight() {
        return height;
    }

    @Override
    public VideoFrame.I420Buffer toI420() {
        retain();
        return this;
    }

    @Override
    public void retain() {
        if (references.getAndIncrement() <= 0) throw new IllegalStateException("retain of none");
    }

    @Override
    public void release() {
        int left = references.decrementAndGet();
        if (left < 0) throw new IllegalStateException("released too often");
        if (left > 0) return;
        LIVE.decrementAndGet();
        if (released != null) released.run();
    }

    @Override
    public VideoFrame.Buffer cropAndScale(int x, int y, int w, int h, int sw, int sh) {
        throw new UnsupportedOperationException();
    }

    @Override
    public ByteBuffer getDataY() {
        return plane(0);
    }

    @Override
    public ByteBuffer getDataU() {
        return plane(1);
    }

    @Override
    public ByteBuffer getDataV() {
        return plane(2);
    }

    @Override
    public int getStrideY() {
        return strides[0];
    }

    @Override
    public int getStrideU() {
        return strides[1];
    }

    @Override
    public int getStrideV() {
        return strides[2];
    }
}
