package org.webrtc;

/** Has the decoder that a test gave it. */
public class HardwareVideoDecoderFactory implements VideoDecoderFactory {
    public static volatile VideoDecoder decoder;

    public HardwareVideoDecoderFactory(EglBase.Context context) {}

    @Override
    public VideoDecoder createDecoder(VideoCodecInfo info) {
        return decoder;
    }
}
