package org.webrtc;

public interface VideoDecoderFactory {
    VideoDecoder createDecoder(VideoCodecInfo info);

    default VideoCodecInfo[] getSupportedCodecs() {
        return new VideoCodecInfo[0];
    }
}
