package org.crispcast;

import android.util.Log;

/** The app's listener. What it throws is logged: it costs the session nothing, not even a task. */
final class LoggedListener implements SessionListener {
    private final SessionListener listener;

    LoggedListener(SessionListener listener) {
        this.listener = listener;
    }

    @Override
    public void onState(SessionState state, String sentence) {
        tell(() -> listener.onState(state, sentence));
    }

    @Override
    public void onFrame(FrameInfo frame) {
        tell(() -> listener.onFrame(frame));
    }

    @Override
    public void onWarning(CrispcastException warning) {
        tell(() -> listener.onWarning(warning));
    }

    private static void tell(Runnable what) {
        try {
            what.run();
        } catch (RuntimeException thrown) {
            Log.e("crispcast", "the session's listener throws", thrown);
        }
    }
}
