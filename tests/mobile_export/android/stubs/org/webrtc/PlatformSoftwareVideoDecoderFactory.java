package org.webrtc;

/** Has the decoder that a test gave it. */
public class PlatformSoftwareVideoDecoderFactory implements VideoDecoderFactory {
    public static volatile VideoDecoder decoder;

    public PlatformSoftwareVideoDecoderFactory(EglBase.Context context) {}

    @Override
    public VideoDecoder createDecoder(VideoCodecInfo info) {
        return decoder;
    }
}
