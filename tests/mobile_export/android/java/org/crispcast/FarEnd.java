package org.crispcast;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.webrtc.DataChannel;
import org.webrtc.JavaI420Buffer;
import org.webrtc.PeerConnection;
import org.webrtc.PeerConnectionFactory;
import org.webrtc.RtpTransceiver;
import org.webrtc.VideoFrame;
import org.webrtc.VideoSink;
import org.webrtc.VideoTrack;

/** A session as an app without bases makes one, and what comes to it from the server's end. */
final class FarEnd {
    private static final int SECONDS = 20;

    final CrispcastSession session;
    private final BlockingQueue<PeerConnection> answered = new LinkedBlockingQueue<>();
    private final VideoTrack track = new VideoTrack();
    private DataChannel channel;

    FarEnd(String url, VideoSink output, SessionListener listener, SessionOptions options)
            throws Exception {
        PeerConnectionFactory.answered = answered::add;
        session = new CrispcastSession(
                url, output, listener, options.threads(1).nnapi(false),
                new PeerConnectionFactory(),
                name -> {
                    throw new IOException(name);
                },
                (avif, width, height) -> null,
                new AssetCache(Files.createTempDirectory("crispcast").toFile(), 1 << 20), null,
                new Workers());
    }

    /** Begins the session, whose offer is answered; its channel is not open yet. */
    void start() throws Exception {
        session.start();
        PeerConnection peer = next();
        RtpTransceiver transceiver = new RtpTransceiver();
        transceiver.receiver.track = track;
        peer.observer.onTrack(transceiver);
        channel = peer.channel;
        hears(text -> {});
    }

    /** The next connection of which an offer is answered. */
    PeerConnection next() throws InterruptedException {
        PeerConnection peer = answered.poll(SECONDS, TimeUnit.SECONDS);
        if (peer == null) throw new AssertionError("no offer was answered");
        return peer;
    }

    /** From now on, `heard` has what the session says. */
    void hears(DataChannel.Far heard) {
        channel.far = heard;
    }

    /** The channel opens, or closes. */
    void becomes(DataChannel.State state) {
        channel.state = state;
        channel.observer.onStateChange();
    }

    void says(byte[] bytes, boolean binary) {
        channel.observer.onMessage(new DataChannel.Buffer(ByteBuffer.wrap(bytes), binary));
    }

    void shows(I420 in) {
        VideoFrame frame = new VideoFrame(
                JavaI420Buffer.wrap(
                        in.width, in.height, in.y, in.strideY, in.u, in.strideU, in.v, in.strideV,
                        null),
                0, System.nanoTime());
        track.sink.onFrame(frame);
        frame.release();
    }

    /** Does a step that concerns the channel; others are left out. */
    void does(Recording.Step step) {
        String what = step.text("do");
        if (what.equals("connected")) becomes(DataChannel.State.OPEN);
        if (what.equals("message")) says(step.bytes, false);
        if (what.equals("piece")) says(step.bytes, true);
    }
}
