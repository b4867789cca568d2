package org.webrtc;

import java.nio.ByteBuffer;

public class VideoFrame {
    public interface Buffer {
        int getWidth();

        int getHeight();

        I420Buffer toI420();

        void retain();

        void release();

        Buffer cropAndScale(
                int cropX, int cropY, int cropWidth, int cropHeight, int scaleWidth,
                int scaleHeight);
    }

    public interface I420Buffer extends Buffer {
        ByteBuffer getDataY();

        ByteBuffer getDataU();

        ByteBuffer getDataV();

        int getStrideY();

        int getStrideU();

        int getStrideV();
    }

    private final Buffer buffer;
    private final int rotation;
    private final long timestampNs;

    public VideoFrame(Buffer buffer, int rotation, long timestampNs) {
        this.buffer = buffer;
        this.rotation = rotation;
        this.timestampNs = timestampNs;
    }

    public Buffer getBuffer() {
        return buffer;
    }

    public int getRotation() {
        return rotation;
    }

    public long getTimestampNs() {
        return timestampNs;
    }

    public void retain() {
        buffer.retain();
    }

    public void release() {
        buffer.release();
    }
}
