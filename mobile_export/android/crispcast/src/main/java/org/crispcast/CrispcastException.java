package org.crispcast;

/**
 * What went wrong, as one sentence for people, and its number for programs.
 *
 * <p>The sentences of numbers below 1000 are the C core's (crispcast.h and crispcast_session.h list
 * them). Nothing that comes from the network does more harm than this exception: the video goes on.
 */
public class CrispcastException extends Exception {
    /** The network, or the server, failed. */
    public static final int NETWORK = 1000;
    /** There is no native library for this processor in the app. */
    public static final int NO_LIBRARY = 1001;
    /** A backend cannot run here. */
    public static final int BACKEND = 1002;

    private static final long serialVersionUID = 1;
    private final int status;

    CrispcastException(int status, String sentence) {
        super(sentence);
        this.status = status;
    }

    /** The C core's status, or one of the constants here. */
    public int status() {
        return status;
    }
}
