package org.crispcast;

/** An expert, made ready to run. Any threads and upscalers may share it; close it after them. */
public final class Plan implements AutoCloseable {
    final Handle handle;
    private final int[] facts = new int[3];

    /**
     * @param wire the bytes of a plan, as in NAME.crisp/plans
     * @throws CrispcastException where they are no plan, damaged, or of another version
     */
    public Plan(byte[] wire) throws CrispcastException {
        this(wire, null);
    }

    /** The same for a plan that is a difference to {@code base}, a whole plan; null: to none. */
    public Plan(byte[] wire, byte[] base) throws CrispcastException {
        Native.require();
        int[] status = new int[1];
        long pointer = Native.planCreate(wire, base, status);
        Native.check(status[0]);
        handle = new Handle(pointer, "plan", Native::planDestroy);
        Native.check(Native.planInfo(pointer, facts));
    }

    /** How many times as large, 1 to 4. */
    public int scale() {
        return facts[0];
    }

    /** Whether it looks at the frame before. */
    public boolean hasPrevious() {
        return facts[1] != 0;
    }

    /** Whether it looks at a plate. */
    public boolean hasPlate() {
        return facts[2] != 0;
    }

    @Override
    public void close() {
        handle.close();
    }
}
