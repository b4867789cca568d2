package org.crispcast;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.HashMap;
import java.util.Map;

/**
 * NnapiRun FOLDER ASSETS FRAMES: the LR frames of a package's first rung (raw I420) through two
 * sessions, one by the sparse kernels and one by the NNAPI backend, whose models the test's ONNX
 * Runtime runs. Prints frames, super-resolved ones, those whose chroma a plate mended, and how far
 * luma and chroma are apart at most. Then whether the choice of a backend leaves NNAPI where it is
 * slow, and of another package; and whether a frame of a backend without models is the interpolated.
 */
public final class NnapiRun {
    private NnapiRun() {}

    public static void main(String[] arguments) throws Exception {
        Path folder = Paths.get(arguments[0]);
        Path assets = Paths.get(arguments[1]);
        Resources resources = name -> Files.readAllBytes(assets.resolve(name));
        ModelIndex index =
                ModelIndex.read(new String(resources.read("models.tsv"), "UTF-8"));
        SessionCore sparse = session(folder);
        SessionCore nnapi = session(folder);
        NnapiBackend backend = new NnapiBackend(index, resources);
        SessionCore plain = session(folder);
        SessionCore.Info info = sparse.info();
        SessionCore.Rung rung = sparse.rung(0);
        ByteBuffer frames = ByteBuffer.wrap(Files.readAllBytes(Paths.get(arguments[2])));
        int shown = 0;
        int networks = 0;
        int mended = 0;
        int luma = 0;
        int chroma = 0;
        for (int number = 0; frames.hasRemaining(); ++number) {
            I420 in = I420.allocate(rung.width, rung.height);
            for (ByteBuffer plane : new ByteBuffer[] {in.y, in.u, in.v}) {
                byte[] samples = new byte[plane.capacity()];
                frames.get(samples);
                plane.duplicate().put(samples);
            }
            Incoming frame = new Incoming(in, 0, SessionCore.NUMBERED, number, 0);
            I420 wanted = I420.allocate(info.width, info.height);
            I420 found = I420.allocate(info.width, info.height);
            FrameInfo said = sparse.upscale(frame, wanted);
            FrameInfo same = backend.upscale(nnapi, frame, found);
            answer(sparse, folder);
            answer(nnapi, folder);
            if (said.superResolved() != same.superResolved()) throw new AssertionError(number);
            ++shown;
            networks += same.superResolved() ? 1 : 0;
            luma = Math.max(luma, apart(wanted.y, found.y));
            chroma = Math.max(chroma, Math.max(
                    apart(wanted.u, found.u), apart(wanted.v, found.v)));
            plain.upscale(
                    new Incoming(
                            in, 0, SessionCore.NUMBERED | SessionCore.INTERPOLATE, number, 0),
                    found);
            mended += apart(wanted.u, found.u) > 0 ? 1 : 0;
        }
        if (backend.broken()) throw new AssertionError("a model failed");
        backend.close();
        NnapiBackend chosen =
                BackendChoice.choose(info.packageId, resources, 1); // slow here, over a socket
        NnapiBackend other = BackendChoice.choose("0000000000000000", resources, 1);
        boolean interpolates = withoutModels(index, folder, arguments[2]);
        System.out.println(
                shown + " " + networks + " " + mended + " " + luma + " " + chroma + " " + (chosen == null) + " "
                        + (other == null) + " " + interpolates);
    }

    /** The models cannot be read: the first frame is whole, and the backend broken. */
    private static boolean withoutModels(ModelIndex index, Path folder, String frames)
            throws Exception {
        NnapiBackend backend = new NnapiBackend(index, name -> {
            throw new IOException(name);
        });
        SessionCore core = session(folder);
        SessionCore.Rung rung = core.rung(0);
        SessionCore.Info info = core.info();
        I420 in = I420.allocate(rung.width, rung.height);
        try (InputStream from = Files.newInputStream(Paths.get(frames))) {
            for (ByteBuffer plane : new ByteBuffer[] {in.y, in.u, in.v})
                plane.duplicate().put(from.readNBytes(plane.capacity()));
        }
        I420 found = I420.allocate(info.width, info.height);
        I420 wanted = I420.allocate(info.width, info.height);
        Incoming frame = new Incoming(in, 0, SessionCore.NUMBERED, 0, 0);
        FrameInfo made = backend.upscale(core, frame, found);
        session(folder).upscale(
                new Incoming(in, 0, SessionCore.NUMBERED | SessionCore.INTERPOLATE, 0, 0), wanted);
        return made.shown() && !made.superResolved() && backend.broken() && apart(found.y, wanted.y) == 0;
    }

    private static SessionCore session(Path folder) throws Exception {
        SessionCore core = new SessionCore(1, "portable", 2, false, false, null);
        core.manifest(Files.readAllBytes(folder.resolve("manifest.json")), null, 0);
        answer(core, folder);
        return core;
    }

    private static int apart(ByteBuffer a, ByteBuffer b) {
        int most = 0;
        for (int i = 0; i < a.capacity(); ++i)
            most = Math.max(most, Math.abs((a.get(i) & 255) - (b.get(i) & 255)));
        return most;
    }

    /** Assets lie in the folder by their hash, pictures as HASH.y, decoded. */
    private static void answer(SessionCore core, Path folder) throws Exception {
        Map<String, Integer> asked = new HashMap<>();
        for (boolean more = true; more; ) {
            more = false;
            for (Task task : core.tasks(0)) {
                more = true;
                if (task.kind() == Task.FAILED) throw new AssertionError(task.text);
                if (task.kind() == Task.LOOK) core.lacks(task.sha256);
                if (task.kind() == Task.FETCH) {
                    byte[] bytes = Files.readAllBytes(folder.resolve(task.sha256));
                    core.piece(task.sha256, 0, bytes, bytes.length);
                    if (asked.merge(task.sha256, 1, Integer::sum) > 3) throw new AssertionError();
                }
                if (task.kind() == Task.DECODE) {
                    byte[] samples = Files.readAllBytes(folder.resolve(task.sha256 + ".y"));
                    ByteBuffer luma = ByteBuffer.allocateDirect(samples.length);
                    luma.duplicate().put(samples);
                    core.picture(task.sha256, luma, task.width(), task.height());
                }
            }
        }
    }
}
