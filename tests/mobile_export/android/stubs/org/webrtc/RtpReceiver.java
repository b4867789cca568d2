package org.webrtc;

public class RtpReceiver {
    public MediaStreamTrack track;

    public MediaStreamTrack track() {
        return track;
    }
}
