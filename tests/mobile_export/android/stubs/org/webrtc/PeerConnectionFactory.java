package org.webrtc;

import android.content.Context;
import java.util.function.Consumer;

/** Makes connections, and tells a test of each that has its answer. */
public class PeerConnectionFactory {
    public static volatile Consumer<PeerConnection> answered;

    static void answered(PeerConnection connection) {
        if (answered != null) answered.accept(connection);
    }

    public static class InitializationOptions {
        public static class Builder {
            public InitializationOptions createInitializationOptions() {
                return new InitializationOptions();
            }
        }

        public static Builder builder(Context context) {
            return new Builder();
        }
    }

    public static class Builder {
        public Builder setVideoDecoderFactory(VideoDecoderFactory factory) {
            return this;
        }

        public PeerConnectionFactory createPeerConnectionFactory() {
            return new PeerConnectionFactory();
        }
    }

    public static void initialize(InitializationOptions options) {}

    public static Builder builder() {
        return new Builder();
    }

    public void dispose() {}

    public PeerConnection createPeerConnection(
            PeerConnection.RTCConfiguration configuration, PeerConnection.Observer observer) {
        return new PeerConnection(configuration, observer);
    }
}
