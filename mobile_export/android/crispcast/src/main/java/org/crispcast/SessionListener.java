package org.crispcast;

/** Who is told how a session goes. All calls come on the session's thread: do not block it. */
public interface SessionListener {
    /** {@code sentence}: why, in words for people; empty where there is nothing to say. */
    default void onState(SessionState state, String sentence) {}

    /** A frame was shown. */
    default void onFrame(FrameInfo frame) {}

    /** Something went wrong that costs quality only: the video plays on. */
    default void onWarning(CrispcastException warning) {}
}
