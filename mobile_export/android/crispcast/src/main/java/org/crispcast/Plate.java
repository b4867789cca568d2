package org.crispcast;

/** The still high-resolution picture of a place, for experts that take one. */
public final class Plate implements AutoCloseable {
    final Handle handle;

    /**
     * Copies the luma of {@code picture}, whose sides are multiples of the scale.
     *
     * @throws CrispcastException where they are not
     */
    public Plate(I420 picture, int scale) throws CrispcastException {
        Native.require();
        int[] status = new int[1];
        long pointer = Native.plateCreate(
                picture.y, picture.strideY, picture.width, picture.height, scale, status);
        Native.check(status[0]);
        handle = new Handle(pointer, "plate", Native::plateDestroy);
    }

    @Override
    public void close() {
        handle.close();
    }
}
