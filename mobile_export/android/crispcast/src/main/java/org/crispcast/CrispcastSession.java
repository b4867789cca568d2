package org.crispcast;

import android.app.Application;
import android.content.Context;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.net.URL;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.webrtc.PeerConnectionFactory;
import org.webrtc.VideoSink;

/**
 * A stream: small frames come by WebRTC, large ones go to a sink, such as a SurfaceViewRenderer.
 *
 * <p>Any thread may call it. What is asked for happens on the session's own thread, where the
 * listener is told; a wish that the server or the core refuses is a warning there. After {@link
 * #close} every call but close is an IllegalStateException. Whatever fails, the video plays on,
 * interpolated, as long as the server sends it.
 */
public final class CrispcastSession implements AutoCloseable {
    private static final long TICK_MS = 500;
    private static final long REPORT_NS = 5_000_000_000L;
    private static final long SILENCE_NS = 4_000_000_000L;
    private static final long LONGEST_WAIT_MS = 5_000;

    private final URL url;
    private final SessionOptions options;
    private final SessionListener listener;
    private final PeerConnectionFactory factory;
    private final Resources resources;
    private final SessionCore core;
    private final UpscalingSink sink;
    private final TaskRunner runner;
    private final Background background;
    private final ScheduledExecutorService queue =
            Executors.newSingleThreadScheduledExecutor(run -> new Thread(run, "crispcast"));
    private final Workers workers;
    private volatile boolean closed;

    // Of the session's thread.
    private SessionState state = SessionState.CONNECTING;
    private Connection connection;
    private AssetFetcher fetcher;
    private SessionCore.Info info;
    private boolean paused; // by the app
    private boolean hidden; // by the background
    private long waitMs;
    private long lostSince;
    private long lastFrame;
    private long lastReport = System.nanoTime();
    private int framesSince;

    /**
     * A session with the module's defaults; {@link #start} begins it.
     *
     * @param context any of the app's
     * @param url the WHEP endpoint, as https://HOST/whep/NAME
     * @param output takes the large frames, on the session's thread
     * @throws CrispcastException where the app has no library for this processor, or no memory
     */
    public CrispcastSession(
            Context context, String url, VideoSink output, SessionListener listener,
            SessionOptions options) throws CrispcastException {
        this(url, output, listener, options,
                options.factory != null ? options.factory : defaultFactory(context),
                name -> assetOf(context, name), new AvifDecoder(), cacheOf(context, options),
                options.pauseInBackground ? (Application) context.getApplicationContext() : null,
                new Workers());
    }

    /**
     * As above, with all that is Android's given; {@code application} null: no background. {@code
     * workers} do what is slow, and are shut down at the end.
     */
    CrispcastSession(
            String url, VideoSink output, SessionListener listener, SessionOptions options,
            PeerConnectionFactory factory, Resources resources, PlateDecoder plates,
            AssetCache cache, Application application, Workers workers) throws CrispcastException {
        this.url = Whep.checked(null, url);
        this.options = options;
        this.listener = listener;
        this.factory = factory;
        this.resources = resources;
        this.workers = workers;
        core = new SessionCore(options.threads, null, 0, options.plain, options.loop, options.trust);
        sink = new UpscalingSink(core, output, queue, new Frames());
        runner = new TaskRunner(core, cache, resources, plates, options.verifier, workers, this::post);
        background = application == null
                ? null
                : new Background(application, on -> post(() -> hide(on)));
    }

    /** Looks for the server and plays. */
    public void start() {
        ask(() -> {
            if (connection != null || state != SessionState.CONNECTING) return;
            queue.scheduleWithFixedDelay(
                    () -> run(this::tick), TICK_MS, TICK_MS, TimeUnit.MILLISECONDS);
            lostSince = System.nanoTime();
            become(SessionState.CONNECTING, "");
            connect();
        });
    }

    /** Holds the play, or goes on. */
    public void pause(boolean on) {
        ask(() -> {
            paused = on;
            hold();
        });
    }

    /** Goes on at that frame; frames that only lead there are not shown. */
    public void seek(long frame) {
        ask(() -> core.seek(frame));
    }

    /** Begins again at the end, or not. */
    public void loop(boolean on) {
        ask(() -> core.loop(on));
    }

    /** Plays that rung from the next segment on; -1: whichever the server sees fit. */
    public void chooseRung(int rung) {
        ask(() -> core.chooseRung(rung));
    }

    /** How it goes. Waits for the session's thread, one frame at most. */
    public Figures figures() throws CrispcastException {
        if (closed) throw new IllegalStateException("this session is closed: make another one");
        try {
            return queue.submit(() -> new Figures(
                    core.figures(), sink.skipped(), sink.upscaleMs(), sink.backendName())).get();
        } catch (RejectedExecutionException closing) {
            throw new IllegalStateException("this session is closed: make another one");
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
            throw new CrispcastException(CrispcastException.NETWORK, "interrupted");
        } catch (java.util.concurrent.ExecutionException failed) {
            if (failed.getCause() instanceof CrispcastException)
                throw (CrispcastException) failed.getCause();
            throw new IllegalStateException("this session is closed: make another one");
        }
    }

    /** Says goodbye and frees all. A second call does nothing. */
    @Override
    public void close() {
        synchronized (this) {
            if (closed) return;
            closed = true;
        }
        if (background != null) background.stop();
        queue.execute(() -> {
            try {
                core.leave();
                for (Task task : core.tasks(now()))
                    if (task.kind() == Task.SEND && connection != null)
                        connection.send(task.bytes);
            } catch (CrispcastException error) {
                // The server finds out by itself.
            }
            disconnect();
            workers.shutdown();
            sink.close();
            core.close();
            if (options.factory == null) factory.dispose();
            state = SessionState.CLOSED;
            listener.onState(SessionState.CLOSED, "");
        });
        queue.shutdown();
    }

    // ---- the session's thread

    private void ask(TaskRunner.Answer wish) {
        if (!post(wish))
            throw new IllegalStateException("this session is closed: make another one");
    }

    private boolean post(TaskRunner.Answer answer) {
        if (closed) return false;
        try {
            queue.execute(() -> run(answer));
            return true;
        } catch (RejectedExecutionException closing) {
            return false;
        }
    }

    /** Runs it, tells what went wrong, and does what the core then asks for. */
    private void run(TaskRunner.Answer answer) {
        if (closed) return;
        try {
            answer.give();
        } catch (CrispcastException error) {
            listener.onWarning(error);
        }
        tasks();
    }

    private void tasks() {
        try {
            for (Task task : core.tasks(now())) if (!runner.run(task, fetcher)) heed(task);
        } catch (CrispcastException error) {
            listener.onWarning(error);
        }
    }

    private void heed(Task task) throws CrispcastException {
        switch (task.kind()) {
            case Task.SEND:
                if (connection != null) connection.send(task.bytes);
                break;
            case Task.MANIFEST:
                info = core.info();
                sink.manifest(info);
                if (options.nnapi && !options.plain) chooseBackend(info.packageId);
                break;
            case Task.READY:
                if (held() && fresh()) become(SessionState.PAUSED, "");
                break;
            case Task.LATE:
            case Task.REFUSED:
            case Task.NOT_DONE:
            case Task.UNTRUSTED:
                listener.onWarning(new CrispcastException(task.status(), task.text));
                break;
            case Task.ENDED:
                become(SessionState.ENDED, task.text);
                disconnect();
                break;
            case Task.LOST:
                lose(task.text);
                break;
            case Task.FAILED:
                fail(task.text);
                break;
            default:
                break;
        }
    }

    private void chooseBackend(String packageId) {
        workers.local.execute(() -> {
            NnapiBackend chosen = BackendChoice.choose(packageId, resources, options.threads);
            if (chosen != null && !post(() -> sink.backend(chosen))) chosen.close();
        });
    }

    private void tick() {
        long now = System.nanoTime();
        boolean silent = state == SessionState.PLAYING && now - lastFrame > SILENCE_NS;
        if (silent) lose("no frames come");
        if (state != SessionState.PLAYING || now - lastReport < REPORT_NS) return;
        double fps = framesSince * 1e9 / (now - lastReport);
        lastReport = now;
        framesSince = 0;
        try {
            core.report(sink.upscaleMs(), fps, sink.resting());
        } catch (CrispcastException error) {
            listener.onWarning(error);
        }
    }

    private void hide(boolean on) throws CrispcastException {
        hidden = on;
        hold();
    }

    private void hold() throws CrispcastException {
        boolean on = held();
        core.pause(on);
        if (on && state == SessionState.PLAYING) become(SessionState.PAUSED, "");
        if (!on && state == SessionState.PAUSED) {
            lastFrame = System.nanoTime();
            become(SessionState.PLAYING, "");
        }
    }

    private static long now() {
        return TimeUnit.NANOSECONDS.toMillis(System.nanoTime());
    }

    private boolean held() {
        return paused || hidden;
    }

    /** Whether it waits for the first frame, or the first after a loss. */
    private boolean fresh() {
        return state == SessionState.CONNECTING || state == SessionState.RECONNECTING;
    }

    private void become(SessionState next, String sentence) {
        state = next;
        listener.onState(next, sentence);
    }

    private boolean over() {
        return closed || state == SessionState.ENDED || state == SessionState.FAILED;
    }

    private void fail(String why) {
        if (over()) return;
        become(SessionState.FAILED, why);
        disconnect();
    }

    // ---- connections

    private void connect() {
        if (over()) return;
        try {
            connection = new Connection(factory, new Peer(), sink);
        } catch (CrispcastException error) {
            fail(error.getMessage());
        }
    }

    private void disconnect() {
        if (connection == null) return;
        if (fetcher != null) fetcher.close();
        fetcher = null;
        Connection old = connection;
        connection = null;
        URL there = old.session;
        old.close();
        if (there != null) workers.farewells.execute(() -> Whep.delete(there));
    }

    private void lose(String why) {
        lose(why, 0);
    }

    /** Looks for the server again, later each time, until that has lasted too long. */
    private void lose(String why, int waitSeconds) {
        if (over() || connection == null) return;
        disconnect();
        long now = System.nanoTime();
        if (state != SessionState.RECONNECTING && state != SessionState.CONNECTING) {
            lostSince = now;
            waitMs = 0;
            become(SessionState.RECONNECTING, why);
        }
        waitMs = waitMs == 0 ? 250 : Math.min(2 * waitMs, LONGEST_WAIT_MS);
        long wait = Math.max(waitMs + (long) (Math.random() * 100), 1000L * waitSeconds);
        long lasts = TimeUnit.NANOSECONDS.toMillis(now - lostSince) + wait;
        if (lasts > 1000L * options.reconnectSeconds) {
            fail(why);
            return;
        }
        queue.schedule(() -> run(this::connect), wait, TimeUnit.MILLISECONDS);
    }

    private void signal(Connection of, String sdp) {
        try {
            Whep.Answer answer = Whep.post(url, sdp, options.token);
            boolean there = post(() -> {
                if (of != connection) {
                    workers.farewells.execute(() -> Whep.delete(answer.session));
                    return;
                }
                fetcher = new AssetFetcher(answer.endpoint, url, options.token);
                of.answered(answer);
            });
            if (!there) Whep.delete(answer.session);
        } catch (Whep.Refusal refusal) {
            post(() -> {
                if (refusal.isFinal()) fail(refusal.getMessage());
                else if (of == connection) lose(refusal.getMessage(), refusal.waitSeconds);
            });
        } catch (CrispcastException error) {
            post(() -> {
                if (of == connection) lose(error.getMessage());
            });
        }
    }

    private final class Peer implements Connection.Owner {
        @Override
        public void offer(Connection of, String sdp) {
            try {
                workers.offers.execute(() -> signal(of, sdp));
            } catch (RejectedExecutionException closing) {
                // closed meanwhile
            }
        }

        @Override
        public void channelOpen(Connection of) {
            post(() -> {
                if (of == connection) core.connected();
            });
        }

        @Override
        public void text(Connection of, byte[] utf8) {
            post(() -> {
                if (of == connection) core.message(utf8);
            });
        }

        @Override
        public void binary(Connection of, byte[] bytes) {
            post(() -> {
                if (of == connection) core.frameBytes(bytes);
            });
        }

        @Override
        public void lost(Connection of, String why) {
            post(() -> {
                if (of == connection) lose(why);
            });
        }
    }

    private final class Frames implements UpscalingSink.Owner {
        @Override
        public void upscaled(FrameInfo frame) {
            lastFrame = System.nanoTime();
            if (frame.shown()) {
                ++framesSince;
                if (fresh()) become(held() ? SessionState.PAUSED : SessionState.PLAYING, "");
                listener.onFrame(frame);
            }
            tasks();
        }

        @Override
        public void failed(CrispcastException error) {
            lastFrame = System.nanoTime();
            listener.onWarning(error);
        }
    }

    // ---- Android's defaults

    private static PeerConnectionFactory defaultFactory(Context context) {
        PeerConnectionFactory.initialize(
                PeerConnectionFactory.InitializationOptions
                        .builder(context.getApplicationContext())
                        .createInitializationOptions());
        return PeerConnectionFactory.builder()
                .setVideoDecoderFactory(new CrispcastDecoderFactory())
                .createPeerConnectionFactory();
    }

    private static byte[] assetOf(Context context, String name) throws IOException {
        try (InputStream in = context.getAssets().open("crispcast/" + name)) {
            return Whep.read(in, 64 << 20);
        }
    }

    private static AssetCache cacheOf(Context context, SessionOptions options) {
        File folder = options.cacheFolder != null
                ? options.cacheFolder
                : new File(context.getCacheDir(), "crispcast");
        return new AssetCache(folder, options.cacheLimit);
    }
}
