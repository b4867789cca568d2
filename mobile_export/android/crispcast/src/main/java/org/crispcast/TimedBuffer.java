package org.crispcast;

import org.webrtc.VideoFrame;

/**
 * A decoded picture that knows its RTP time and the beginning of its coded frame. Android's WebRTC
 * hands decoders' buffers on to sinks as they are, while the time of a frame that reaches a sink is
 * that at which it is to be shown.
 */
final class TimedBuffer implements VideoFrame.Buffer {
    final VideoFrame.Buffer inner;
    final int rtpTime;
    final int codec;
    final byte[] coded;

    TimedBuffer(VideoFrame.Buffer inner, int rtpTime, int codec, byte[] coded) {
        this.inner = inner;
        this.rtpTime = rtpTime;
        this.codec = codec;
        this.coded = coded;
    }

    @Override
    public int getWidth() {
        return inner.getWidth();
    }

    @Override
    public int getHeight() {
        return inner.getHeight();
    }

    @Override
    public VideoFrame.I420Buffer toI420() {
        return inner.toI420();
    }

    @Override
    public void retain() {
        inner.retain();
    }

    @Override
    public void release() {
        inner.release();
    }

    @Override
    public VideoFrame.Buffer cropAndScale(
            int cropX, int cropY, int cropWidth, int cropHeight, int scaleWidth, int scaleHeight) {
        return inner.cropAndScale(cropX, cropY, cropWidth, cropHeight, scaleWidth, scaleHeight);
    }
}
