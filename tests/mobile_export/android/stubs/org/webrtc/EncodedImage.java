package org.webrtc;

import java.nio.ByteBuffer;

public class EncodedImage {
    public final ByteBuffer buffer;
    public final long captureTimeNs;

    public EncodedImage(ByteBuffer buffer, long captureTimeNs) {
        this.buffer = buffer;
        this.captureTimeNs = captureTimeNs;
    }
}
