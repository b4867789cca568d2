package org.webrtc;

public interface VideoSink {
    void onFrame(VideoFrame frame);
}
