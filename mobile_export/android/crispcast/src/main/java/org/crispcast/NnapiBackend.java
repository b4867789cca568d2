package org.crispcast;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

/**
 * NNAPI through ONNX Runtime: luma of the patches that have a network, by the module's models. All
 * else is the session's: which frame is which, which expert makes which patch, chroma with what
 * plates have of it, and patches without a network. Models are opened when they are first asked for.
 */
final class NnapiBackend implements Backend {
    private final ModelIndex index;
    private final Resources resources;
    private final Map<ModelIndex.Model, OrtModel> open = new HashMap<>();
    private ByteBuffer previous;
    private ByteBuffer plate;
    private boolean broken;

    NnapiBackend(ModelIndex index, Resources resources) {
        this.index = index;
        this.resources = resources;
    }

    @Override
    public String name() {
        return "nnapi";
    }

    /** Whether a model failed: the session then takes another backend. */
    boolean broken() {
        return broken;
    }

    @Override
    public FrameInfo upscale(SessionCore core, Incoming frame, I420 out) throws CrispcastException {
        FrameInfo info = core.upscaleForBackend(frame, out);
        I420 in = frame.picture;
        boolean plain = info.frame() < 0 || (frame.flags & SessionCore.INTERPOLATE) != 0;
        if (info.shown() && !plain) {
            boolean follows = info.follows() && previous != null
                    && previous.capacity() == in.width * in.height;
            ByteBuffer before = follows ? previous : in.y;
            try {
                networks(core, in, info.rung(), out, before, follows ? in.width : in.strideY);
            } catch (CrispcastException error) {
                broken = true; // the frame stays as far as it came
                info = info.interpolated();
            }
        }
        previous = sized(previous, in.width * in.height);
        Native.check(Native.copy(in.y, in.strideY, previous, in.width, in.width, in.height));
        return info;
    }

    private void networks(
            SessionCore core, I420 in, int rung, I420 to, ByteBuffer before, int stride)
            throws CrispcastException {
        int[] patches = core.patches();
        Map<Integer, String> plans = new HashMap<>();
        for (int i = 0; i < patches.length; i += 5) {
            int expert = patches[i + 4];
            if (expert > 0 && !plans.containsKey(expert)) plans.put(expert, core.expert(expert));
        }
        if (plans.isEmpty()) return;
        SessionCore.Rung of = core.rung(rung);
        int scale = of.scale;
        plate = sized(plate, of.paddedWidth * of.paddedHeight);
        if (!core.plate(rung, plate, of.paddedWidth)) fill(plate, (byte) 128);
        boolean one = plans.size() == 1;
        for (int i = 4; i < patches.length; i += 5) one &= patches[i] > 0;
        if (one) {
            String plan = plans.values().iterator().next();
            if (plan != null) {
                int[] frame = {0, 0, in.width, in.height};
                run(plan, in, scale, frame, before, stride, to);
            }
            return;
        }
        for (int i = 0; i < patches.length; i += 5) {
            String plan = plans.get(patches[i + 4]);
            if (plan != null)
                run(plan, in, scale, Arrays.copyOfRange(patches, i, i + 4), before, stride, to);
        }
    }

    /** Runs the model of a plan on the window of a patch, and keeps the patch's own samples. */
    private void run(
            String plan, I420 in, int scale, int[] patch, ByteBuffer before, int stride, I420 to)
            throws CrispcastException {
        OrtModel model = open(modelFor(plan, patch, in));
        ModelIndex.Model shape = model.model;
        int x = start(patch[0], shape.columns, shape.reach, in.width);
        int y = start(patch[1], shape.rows, shape.reach, in.height);
        for (String name : shape.inputs) {
            boolean isPlate = name.equals("plate");
            boolean isBefore = name.equals("previous");
            ByteBuffer plane = isPlate ? plate : isBefore ? before : in.y;
            int factor = isPlate ? scale : 1;
            int rowBytes = isPlate ? scale * in.width : isBefore ? stride : in.strideY;
            Native.check(Native.pack(
                    plane, rowBytes, factor * in.width, factor * in.height, factor * x, factor * y,
                    shape.columns, shape.rows, factor, !shape.int8, model.input(name)));
        }
        model.run();
        // What the rung has beyond the source's size is not shown.
        int width = Math.min(scale * patch[2], to.width - scale * patch[0]);
        int height = Math.min(scale * patch[3], to.height - scale * patch[1]);
        if (width <= 0 || height <= 0) return;
        Native.check(Native.unpack(
                model.hr, scale * shape.columns, scale * shape.rows, scale * (patch[0] - x),
                scale * (patch[1] - y), width, height, to.y, to.strideY, to.width, to.height,
                scale * patch[0], scale * patch[1]));
    }

    /** The smallest model of a plan whose window holds the patch and all that it looks at. */
    private ModelIndex.Model modelFor(String plan, int[] patch, I420 in)
            throws CrispcastException {
        ModelIndex.Model best = null;
        for (ModelIndex.Model model : index.models) {
            int across = extent(patch[0], patch[2], model.reach, in.width);
            int down = extent(patch[1], patch[3], model.reach, in.height);
            if (!model.plan.equals(plan) || model.columns < across || model.rows < down
                    || model.columns > in.width || model.rows > in.height) continue;
            int size = model.columns * model.rows;
            int least = best == null ? Integer.MAX_VALUE : best.columns * best.rows;
            if (size < least || (size == least && model.int8)) best = model;
        }
        if (best == null)
            throw new CrispcastException(
                    CrispcastException.BACKEND, "the module has no model of plan " + plan
                            + " in this shape: export it again");
        return best;
    }

    /** As {@code window_at} of the exporter: at the frame's border the window moves inwards. */
    static int start(int at, int size, int reach, int frame) {
        return Math.min(Math.max(at - reach, 0), frame - size);
    }

    private static int extent(int at, int length, int reach, int frame) {
        return Math.min(at + length + reach, frame) - Math.max(at - reach, 0);
    }

    private OrtModel open(ModelIndex.Model model) throws CrispcastException {
        OrtModel found = open.get(model);
        if (found != null) return found;
        try {
            found = new OrtModel(model, resources.read(model.file));
        } catch (IOException error) {
            throw new CrispcastException(
                    CrispcastException.BACKEND, model.file + " is not in the app's assets");
        }
        open.put(model, found);
        return found;
    }

    /** One frame by one plan, for {@link BackendChoice}: no session, plate absent. */
    void whole(Upscaler engine, String plan, I420 in, int scale, I420 to)
            throws CrispcastException {
        engine.upscale(in, to);
        plate = sized(plate, to.width * to.height);
        fill(plate, (byte) 128);
        run(plan, in, scale, new int[] {0, 0, in.width, in.height}, in.y, in.strideY, to);
    }

    private static ByteBuffer sized(ByteBuffer buffer, int bytes) {
        return buffer != null && buffer.capacity() == bytes
                ? buffer
                : ByteBuffer.allocateDirect(bytes);
    }

    private static void fill(ByteBuffer buffer, byte value) {
        for (int i = 0; i < buffer.capacity(); ++i) buffer.put(i, value);
    }

    @Override
    public void close() {
        for (OrtModel model : open.values()) model.close();
        open.clear();
    }
}
