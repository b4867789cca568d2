package org.crispcast;

import java.nio.ByteBuffer;

/** Decodes plates: monochrome, full-range AVIF. */
public interface PlateDecoder {
    /**
     * The luma of a picture of exactly width x height samples, rows without gaps, in a direct
     * buffer; null where this phone cannot decode it, or it is of another size.
     */
    ByteBuffer decode(byte[] avif, int width, int height);
}
