package org.webrtc;

public interface VideoDecoder {
    class Settings {}

    class DecodeInfo {}

    interface Callback {
        void onDecodedFrame(VideoFrame frame, Integer decodeTimeMs, Integer qp);
    }

    VideoCodecStatus initDecode(Settings settings, Callback callback);

    VideoCodecStatus release();

    VideoCodecStatus decode(EncodedImage frame, DecodeInfo info);

    String getImplementationName();
}
