package org.crispcast;

import java.nio.ByteBuffer;

/**
 * A picture of 8-bit samples in three planes, chroma of half the width and height, rounded up. The
 * planes are direct buffers that the engine reads and writes where they are: nothing is copied.
 */
public final class I420 {
    public final int width;
    public final int height;
    public final ByteBuffer y;
    public final ByteBuffer u;
    public final ByteBuffer v;
    public final int strideY;
    public final int strideU;
    public final int strideV;

    /**
     * Planes begin at the buffers' positions; strides are bytes from a row to the next.
     *
     * @throws IllegalArgumentException where a buffer is not direct, or too small for the picture
     */
    public I420(
            int width, int height, ByteBuffer y, int strideY, ByteBuffer u, int strideU,
            ByteBuffer v, int strideV) {
        if (width < 1 || height < 1)
            throw new IllegalArgumentException("a picture of " + width + " x " + height);
        this.width = width;
        this.height = height;
        this.y = plane("y", y, strideY, width, height);
        this.u = plane("u", u, strideU, (width + 1) / 2, (height + 1) / 2);
        this.v = plane("v", v, strideV, (width + 1) / 2, (height + 1) / 2);
        this.strideY = strideY;
        this.strideU = strideU;
        this.strideV = strideV;
    }

    /** A picture of its own, samples 0. */
    public static I420 allocate(int width, int height) {
        if (width < 1 || height < 1 || (long) width * height > 1L << 28)
            throw new IllegalArgumentException("a picture of " + width + " x " + height);
        int half = (width + 1) / 2;
        int chroma = half * ((height + 1) / 2);
        return new I420(
                width, height, ByteBuffer.allocateDirect(width * height), width,
                ByteBuffer.allocateDirect(chroma), half, ByteBuffer.allocateDirect(chroma), half);
    }

    private static ByteBuffer plane(
            String name, ByteBuffer buffer, int stride, int width, int height) {
        ByteBuffer plane = buffer.slice();
        if (!plane.isDirect())
            throw new IllegalArgumentException("plane " + name + " is not a direct buffer");
        if (stride < width || (long) stride * (height - 1) + width > plane.capacity())
            throw new IllegalArgumentException(
                    "plane " + name + " has " + plane.capacity() + " bytes and a stride of "
                            + stride + ": too few for " + width + " x " + height);
        return plane;
    }
}
