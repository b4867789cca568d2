package org.crispcast;

import android.app.Application;
import android.content.Context;
import java.net.URL;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledThreadPoolExecutor;
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
    private static final int BAD_MANIFEST = 104;
    private static final int NO_SUCH_RUNG = 114;

    private final SessionOptions options;
    private final SessionListener listener;
    private final PeerConnectionFactory factory;
    private final Resources resources;
    private final SessionCore core;
    private final UpscalingSink sink;
    private final TaskRunner runner;
    private final Lifeline lifeline;
    private final Background background;
    private final ScheduledThreadPoolExecutor queue =
            new ScheduledThreadPoolExecutor(1, this::thread);
    private volatile Thread own;
    private final Workers workers;
    private volatile boolean closed;

    // Of the session's thread.
    private SessionState state = SessionState.CONNECTING;
    private boolean started;
    private boolean paused; // by the app
    private boolean hidden; // by the background
    private boolean small; // what the server says is of no use here: the video is shown as it comes
    private long lastFrame;
    private long lastReport = System.nanoTime();
    private int framesSince;

    /**
     * A session with the module's defaults; {@link #start} begins it.
     *
     * @param context any of the app's
     * @param url the WHEP endpoint, as https://HOST/whep/NAME
     * @param output takes the large frames, on the session's thread
     * @throws CrispcastException where the address or the token is none, or the app has no library
     *     for this processor, or no memory
     */
    public CrispcastSession(
            Context context, String url, VideoSink output, SessionListener listener,
            SessionOptions options) throws CrispcastException {
        this(url, output, listener, options,
                options.factory != null ? options.factory : AndroidDefaults.factory(context),
                AndroidDefaults.resources(context), new AvifDecoder(),
                AndroidDefaults.cache(context, options),
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
        URL given = Whep.checked(null, url);
        Bearer bearer = new Bearer(options.token, given, options.tokenOrigins);
        this.options = options;
        this.listener = new LoggedListener(listener);
        this.factory = factory;
        this.resources = resources;
        this.workers = workers;
        queue.setRemoveOnCancelPolicy(true); // a timer that is of no use does not keep the thread
        core = new SessionCore(options.threads, null, 0, options.plain, options.loop, options.trust);
        sink = new UpscalingSink(core, output, queue, new Frames());
        runner = new TaskRunner(core, cache, resources, plates, options.verifier, workers, this::post);
        lifeline = new Lifeline(
                given, bearer, options.reconnectSeconds, factory, sink, workers, new Line());
        background = application == null
                ? null
                : new Background(application, on -> post(() -> hide(on)));
    }

    /** Looks for the server and plays. */
    public void start() {
        ask(() -> {
            if (started) return;
            started = true;
            queue.scheduleWithFixedDelay(
                    () -> run(this::tick), TICK_MS, TICK_MS, TimeUnit.MILLISECONDS);
            become(SessionState.CONNECTING, "");
            lifeline.start();
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

    /** How it goes. Waits for the session's thread, one frame at most; a listener is on it. */
    public Figures figures() throws CrispcastException {
        if (closed) throw new IllegalStateException("this session is closed: make another one");
        if (Thread.currentThread() == own) return counted();
        try {
            return queue.submit(this::counted).get();
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
                    if (task.kind() == Task.SEND) lifeline.send(task.bytes);
            } catch (CrispcastException error) {
                // The server finds out by itself.
            }
            lifeline.end();
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

    private Thread thread(Runnable run) {
        own = new Thread(run, "crispcast");
        return own;
    }

    private Figures counted() throws CrispcastException {
        return new Figures(
                core.figures(), sink.skipped(), sink.upscaleMs(), sink.backendName());
    }

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
            for (Task task : core.tasks(now())) if (!runner.run(task, lifeline.fetcher())) heed(task);
        } catch (CrispcastException error) {
            listener.onWarning(error);
        }
    }

    private void heed(Task task) throws CrispcastException {
        switch (task.kind()) {
            case Task.SEND:
                lifeline.send(task.bytes);
                break;
            case Task.MANIFEST:
                SessionCore.Info info = core.info();
                sink.manifest(info);
                if (options.nnapi && !options.plain) chooseBackend(info.packageId);
                break;
            case Task.JOINED:
                lifeline.joined();
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
                lifeline.end();
                break;
            case Task.LOST:
                lifeline.lose(task.text);
                break;
            case Task.FAILED:
                // The call that brought a manifest of no use has told so; the video goes on.
                small = task.status() == BAD_MANIFEST || task.status() == NO_SUCH_RUNG;
                if (!small) fail(task.text);
                break;
            default:
                break;
        }
    }

    private void chooseBackend(String packageId) {
        workers.local.execute(() -> {
            NnapiBackend chosen = BackendChoice.choose(packageId, resources, options.threads);
            if (chosen == null) return;
            try {
                queue.execute(() -> sink.backend(chosen)); // closing too: the sink lets go of it
            } catch (RejectedExecutionException closing) {
                chosen.close();
            }
        });
    }

    private void tick() {
        long now = System.nanoTime();
        boolean silent = state == SessionState.PLAYING && now - lastFrame > SILENCE_NS;
        if (silent) lifeline.lose("no frames come");
        if (state != SessionState.PLAYING || now - lastReport < REPORT_NS) return;
        double fps = framesSince * 1e9 / (now - lastReport);
        lastReport = now;
        framesSince = 0;
        if (small) return;
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
        if (next == SessionState.PLAYING || next == SessionState.PAUSED) lifeline.found();
        listener.onState(next, sentence);
    }

    private void fail(String why) {
        if (state == SessionState.ENDED || state == SessionState.FAILED) return;
        become(SessionState.FAILED, why);
        lifeline.end();
    }

    private final class Line implements Lifeline.Owner {
        @Override
        public boolean post(TaskRunner.Answer answer) {
            return CrispcastSession.this.post(answer);
        }

        @Override
        public Future<?> later(long milliseconds, TaskRunner.Answer answer) {
            try {
                return queue.schedule(
                        () -> CrispcastSession.this.run(answer), milliseconds,
                        TimeUnit.MILLISECONDS);
            } catch (RejectedExecutionException closing) {
                return null; // closed meanwhile
            }
        }

        @Override
        public void channelOpen() throws CrispcastException {
            if (!small) core.connected();
        }

        @Override
        public void text(byte[] utf8) throws CrispcastException {
            if (!small) core.message(utf8);
        }

        @Override
        public void binary(byte[] bytes) throws CrispcastException {
            if (!small) core.frameBytes(bytes);
        }

        @Override
        public boolean parted() throws CrispcastException {
            if (small || !core.disconnected()) return false;
            become(SessionState.ENDED, "");
            lifeline.end();
            return true;
        }

        @Override
        public void lost(String why) {
            become(SessionState.RECONNECTING, why);
        }

        @Override
        public void gaveUp(String why) {
            fail(why);
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
        public void passed() {
            if (!small) return; // the manifest is on its way
            lastFrame = System.nanoTime();
            if (fresh()) become(held() ? SessionState.PAUSED : SessionState.PLAYING, "");
        }

        @Override
        public void failed(CrispcastException error) {
            lastFrame = System.nanoTime();
            listener.onWarning(error);
        }
    }
}
