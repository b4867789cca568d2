package org.crispcast;

/** What makes large frames of small ones. One thread, the session's. */
interface Backend extends AutoCloseable {
    /** "sparse" or "nnapi". */
    String name();

    /**
     * Places the frame and makes the large one.
     *
     * @throws CrispcastException where it cannot; {@code out} is then not to be shown
     */
    FrameInfo upscale(SessionCore core, Incoming frame, I420 out) throws CrispcastException;

    @Override
    void close();
}
