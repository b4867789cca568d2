package org.crispcast;

/** Counts since the session was made. */
public final class Figures {
    /** Frames shown, and those of them that networks made. */
    public final long frames;

    public final long framesSuperResolved;
    /** Plans, plates and patch maps that a segment began without. */
    public final long lateAssets;
    /** Bytes of them that came by the network, and out of the cache. */
    public final long assetBytes;

    public final long cachedBytes;
    public final long refusedAssets;
    /** Frames that came too fast to be upscaled, and were not shown. */
    public final long skipped;
    /** Milliseconds that a frame with networks takes, the median of the last ones. */
    public final double upscaleMs;
    /** What upscales: "sparse" or "nnapi". */
    public final String backend;

    Figures(long[] counts, long skipped, double upscaleMs, String backend) {
        frames = counts[0];
        framesSuperResolved = counts[1];
        lateAssets = counts[2];
        assetBytes = counts[3];
        cachedBytes = counts[4];
        refusedAssets = counts[5];
        this.skipped = skipped;
        this.upscaleMs = upscaleMs;
        this.backend = backend;
    }
}
