package org.webrtc;

public class VideoCodecInfo {
    private final String name;

    public VideoCodecInfo(String name) {
        this.name = name;
    }

    public String getName() {
        return name;
    }
}
