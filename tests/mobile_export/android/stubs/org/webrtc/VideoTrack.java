package org.webrtc;

public class VideoTrack extends MediaStreamTrack {
    public volatile VideoSink sink;

    public void addSink(VideoSink given) {
        sink = given;
    }
}
