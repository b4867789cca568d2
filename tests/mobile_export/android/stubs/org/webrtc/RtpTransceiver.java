package org.webrtc;

public class RtpTransceiver {
    public enum RtpTransceiverDirection { SEND_RECV, SEND_ONLY, RECV_ONLY, INACTIVE }

    public static final class RtpTransceiverInit {
        public RtpTransceiverInit(RtpTransceiverDirection direction) {}
    }

    public final RtpReceiver receiver = new RtpReceiver();

    public RtpReceiver getReceiver() {
        return receiver;
    }
}
