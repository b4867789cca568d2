package org.crispcast;

import android.app.Activity;
import android.app.Application;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.security.MessageDigest;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.AbstractExecutorService;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.webrtc.DataChannel;
import org.webrtc.EncodedImage;
import org.webrtc.HardwareVideoDecoderFactory;
import org.webrtc.JavaI420Buffer;
import org.webrtc.PeerConnection;
import org.webrtc.PeerConnectionFactory;
import org.webrtc.RtpTransceiver;
import org.webrtc.VideoCodecInfo;
import org.webrtc.VideoCodecStatus;
import org.webrtc.VideoDecoder;
import org.webrtc.VideoFrame;
import org.webrtc.VideoTrack;

/**
 * StreamRun FOLDER CASE...: recordings through a whole CrispcastSession. Signalling is HTTP, with a
 * server here; frames go through the identifying decoder and reach the sink as WebRTC hands them on,
 * with another time; the data channel's messages come as they do. Says "CASE ok", or what not.
 */
public final class StreamRun {
    private static boolean failed;

    private StreamRun() {}

    public static void main(String[] arguments) throws Exception {
        SignallingServer server = new SignallingServer(
                "<turn:host>; rel=\"ice-server\"; username=\"a\"; credential=\"b\"");
        for (int i = 1; i < arguments.length; ++i) {
            Recording recording = new Recording(Paths.get(arguments[0]), arguments[i]);
            Stage stage = new Stage(server.url(), recording);
            String wrong = stage.play();
            stage.close();
            if (JavaI420Buffer.LIVE.get() != 0) wrong += "frames are kept; ";
            failed |= !wrong.isEmpty();
            System.out.println(recording.name + (wrong.isEmpty() ? " ok" : ": " + wrong));
        }
        int ended = server.deleted();
        server.close();
        System.out.println(ended >= arguments.length - 1 ? "sessions deleted" : "left " + ended);
        System.exit(failed ? 1 : 0);
    }

    private static final int UNTRUSTED = 119;
    private static final int FRAMES = 24; // of the suite's package

    private static String[] trusted(Recording recording) {
        String keys = recording.steps.get(0).text("trust");
        return keys.isEmpty() ? new String[0] : keys.split(" ");
    }

    /** A slice, and no identity. */
    private static final byte[] PLAIN = {0, 0, 1, 0x41, 0};

    /** One session, and all that is around it. */
    private static final class Stage implements SessionListener {
        private final Recording recording;
        private final BlockingQueue<PeerConnection> answered = new ArrayBlockingQueue<>(16);
        private final Deque<FrameInfo> placed = new ArrayDeque<>();
        private final List<I420> shown = Collections.synchronizedList(new ArrayList<>());
        private final List<SessionState> states = Collections.synchronizedList(new ArrayList<>());
        private final List<String> sent = Collections.synchronizedList(new ArrayList<>());
        private final Application application = new Application();
        private final Path cache;
        private final CrispcastSession session;
        private final IdentifyingDecoder[] decoders = new IdentifyingDecoder[2];
        private final AtomicInteger warnings = new AtomicInteger();
        private final AtomicInteger untrusted = new AtomicInteger();
        private final CountDownLatch closed = new CountDownLatch(1);
        private PeerConnection peer;
        private VideoTrack track;
        private VideoFrame decoded;
        private volatile long farthest; // the last frame shown

        Stage(String url, Recording recording) throws Exception {
            this.recording = recording;
            cache = Files.createTempDirectory("crispcast");
            PeerConnectionFactory.answered = answered::add;
            session = new CrispcastSession(
                    url, this::show, this,
                    new SessionOptions().loop(recording.steps.get(0).number("loops") == 1)
                            .threads(1).nnapi(false).trust(trusted(recording)),
                    new PeerConnectionFactory(), this::read, this::decode,
                    new AssetCache(cache.toFile(), 1 << 20), application, new Workers(new Inline()));
            for (String codec : new String[] {"H264", "AV1"}) {
                int index = codec.equals("AV1") ? 1 : 0;
                HardwareVideoDecoderFactory.decoder = new Decoder();
                decoders[index] = (IdentifyingDecoder) new CrispcastDecoderFactory()
                        .createDecoder(new VideoCodecInfo(codec));
                decoders[index].initDecode(new VideoDecoder.Settings(), this::handOn);
            }
            session.start();
            peer = answered.poll(10, TimeUnit.SECONDS);
            if (peer == null) throw new AssertionError("no offer was answered");
            if (peer.configuration.iceServers.size() != 1) throw new AssertionError("no TURN");
            open();
        }

        private void open() throws Exception {
            track = new VideoTrack();
            RtpTransceiver transceiver = new RtpTransceiver();
            transceiver.receiver.track = track;
            peer.observer.onTrack(transceiver);
            peer.channel.far = text -> sent.add(new String(text, StandardCharsets.UTF_8));
        }

        String play() throws Exception {
            StringBuilder wrong = new StringBuilder();
            boolean connected = false;
            long number = 0;
            Map<Long, Recording.Step> coded = new HashMap<>(); // by RTP time
            for (Recording.Step step : recording.steps) {
                ++number;
                switch (step.text("do")) {
                    case "connected":
                        if (connected) reconnect();
                        connected = true;
                        peer.channel.state = DataChannel.State.OPEN;
                        peer.channel.observer.onStateChange();
                        break;
                    case "message":
                    case "piece":
                        peer.channel.observer.onMessage(new DataChannel.Buffer(
                                ByteBuffer.wrap(step.bytes), step.text("do").equals("piece")));
                        break;
                    case "identify":
                    case "coded":
                        coded.put(step.number("rtp"), step);
                        break;
                    case "seek":
                        session.seek(step.number("frame"));
                        break;
                    case "frame":
                        String off = frame(step, coded.get(step.number("rtp")));
                        if (!off.isEmpty()) wrong.append(number).append(": ").append(off);
                        break;
                    default:
                        break;
                }
                settle();
            }
            if (!String.join("", sent).contains("hello")) wrong.append("no hello; ");
            boolean trusts = trusted(recording).length != 0;
            boolean made = recording.steps.stream().anyMatch(s -> s.number("super_resolved") == 1);
            if (untrusted.get() != (trusts && !made ? 1 : 0))
                wrong.append(untrusted).append(" times untrusted; ");
            wrong.append(background());
            wrong.append(parting());
            return wrong.toString();
        }

        /** The channel closes; the session looks for the server by itself. */
        private void reconnect() throws Exception {
            peer.channel.state = DataChannel.State.CLOSED;
            peer.channel.observer.onStateChange();
            peer = answered.poll(10, TimeUnit.SECONDS);
            if (peer == null) throw new AssertionError("the server was not looked for");
            open();
        }

        private String frame(Recording.Step step, Recording.Step identity) throws Exception {
            byte[] coded = identity == null ? PLAIN : identity.accessUnit();
            int av1 = identity == null ? 0 : (int) identity.number("av1");
            placed.clear();
            shown.clear();
            int before = warnings.get();
            long ms = (step.number("rtp") & 0xffffffffL) / 90; // as WebRTC's JNI does
            I420 in = step.picture();
            decoded = new VideoFrame(
                    JavaI420Buffer.wrap(
                            in.width, in.height, in.y, in.strideY, in.u, in.strideU, in.v,
                            in.strideV, null),
                    0, ms * 1_000_000);
            ByteBuffer bytes = ByteBuffer.allocateDirect(coded.length);
            bytes.duplicate().put(coded);
            decoders[av1].decode(
                    new EncodedImage(bytes, ms * 1_000_000), new VideoDecoder.DecodeInfo());
            settle();
            if (step.number("refused") != 0) {
                boolean small = shown.size() == 1 && shown.get(0).width == in.width;
                return warnings.get() > before && small ? "" : "no warning and the LR; ";
            }
            FrameInfo info = placed.pollFirst();
            if (step.number("shown") == 0)
                return info == null && shown.isEmpty() ? "" : "a frame before the landing; ";
            if (info == null || shown.size() != 1) return "no frame; ";
            int off = step.farthest(shown.get(0));
            return step.wrong(info) + (off > 1 ? "a sample is off by " + off + "; " : "");
        }

        /** As WebRTC does: the picture goes on as it is, its time is that of showing it. */
        private void handOn(VideoFrame frame, Integer decodeTimeMs, Integer qp) {
            VideoFrame later = new VideoFrame(frame.getBuffer(), 0, System.nanoTime());
            later.retain();
            track.sink.onFrame(later);
            later.release();
        }

        /** Out of sight it pauses, and says so to the server; back again it goes on. */
        private String background() throws Exception {
            if (states.isEmpty() || states.get(states.size() - 1) != SessionState.PLAYING) return "";
            Activity activity = new Activity();
            Application.ActivityLifecycleCallbacks watcher = application.callbacks.get(0);
            watcher.onActivityStarted(activity);
            sent.clear();
            watcher.onActivityStopped(activity);
            settle();
            boolean paused = states.get(states.size() - 1) == SessionState.PAUSED
                    && String.join("", sent).contains("\"pause\"");
            watcher.onActivityStarted(activity);
            settle();
            boolean resumed = states.get(states.size() - 1) == SessionState.PLAYING
                    && String.join("", sent).contains("\"resume\"");
            return paused && resumed ? "" : "the background: " + states + sent + "; ";
        }

        /** Lost after the last frame it is over; else it is looked for. */
        private String parting() throws Exception {
            if (states.get(states.size() - 1) != SessionState.PLAYING) return "";
            boolean last = farthest == FRAMES - 1 && recording.steps.get(0).number("loops") == 0;
            peer.channel.state = DataChannel.State.CLOSED;
            peer.channel.observer.onStateChange();
            settle();
            SessionState wanted = last ? SessionState.ENDED : SessionState.RECONNECTING;
            return states.get(states.size() - 1) == wanted ? "" : "lost at its end: " + states + "; ";
        }

        /** All that was posted is done, and all that this posted. */
        private void settle() throws Exception {
            for (int i = 0; i < 12; ++i) session.figures();
        }

        private byte[] read(String name) throws IOException {
            byte[] base = recording.bases.get(
                    name.replace("bases/", "").replace(".plan", ""));
            if (base == null) throw new IOException(name);
            return base;
        }

        private ByteBuffer decode(byte[] avif, int width, int height) {
            try {
                StringBuilder name = new StringBuilder();
                for (byte b : MessageDigest.getInstance("SHA-256").digest(avif))
                    name.append(String.format("%02x", b));
                return recording.picture(name.toString());
            } catch (java.security.NoSuchAlgorithmException error) {
                throw new AssertionError(error);
            }
        }

        private void show(VideoFrame frame) {
            VideoFrame.I420Buffer buffer = frame.getBuffer().toI420();
            I420 copy = I420.allocate(buffer.getWidth(), buffer.getHeight());
            copy(buffer.getDataY(), buffer.getStrideY(), copy.y, copy.strideY);
            copy(buffer.getDataU(), buffer.getStrideU(), copy.u, copy.strideU);
            copy(buffer.getDataV(), buffer.getStrideV(), copy.v, copy.strideV);
            shown.add(copy);
            buffer.release();
        }

        private static void copy(ByteBuffer from, int fromStride, ByteBuffer to, int toStride) {
            for (int y = 0; y < to.capacity() / toStride; ++y)
                for (int x = 0; x < toStride; ++x)
                    to.put(y * toStride + x, from.get(y * fromStride + x));
        }

        @Override
        public void onFrame(FrameInfo frame) {
            placed.addLast(frame);
            farthest = frame.frame();
        }

        @Override
        public void onState(SessionState state, String sentence) {
            states.add(state);
            if (state == SessionState.CLOSED) closed.countDown();
        }

        @Override
        public void onWarning(CrispcastException warning) {
            warnings.incrementAndGet();
            if (warning.status() == UNTRUSTED) untrusted.incrementAndGet();
        }

        void close() throws Exception {
            session.close();
            session.close();
            try {
                session.pause(true);
                failed = true;
                System.out.println(recording.name + ": a closed session pauses");
            } catch (IllegalStateException refused) {
                // as it should be
            }
            if (!closed.await(10, TimeUnit.SECONDS)) throw new AssertionError("not closed");
        }

        /** Gives back the picture that the stage holds, with the time of what it was given. */
        private final class Decoder implements VideoDecoder {
            private Callback told;

            @Override
            public VideoCodecStatus initDecode(Settings settings, Callback callback) {
                told = callback;
                return VideoCodecStatus.OK;
            }

            @Override
            public VideoCodecStatus decode(EncodedImage image, DecodeInfo info) {
                VideoFrame frame = decoded;
                told.onDecodedFrame(frame, 1, null);
                frame.release();
                return VideoCodecStatus.OK;
            }

            @Override
            public VideoCodecStatus release() {
                return VideoCodecStatus.OK;
            }

            @Override
            public String getImplementationName() {
                return "recorded";
            }
        }
    }

    /** What is slow is done at once, so that every step ends before the next. */
    private static final class Inline extends AbstractExecutorService {
        private volatile boolean shut;

        @Override
        public void execute(Runnable run) {
            run.run();
        }

        @Override
        public void shutdown() {
            shut = true;
        }

        @Override
        public List<Runnable> shutdownNow() {
            shut = true;
            return new ArrayList<>();
        }

        @Override
        public boolean isShutdown() {
            return shut;
        }

        @Override
        public boolean isTerminated() {
            return shut;
        }

        @Override
        public boolean awaitTermination(long time, TimeUnit unit) {
            return true;
        }
    }
}
