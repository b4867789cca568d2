package org.crispcast;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertTrue;

import org.junit.Test;

public class PaceTest {
    private static final long FRAME = 40_000_000;
    private static final long SECOND = 1_000_000_000;

    @Test
    public void networksThatTakeTwiceAFrameRestForTwoSecondsThenForFour() {
        Pace pace = new Pace();
        for (int i = 0; i < 12; ++i) pace.took(3 * FRAME, FRAME, 0);
        assertTrue(pace.resting(2 * SECOND - 1));
        assertFalse(pace.resting(2 * SECOND));
        for (int i = 0; i < 12; ++i) pace.took(3 * FRAME, FRAME, 10 * SECOND);
        assertTrue(pace.resting(14 * SECOND - 1));
        assertFalse(pace.resting(14 * SECOND));
    }

    @Test
    public void oneSlowFrameIsNotASlowPhone() {
        Pace pace = new Pace();
        pace.took(20 * FRAME, FRAME, 0);
        for (int i = 0; i < 11; ++i) pace.took(FRAME, FRAME, 0);
        assertFalse(pace.resting(1));
        assertEquals(FRAME, pace.median());
    }
}
