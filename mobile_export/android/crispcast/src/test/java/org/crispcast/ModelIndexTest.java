package org.crispcast;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.util.Arrays;
import org.junit.Test;

public class ModelIndexTest {
    @Test
    public void theExportersLinesAreRead() throws CrispcastException {
        ModelIndex index = ModelIndex.read(
                "package\t0123456789abcdef\n"
                        + "model\tab\tint8\tmodels/m.ort\t480\t270\t4\t9\tluma,previous\n");
        assertEquals("0123456789abcdef", index.packageId);
        ModelIndex.Model model = index.models.get(0);
        assertTrue(model.int8);
        assertEquals(480, model.columns);
        assertEquals(Arrays.asList("luma", "previous"), model.inputs);
    }

    @Test
    public void adamagedIndexIsRefused() {
        CrispcastException error = assertThrows(
                CrispcastException.class, () -> ModelIndex.read("model\tab\tint8\tm.ort\tx\n"));
        assertEquals(CrispcastException.BACKEND, error.status());
    }

    @Test
    public void windowsStayInsideTheFrame() {
        assertEquals(0, NnapiBackend.start(0, 100, 9, 480));
        assertEquals(91, NnapiBackend.start(100, 100, 9, 480));
        assertEquals(380, NnapiBackend.start(420, 100, 9, 480));
    }
}
