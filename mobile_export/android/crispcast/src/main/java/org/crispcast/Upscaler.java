package org.crispcast;

import java.nio.ByteBuffer;

/**
 * The engine: small pictures to large ones, through plans or by interpolation.
 *
 * <p>Any threads may call it; calls on one upscaler run one after the other, each with all of its
 * threads. After {@link #close} every call is an IllegalStateException.
 */
public final class Upscaler implements AutoCloseable {
    private static final Plan[] NONE = {};
    private final Handle handle;
    private final String isa;

    /** What a frame has beside its pictures. All may be left out. */
    public static final class Inputs {
        private I420 previous;
        private Plate plate;
        private int[] patches;

        /** The frame before, of which the luma is read; none: the frame itself. */
        public Inputs previous(I420 picture) {
            previous = picture;
            return this;
        }

        /** The plate; none: plans take it for absent. */
        public Inputs plate(Plate picture) {
            plate = picture;
            return this;
        }

        /**
         * Patches of x, y, width, height and expert each, that tile the small picture: 0 is
         * interpolation, i the plan at i - 1. None: all by the first plan.
         */
        public Inputs patches(int... numbers) {
            patches = numbers.clone();
            return this;
        }
    }

    /** An engine with a thread for each core. */
    public Upscaler() throws CrispcastException {
        this(0);
    }

    /**
     * @param threads 1 to 256, or 0 for one for each core
     * @throws CrispcastException where the library is missing, or the system gives no threads
     */
    public Upscaler(int threads) throws CrispcastException {
        this(threads, null);
    }

    /** {@code isa}: the instruction set, by its name in docs/runtime.md; null: the best. */
    Upscaler(int threads, String isa) throws CrispcastException {
        Native.require();
        int[] status = new int[1];
        long pointer = Native.engineCreate(threads, isa, status);
        Native.check(status[0]);
        handle = new Handle(pointer, "upscaler", Native::engineDestroy);
        this.isa = Native.engineIsa(pointer);
    }

    /** The version of the engine. */
    public static String version() throws CrispcastException {
        Native.require();
        return Native.version();
    }

    /** The instruction set that runs, as "neondot". */
    public String isa() {
        return isa;
    }

    /** Makes the whole of {@code out}, 1 to 4 times as large as {@code in}, by the first plan. */
    public void upscale(I420 in, I420 out, Plan... plans) throws CrispcastException {
        upscale(in, out, new Inputs(), plans);
    }

    /**
     * Makes {@code out} of {@code in}.
     *
     * @throws CrispcastException where sizes, plans or patches do not fit together; {@code out} is
     *     then not written
     */
    public void upscale(I420 in, I420 out, Inputs inputs, Plan... plans)
            throws CrispcastException {
        int scale = out.width / in.width;
        if (out.width != scale * in.width || out.height != scale * in.height || scale > 4)
            throw new CrispcastException(
                    5, "a picture of " + out.width + " x " + out.height + " is not 1 to 4 times "
                            + in.width + " x " + in.height + ": make room for one that is");
        I420 before = inputs.previous;
        if (before != null && (before.width != in.width || before.height != in.height))
            throw new CrispcastException(5, "the frame before is of another size than this one");
        int[] strides = {
            in.strideY, in.strideU, in.strideV, out.strideY, out.strideU, out.strideV,
            before == null ? 0 : before.strideY
        };
        ByteBuffer previous = before == null ? null : before.y;
        Plan[] experts = plans == null ? NONE : plans;
        long engine = handle.enter();
        int entered = 0;
        try {
            long[] pointers = new long[experts.length];
            for (; entered < experts.length; ++entered)
                if (experts[entered] != null)
                    pointers[entered] = experts[entered].handle.enter();
            long plate = inputs.plate == null ? 0 : inputs.plate.handle.enter();
            try {
                Native.check(Native.upscale(
                        engine, in.width, in.height, scale, in.y, in.u, in.v, out.y, out.u, out.v,
                        previous, strides, plate, inputs.patches, pointers));
            } finally {
                if (inputs.plate != null) inputs.plate.handle.leave();
            }
        } finally {
            while (--entered >= 0) if (experts[entered] != null) experts[entered].handle.leave();
            handle.leave();
        }
    }

    @Override
    public void close() {
        handle.close();
    }
}
