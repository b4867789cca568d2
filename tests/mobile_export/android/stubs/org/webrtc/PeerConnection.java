package org.webrtc;

import java.util.List;

/** A connection that a test drives through its observer. */
public class PeerConnection {
    public enum IceGatheringState { NEW, GATHERING, COMPLETE }

    public enum PeerConnectionState { NEW, CONNECTING, CONNECTED, DISCONNECTED, FAILED, CLOSED }

    public enum SignalingState { STABLE }

    public enum IceConnectionState { NEW }

    public enum SdpSemantics { PLAN_B, UNIFIED_PLAN }

    public static class IceServer {
        public static class Builder {
            public Builder setUsername(String name) {
                return this;
            }

            public Builder setPassword(String word) {
                return this;
            }

            public IceServer createIceServer() {
                return new IceServer();
            }
        }

        public static Builder builder(String uri) {
            return new Builder();
        }
    }

    public static class RTCConfiguration {
        public List<IceServer> iceServers;
        public SdpSemantics sdpSemantics = SdpSemantics.UNIFIED_PLAN;

        public RTCConfiguration(List<IceServer> servers) {
            iceServers = servers;
        }
    }

    public interface Observer {
        void onSignalingChange(SignalingState state);

        void onIceConnectionChange(IceConnectionState state);

        default void onConnectionChange(PeerConnectionState state) {}

        void onIceConnectionReceivingChange(boolean receiving);

        void onIceGatheringChange(IceGatheringState state);

        void onIceCandidate(IceCandidate candidate);

        void onIceCandidatesRemoved(IceCandidate[] candidates);

        void onAddStream(MediaStream stream);

        void onRemoveStream(MediaStream stream);

        void onDataChannel(DataChannel channel);

        void onRenegotiationNeeded();

        default void onAddTrack(RtpReceiver receiver, MediaStream[] streams) {}

        default void onTrack(RtpTransceiver transceiver) {}
    }

    public final Observer observer;
    public volatile DataChannel channel;
    public volatile SessionDescription local;
    public volatile SessionDescription remote;
    public volatile RTCConfiguration configuration;
    public volatile boolean disposed;

    public PeerConnection(RTCConfiguration configuration, Observer observer) {
        this.configuration = configuration;
        this.observer = observer;
    }

    public RtpTransceiver addTransceiver(
            MediaStreamTrack.MediaType type, RtpTransceiver.RtpTransceiverInit init) {
        return new RtpTransceiver();
    }

    public DataChannel createDataChannel(String label, DataChannel.Init init) {
        channel = new DataChannel(label);
        return channel;
    }

    public void createOffer(SdpObserver told, MediaConstraints constraints) {
        new Thread(() -> told.onCreateSuccess(
                new SessionDescription(SessionDescription.Type.OFFER, "v=0\r\n"))).start();
    }

    public void setLocalDescription(SdpObserver told, SessionDescription description) {
        local = description;
        told.onSetSuccess();
        observer.onIceGatheringChange(IceGatheringState.COMPLETE);
    }

    public void setRemoteDescription(SdpObserver told, SessionDescription description) {
        remote = description;
        told.onSetSuccess();
        PeerConnectionFactory.answered(this);
    }

    public SessionDescription getLocalDescription() {
        return local;
    }

    public boolean setConfiguration(RTCConfiguration given) {
        configuration = given;
        return true;
    }

    public void dispose() {
        disposed = true;
    }
}
