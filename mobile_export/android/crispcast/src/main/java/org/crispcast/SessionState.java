package org.crispcast;

/** Where a session stands. */
public enum SessionState {
    /** It looks for the server. */
    CONNECTING,
    /** Frames come. */
    PLAYING,
    /** Paused, by the app or because it is in the background. */
    PAUSED,
    /** The server is lost and looked for; the play goes on where it was. */
    RECONNECTING,
    /** The video is over. */
    ENDED,
    /** It cannot go on; the sentence says why. Close it. */
    FAILED,
    /** Closed by the app. */
    CLOSED
}
