package org.crispcast;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.webrtc.DataChannel;
import org.webrtc.JavaI420Buffer;
import org.webrtc.PeerConnection;
import org.webrtc.PeerConnectionFactory;
import org.webrtc.RtpTransceiver;
import org.webrtc.VideoFrame;
import org.webrtc.VideoTrack;

/**
 * ListenerRun FOLDER CASE: a listener asks for the figures whenever it is told something, closes the
 * session at the first frame, and throws each time. Says what it was told until then.
 */
public final class ListenerRun implements SessionListener {
    private final Set<String> told = new ConcurrentSkipListSet<>();
    private final CountDownLatch closed = new CountDownLatch(1);
    private volatile CrispcastSession session;

    private ListenerRun() {}

    public static void main(String[] arguments) throws Exception {
        Recording recording = new Recording(Paths.get(arguments[0]), arguments[1]);
        boolean over = new ListenerRun().play(recording);
        System.out.println(over ? "closed" : "it hangs");
        System.exit(over ? 0 : 1);
    }

    private boolean play(Recording recording) throws Exception {
        SignallingServer server = new SignallingServer(null);
        BlockingQueue<PeerConnection> answered = new LinkedBlockingQueue<>();
        PeerConnectionFactory.answered = answered::add;
        session = new CrispcastSession(
                server.url(), frame -> {}, this, new SessionOptions().threads(1).nnapi(false),
                new PeerConnectionFactory(),
                name -> {
                    throw new IOException(name);
                },
                (avif, width, height) -> null,
                new AssetCache(Files.createTempDirectory("crispcast").toFile(), 1 << 20), null,
                new Workers());
        session.start();
        PeerConnection peer = answered.poll(10, TimeUnit.SECONDS);
        if (peer == null) return false;
        VideoTrack track = new VideoTrack();
        RtpTransceiver transceiver = new RtpTransceiver();
        transceiver.receiver.track = track;
        peer.observer.onTrack(transceiver);
        peer.channel.far = text -> {};
        session.seek(1 << 20); // refused: a warning
        for (Recording.Step step : recording.steps) {
            String what = step.text("do");
            if (what.equals("connected")) {
                peer.channel.state = DataChannel.State.OPEN;
                peer.channel.observer.onStateChange();
            } else if (what.equals("message") || what.equals("piece")) {
                peer.channel.observer.onMessage(new DataChannel.Buffer(
                        ByteBuffer.wrap(step.bytes), what.equals("piece")));
            } else if (what.equals("frame")) {
                I420 in = step.picture();
                track.sink.onFrame(new VideoFrame(
                        JavaI420Buffer.wrap(
                                in.width, in.height, in.y, in.strideY, in.u, in.strideU, in.v,
                                in.strideV, null),
                        0, System.nanoTime()));
                break;
            }
        }
        boolean over = closed.await(10, TimeUnit.SECONDS);
        for (String what : told) System.out.println(what);
        return over;
    }

    private void ask(String what) {
        try {
            if (session.figures() != null) told.add(what);
        } catch (CrispcastException error) {
            told.add(what + ": " + error.getMessage());
        }
        throw new IllegalStateException("of the app");
    }

    @Override
    public void onState(SessionState state, String sentence) {
        if (state == SessionState.CLOSED) closed.countDown();
        else ask("state");
    }

    @Override
    public void onFrame(FrameInfo frame) {
        try {
            ask("frame");
        } finally {
            session.close();
        }
    }

    @Override
    public void onWarning(CrispcastException warning) {
        ask("warning");
    }
}
