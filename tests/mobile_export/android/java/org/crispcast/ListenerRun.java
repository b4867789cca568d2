package org.crispcast;

import java.nio.file.Paths;
import java.util.Set;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

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
        FarEnd far = new FarEnd(
                new SignallingServer(null).url(), frame -> {}, this, new SessionOptions());
        session = far.session;
        far.start();
        session.seek(1 << 20); // refused: a warning
        for (Recording.Step step : recording.steps) {
            far.does(step);
            if (!step.text("do").equals("frame")) continue;
            far.shows(step.picture());
            break;
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
