package org.crispcast;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

/**
 * NNAPI through ONNX Runtime: luma by the module's models, the rest interpolated by the engine. The
 * session still says which frame is which, and which expert makes which patch. Models are opened
 * when they are first asked for.
 */
final class NnapiBackend implements Backend {
    private final ModelIndex index;
    private final Resources resources;
    private final Upscaler engine;
    private final Map<ModelIndex.Model, OrtModel> open = new HashMap<>();
    private I420 large;
    private ByteBuffer previous;
    private ByteBuffer plate;
    private boolean broken;

    NnapiBackend(ModelIndex index, Resources resources, Upscaler engine) {
        this.index = index;
        this.resources = resources;
        this.engine = engine;
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
        FrameInfo info = core.place(frame);
        I420 in = frame.picture;
        boolean follows = info.follows() && previous != null
                && previous.capacity() == in.width * in.height;
        ByteBuffer before = follows ? previous : in.y;
        int stride = follows ? in.width : in.strideY;
        if (info.shown()) make(core, frame, info, out, before, stride);
        previous = sized(previous, in.width * in.height);
        Native.check(Native.copy(in.y, in.strideY, previous, in.width, in.width, in.height));
        return info;
    }

    private void make(
            SessionCore core, Incoming frame, FrameInfo info, I420 out, ByteBuffer before,
            int stride) throws CrispcastException {
        I420 in = frame.picture;
        int scale = info.rung() >= 0 ? core.rung(info.rung()).scale : 0;
        if (scale == 0 || scale * in.width < out.width || scale * in.height < out.height)
            throw Native.failure(112); // a frame of a size that its rung has not
        int width = scale * in.width;
        int height = scale * in.height;
        boolean whole = out.width == width && out.height == height;
        if (!whole && (large == null || large.width != width || large.height != height))
            large = I420.allocate(width, height);
        I420 to = whole ? out : large;
        engine.upscale(in, to);
        if (info.frame() >= 0 && (frame.flags & SessionCore.INTERPOLATE) == 0) {
            try {
                networks(core, in, scale, info.rung(), to, before, stride);
            } catch (CrispcastException error) {
                broken = true; // the frame stays as far as it came: interpolated
            }
        }
        if (!whole) {
            copy(to.y, to.strideY, out.y, out.strideY, out.width, out.height);
            int halfWidth = (out.width + 1) / 2;
            int halfHeight = (out.height + 1) / 2;
            copy(to.u, to.strideU, out.u, out.strideU, halfWidth, halfHeight);
            copy(to.v, to.strideV, out.v, out.strideV, halfWidth, halfHeight);
        }
    }

    private void networks(
            SessionCore core, I420 in, int scale, int rung, I420 to, ByteBuffer before, int stride)
            throws CrispcastException {
        int[] patches = core.patches();
        Map<Integer, String> plans = new HashMap<>();
        for (int i = 0; i < patches.length; i += 5) {
            int expert = patches[i + 4];
            if (expert > 0 && !plans.containsKey(expert)) plans.put(expert, core.expert(expert));
        }
        if (plans.isEmpty()) return;
        plate = sized(plate, to.width * to.height);
        if (!core.plate(rung, plate, to.width)) fill(plate, (byte) 128);
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
            int rowBytes = isPlate ? to.width : isBefore ? stride : in.strideY;
            Native.check(Native.pack(
                    plane, rowBytes, factor * in.width, factor * in.height, factor * x, factor * y,
                    shape.columns, shape.rows, factor, !shape.int8, model.input(name)));
        }
        model.run();
        Native.check(Native.unpack(
                model.hr, scale * shape.columns, scale * shape.rows, scale * (patch[0] - x),
                scale * (patch[1] - y), scale * patch[2], scale * patch[3], to.y, to.strideY,
                to.width, to.height, scale * patch[0], scale * patch[1]));
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
    void whole(String plan, I420 in, int scale, I420 to) throws CrispcastException {
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

    private static void copy(
            ByteBuffer from, int fromStride, ByteBuffer to, int toStride, int width, int height)
            throws CrispcastException {
        Native.check(Native.copy(from, fromStride, to, toStride, width, height));
    }

    @Override
    public void close() {
        for (OrtModel model : open.values()) model.close();
        open.clear();
        engine.close();
    }
}
