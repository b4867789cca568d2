package org.crispcast;

import java.util.Arrays;

/**
 * Whether networks are too slow for this machine: where the median of twelve frames is above twice a
 * frame's time, they rest for two seconds, and for twice as long each time after, up to a minute
 * (docs/adaptation.md). One thread.
 */
final class Pace {
    private static final int FRAMES = 12;
    private static final long REST = 2_000_000_000L;
    private static final long LONGEST = 60_000_000_000L;

    private final long[] taken = new long[FRAMES];
    private int count;
    private long until = Long.MIN_VALUE;
    private long rest = REST;

    /** Whether frames are interpolated for now. */
    boolean resting(long now) {
        return now < until;
    }

    /** A frame with networks took {@code nanoseconds} where one lasts {@code frame}. */
    void took(long nanoseconds, long frame, long now) {
        taken[count++ % FRAMES] = nanoseconds;
        if (count < FRAMES) return;
        if (median() > 2 * frame) {
            until = now + rest;
            rest = Math.min(2 * rest, LONGEST);
            count = 0;
        } else if (count >= 8 * FRAMES) {
            rest = REST; // fast again for long
        }
    }

    /** Nanoseconds, of the last frames; 0 where there were none. */
    long median() {
        int held = Math.min(count, FRAMES);
        if (held == 0) return 0;
        long[] sorted = Arrays.copyOf(taken, held);
        Arrays.sort(sorted);
        return sorted[held / 2];
    }
}
