package org.crispcast;

import static org.junit.Assert.assertNull;

import java.io.IOException;
import org.junit.Test;

public class BackendChoiceTest {
    @Test
    public void whateverFailsThereIsNoNnapi() {
        assertNull(BackendChoice.choose("id", name -> {
            throw new IOException(name);
        }, 1));
        assertNull(BackendChoice.choose("id", name -> {
            throw new IllegalStateException(name);
        }, 1));
        assertNull(BackendChoice.choose("id", name -> {
            throw new OutOfMemoryError(name);
        }, 1));
    }
}
