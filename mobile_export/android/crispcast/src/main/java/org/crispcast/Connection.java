package org.crispcast;

import java.net.URL;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.webrtc.DataChannel;
import org.webrtc.IceCandidate;
import org.webrtc.MediaConstraints;
import org.webrtc.MediaStream;
import org.webrtc.MediaStreamTrack;
import org.webrtc.PeerConnection;
import org.webrtc.PeerConnectionFactory;
import org.webrtc.RtpReceiver;
import org.webrtc.RtpTransceiver;
import org.webrtc.SdpObserver;
import org.webrtc.SessionDescription;
import org.webrtc.VideoSink;
import org.webrtc.VideoTrack;

/**
 * One WebRTC connection to a WHEP endpoint: video and sound in, and the data channel. What happens
 * is told to the owner on threads of WebRTC; it posts them to its own.
 */
final class Connection {
    /** Who is told. */
    interface Owner {
        /** The offer, with its candidates: POST it, and call {@link Connection#answered}. */
        void offer(Connection connection, String sdp);

        void channelOpen(Connection connection);

        void text(Connection connection, byte[] utf8);

        void binary(Connection connection, byte[] bytes);

        /** It is over, whatever the cause. */
        void lost(Connection connection, String why);
    }

    private static final DataChannel.Init ORDERED = new DataChannel.Init();

    private final Owner owner;
    private final PeerConnection peer;
    private final DataChannel channel;
    private boolean offered;
    /** The session on the server, for DELETE; null before the answer. */
    volatile URL session;

    Connection(PeerConnectionFactory factory, Owner owner, VideoSink sink)
            throws CrispcastException {
        this.owner = owner;
        peer = factory.createPeerConnection(configuration(Collections.emptyList()),
                new Observer(sink));
        if (peer == null)
            throw new CrispcastException(
                    CrispcastException.NETWORK, "WebRTC makes no connection on this phone");
        RtpTransceiver.RtpTransceiverInit receive = new RtpTransceiver.RtpTransceiverInit(
                RtpTransceiver.RtpTransceiverDirection.RECV_ONLY);
        peer.addTransceiver(MediaStreamTrack.MediaType.MEDIA_TYPE_VIDEO, receive);
        peer.addTransceiver(MediaStreamTrack.MediaType.MEDIA_TYPE_AUDIO, receive);
        channel = peer.createDataChannel("crispcast", ORDERED);
        channel.registerObserver(new Channel());
        peer.createOffer(new Sdp() {
            @Override
            public void onCreateSuccess(SessionDescription offer) {
                peer.setLocalDescription(new Sdp(), offer); // then candidates are gathered
            }
        }, new MediaConstraints());
    }

    /** The server's answer. */
    void answered(Whep.Answer answer) {
        session = answer.session;
        if (!answer.iceServers.isEmpty())
            peer.setConfiguration(configuration(answer.iceServers));
        peer.setRemoteDescription(
                new Sdp(), new SessionDescription(SessionDescription.Type.ANSWER, answer.sdp));
    }

    /** Sends a control message. False where the channel is closed. */
    boolean send(byte[] utf8) {
        return channel.send(new DataChannel.Buffer(ByteBuffer.wrap(utf8), false));
    }

    /** Ends it. Nothing is told after. */
    void close() {
        channel.unregisterObserver();
        channel.dispose();
        peer.dispose();
    }

    private static PeerConnection.RTCConfiguration configuration(List<Whep.IceServer> servers) {
        List<PeerConnection.IceServer> ice = new ArrayList<>();
        for (Whep.IceServer server : servers)
            ice.add(PeerConnection.IceServer.builder(server.url)
                    .setUsername(server.username)
                    .setPassword(server.credential)
                    .createIceServer());
        PeerConnection.RTCConfiguration made = new PeerConnection.RTCConfiguration(ice);
        made.sdpSemantics = PeerConnection.SdpSemantics.UNIFIED_PLAN;
        return made;
    }

    private class Sdp implements SdpObserver {
        @Override
        public void onCreateSuccess(SessionDescription description) {}

        @Override
        public void onSetSuccess() {}

        @Override
        public void onCreateFailure(String why) {
            owner.lost(Connection.this, "WebRTC makes no offer: " + why);
        }

        @Override
        public void onSetFailure(String why) {
            owner.lost(Connection.this, "WebRTC does not take the description: " + why);
        }
    }

    private final class Channel implements DataChannel.Observer {
        @Override
        public void onBufferedAmountChange(long before) {}

        @Override
        public void onStateChange() {
            if (channel.state() == DataChannel.State.OPEN) owner.channelOpen(Connection.this);
            if (channel.state() == DataChannel.State.CLOSED)
                owner.lost(Connection.this, "the data channel is closed");
        }

        @Override
        public void onMessage(DataChannel.Buffer buffer) {
            byte[] bytes = new byte[buffer.data.remaining()]; // WebRTC's until this returns
            buffer.data.get(bytes);
            if (buffer.binary) owner.binary(Connection.this, bytes);
            else owner.text(Connection.this, bytes);
        }
    }

    private final class Observer implements PeerConnection.Observer {
        private final VideoSink sink;

        Observer(VideoSink sink) {
            this.sink = sink;
        }

        @Override
        public void onIceGatheringChange(PeerConnection.IceGatheringState state) {
            if (state != PeerConnection.IceGatheringState.COMPLETE || offered) return;
            offered = true;
            owner.offer(Connection.this, peer.getLocalDescription().description);
        }

        @Override
        public void onConnectionChange(PeerConnection.PeerConnectionState state) {
            if (state == PeerConnection.PeerConnectionState.FAILED
                    || state == PeerConnection.PeerConnectionState.CLOSED)
                owner.lost(Connection.this, "the connection is lost");
        }

        @Override
        public void onTrack(RtpTransceiver transceiver) {
            MediaStreamTrack track = transceiver.getReceiver().track();
            if (track instanceof VideoTrack) ((VideoTrack) track).addSink(sink);
        }

        @Override
        public void onSignalingChange(PeerConnection.SignalingState state) {}

        @Override
        public void onIceConnectionChange(PeerConnection.IceConnectionState state) {}

        @Override
        public void onIceConnectionReceivingChange(boolean receiving) {}

        @Override
        public void onIceCandidate(IceCandidate candidate) {}

        @Override
        public void onIceCandidatesRemoved(IceCandidate[] candidates) {}

        @Override
        public void onAddStream(MediaStream stream) {}

        @Override
        public void onRemoveStream(MediaStream stream) {}

        @Override
        public void onDataChannel(DataChannel opened) {}

        @Override
        public void onRenegotiationNeeded() {}

        @Override
        public void onAddTrack(RtpReceiver receiver, MediaStream[] streams) {}
    }
}
