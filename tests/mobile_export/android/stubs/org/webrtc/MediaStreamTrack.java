package org.webrtc;

public class MediaStreamTrack {
    public enum MediaType { MEDIA_TYPE_AUDIO, MEDIA_TYPE_VIDEO }
}
