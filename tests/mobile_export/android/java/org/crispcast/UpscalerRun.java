package org.crispcast;

import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;

/**
 * UpscalerRun FOLDER WIDTH HEIGHT SCALE ISA: reads small.yuv, before.yuv, plate.y and expert.plan,
 * upscales with patches of both experts by two threads' engine, writes large.yuv.
 */
public final class UpscalerRun {
    private UpscalerRun() {}

    public static void main(String[] arguments) throws Exception {
        Path folder = Paths.get(arguments[0]);
        int width = Integer.parseInt(arguments[1]);
        int height = Integer.parseInt(arguments[2]);
        int scale = Integer.parseInt(arguments[3]);
        I420 small = read(folder.resolve("small.yuv"), width, height);
        I420 before = read(folder.resolve("before.yuv"), width, height);
        I420 plate = I420.allocate(scale * width, scale * height);
        plate.y.duplicate().put(Files.readAllBytes(folder.resolve("plate.y")));
        I420 large = I420.allocate(scale * width, scale * height);
        int half = width / 2;
        try (Plan plan = new Plan(Files.readAllBytes(folder.resolve("expert.plan")));
                Plate still = new Plate(plate, scale);
                Upscaler upscaler = new Upscaler(2, arguments[4])) {
            if (plan.scale() != scale || !plan.hasPrevious()) throw new AssertionError();
            upscaler.upscale(
                    small, large,
                    new Upscaler.Inputs().previous(before).plate(still).patches(
                            0, 0, half, height, 1, half, 0, width - half, height, 0),
                    plan);
        }
        write(folder.resolve("large.yuv"), large);
    }

    static I420 read(Path file, int width, int height) throws Exception {
        ByteBuffer all = ByteBuffer.wrap(Files.readAllBytes(file));
        I420 made = I420.allocate(width, height);
        for (ByteBuffer plane : new ByteBuffer[] {made.y, made.u, made.v}) {
            byte[] samples = new byte[plane.capacity()];
            all.get(samples);
            plane.duplicate().put(samples);
        }
        return made;
    }

    static void write(Path file, I420 picture) throws Exception {
        ByteBuffer[] planes = {picture.y, picture.u, picture.v};
        int size = 0;
        for (ByteBuffer plane : planes) size += plane.capacity();
        ByteBuffer all = ByteBuffer.allocate(size);
        for (ByteBuffer plane : planes) all.put(plane.duplicate());
        Files.write(file, all.array());
    }
}
