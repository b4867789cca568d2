package org.crispcast;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;

/**
 * Which backend makes the frames of a package on this phone: measured, not guessed. Every expert of
 * the module makes a test frame both ways, several times. NNAPI is taken where it gives the same
 * picture, nearly, in less time; what is deprecated, absent or wrong is then no harm.
 */
final class BackendChoice {
    private static final int ROUNDS = 5;
    /** Luma, in dB: int8 models of the exporter come nearer than that to the engine. */
    private static final double SAME = 35;

    private BackendChoice() {}

    /** Whether the app has ONNX Runtime. */
    static boolean available() {
        try {
            Class.forName("ai.onnxruntime.OrtEnvironment");
            return true;
        } catch (ClassNotFoundException | LinkageError error) {
            return false;
        }
    }

    /**
     * The NNAPI backend for the package, or null where the sparse kernels are the better choice, the
     * module is of another package, or anything of NNAPI fails. Takes a second or more.
     */
    static NnapiBackend choose(String packageId, Resources resources, int threads) {
        if (!available()) return null;
        NnapiBackend nnapi = null;
        try {
            ModelIndex index = ModelIndex.read(
                    new String(resources.read("models.tsv"), StandardCharsets.UTF_8));
            if (!index.packageId.equals(packageId) || index.models.isEmpty()) return null;
            nnapi = new NnapiBackend(index, resources);
            if (faster(nnapi, index, resources, threads)) return nnapi;
        } catch (CrispcastException | IOException | RuntimeException | LinkageError
                | OutOfMemoryError error) {
            // No NNAPI, then.
        }
        if (nnapi != null) nnapi.close();
        return null;
    }

    private static boolean faster(
            NnapiBackend nnapi, ModelIndex index, Resources resources, int threads)
            throws CrispcastException, IOException {
        Set<String> seen = new HashSet<>();
        long theirs = 0;
        long ours = 0;
        try (Upscaler engine = new Upscaler(threads)) {
            for (ModelIndex.Model model : largest(index)) {
                if (!seen.add(model.plan)) continue;
                I420 in = testFrame(model.columns, model.rows);
                I420 found = I420.allocate(model.scale * in.width, model.scale * in.height);
                I420 wanted = I420.allocate(found.width, found.height);
                try (Plan plan = new Plan(resources.read("plans/" + model.plan + ".plan"))) {
                    long[] times = new long[ROUNDS];
                    long[] their = new long[ROUNDS];
                    for (int i = -1; i < ROUNDS; ++i) { // the first round warms up
                        long start = System.nanoTime();
                        engine.upscale(in, wanted, plan);
                        long middle = System.nanoTime();
                        nnapi.whole(engine, model.plan, in, model.scale, found);
                        if (i < 0) continue;
                        their[i] = System.nanoTime() - middle;
                        times[i] = middle - start;
                    }
                    ours += median(times);
                    theirs += median(their);
                }
                if (psnr(found, wanted) < SAME) return false;
            }
        }
        return theirs < ours;
    }

    /** The models, the largest shape of each plan first: whole frames. */
    private static ModelIndex.Model[] largest(ModelIndex index) {
        ModelIndex.Model[] models = index.models.toArray(new ModelIndex.Model[0]);
        Arrays.sort(models, (a, b) -> b.columns * b.rows - a.columns * a.rows);
        return models;
    }

    /** Slopes, edges and a fine pattern. */
    private static I420 testFrame(int width, int height) {
        I420 picture = I420.allocate(width, height);
        for (int y = 0; y < height; ++y)
            for (int x = 0; x < width; ++x) {
                int slope = 64 + 96 * x / width + 32 * y / height;
                int edge = ((x / 24) + (y / 24)) % 2 == 0 ? 24 : -24;
                picture.y.put(y * width + x, (byte) (slope + edge + (x * 7 + y * 13) % 9));
            }
        for (int i = 0; i < picture.u.capacity(); ++i) {
            picture.u.put(i, (byte) 128);
            picture.v.put(i, (byte) 128);
        }
        return picture;
    }

    private static double psnr(I420 a, I420 b) {
        double sum = 0;
        for (int i = 0; i < a.y.capacity(); ++i) {
            int off = (a.y.get(i) & 255) - (b.y.get(i) & 255);
            sum += off * off;
        }
        return 10 * Math.log10(255 * 255 / Math.max(sum / a.y.capacity(), 1e-9));
    }

    private static long median(long[] times) {
        Arrays.sort(times);
        return times[times.length / 2];
    }
}
