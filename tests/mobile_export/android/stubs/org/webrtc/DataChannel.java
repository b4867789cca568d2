package org.webrtc;

import java.nio.ByteBuffer;

/** A channel whose other end a test holds. */
public class DataChannel {
    public static class Init {
        public boolean ordered = true;
    }

    public enum State { CONNECTING, OPEN, CLOSING, CLOSED }

    public static class Buffer {
        public final ByteBuffer data;
        public final boolean binary;

        public Buffer(ByteBuffer data, boolean binary) {
            this.data = data;
            this.binary = binary;
        }
    }

    public interface Observer {
        void onBufferedAmountChange(long before);

        void onStateChange();

        void onMessage(Buffer buffer);
    }

    /** What the test does with what is sent. */
    public interface Far {
        void take(byte[] text);
    }

    public volatile Observer observer;
    public volatile State state = State.CONNECTING;
    public volatile Far far;
    public final String label;

    public DataChannel(String label) {
        this.label = label;
    }

    public void registerObserver(Observer given) {
        observer = given;
    }

    public void unregisterObserver() {
        observer = null;
    }

    public State state() {
        return state;
    }

    public boolean send(Buffer buffer) {
        byte[] bytes = new byte[buffer.data.remaining()];
        buffer.data.get(bytes);
        if (state != State.OPEN) return false;
        far.take(bytes);
        return true;
    }

    public void dispose() {
        state = State.CLOSED;
    }
}
