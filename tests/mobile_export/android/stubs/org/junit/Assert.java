package org.junit;

import java.util.Arrays;
import java.util.Objects;
import org.junit.function.ThrowingRunnable;

public class Assert {
    public static void assertTrue(boolean holds) {
        if (!holds) throw new AssertionError();
    }

    public static void assertFalse(boolean holds) {
        assertTrue(!holds);
    }

    public static void assertEquals(Object wanted, Object found) {
        if (!Objects.equals(wanted, found)) throw new AssertionError(found + ", not " + wanted);
    }

    public static void assertEquals(long wanted, long found) {
        if (wanted != found) throw new AssertionError(found + ", not " + wanted);
    }

    public static void assertArrayEquals(byte[] wanted, byte[] found) {
        assertTrue(Arrays.equals(wanted, found));
    }

    public static void assertNull(Object found) {
        if (found != null) throw new AssertionError(found);
    }

    public static <T extends Throwable> T assertThrows(Class<T> type, ThrowingRunnable run) {
        try {
            run.run();
        } catch (Throwable thrown) {
            return type.cast(thrown);
        }
        throw new AssertionError("nothing was thrown");
    }
}
