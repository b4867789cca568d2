package org.crispcast;

import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;

/** Misuse PLAN: what an app may do wrong, and what it is told. Prints a line for each. */
public final class Misuse {
    private interface Act {
        void run() throws Exception;
    }

    private Misuse() {}

    private static void say(String what, Act act) {
        String said = "nothing";
        try {
            act.run();
        } catch (CrispcastException error) {
            said = "CrispcastException " + error.status() + " " + error.getMessage();
        } catch (Exception error) {
            said = error.getClass().getSimpleName() + " " + error.getMessage();
        }
        System.out.println(what + ": " + said);
    }

    public static void main(String[] arguments) throws Exception {
        byte[] wire = Files.readAllBytes(Paths.get(arguments[0]));
        I420 small = I420.allocate(40, 30);
        I420 large = I420.allocate(80, 60);
        byte[] damaged = wire.clone();
        damaged[damaged.length - 1] ^= 1;
        byte[] later = wire.clone();
        later[4] = 9;
        say("damaged", () -> new Plan(damaged));
        say("later", () -> new Plan(later));
        say("empty", () -> new Plan(new byte[0]));
        say("threads", () -> new Upscaler(1000));
        say("plate", () -> new Plate(I420.allocate(41, 30), 2));
        say("heap", () -> new I420(
                4, 4, ByteBuffer.allocate(16), 4, ByteBuffer.allocate(4), 2,
                ByteBuffer.allocate(4), 2));
        say("short", () -> new I420(
                4, 5, ByteBuffer.allocateDirect(19), 4, ByteBuffer.allocateDirect(6), 2,
                ByteBuffer.allocateDirect(6), 2));
        Plan plan = new Plan(wire);
        Upscaler upscaler = new Upscaler(2);
        say("size", () -> upscaler.upscale(small, I420.allocate(81, 60), plan));
        say("five", () -> upscaler.upscale(small, I420.allocate(200, 150), plan));
        say("scale", () -> upscaler.upscale(small, I420.allocate(120, 90), plan));
        say("patches", () -> upscaler.upscale(
                small, large, new Upscaler.Inputs().patches(0, 0, 40, 29, 1), plan));
        say("numbers", () -> upscaler.upscale(
                small, large, new Upscaler.Inputs().patches(0, 0, 40), plan));
        say("expert", () -> upscaler.upscale(
                small, large, new Upscaler.Inputs().patches(0, 0, 40, 30, 7), plan));
        say("fine", () -> upscaler.upscale(small, large, plan));
        Plan closed = new Plan(wire);
        closed.close();
        closed.close();
        say("closed plan", () -> upscaler.upscale(small, large, closed));
        say("still fine", () -> upscaler.upscale(small, large, plan));
        System.out.println("threads: " + together(wire, small));
        upscaler.close();
        upscaler.close();
        say("closed upscaler", () -> upscaler.upscale(small, large, plan));
        say("session url", () -> new CrispcastSession(
                "ftp://host/whep/a", frame -> {}, new SessionListener() {}, new SessionOptions(),
                null, null, null, null, null, null));
        System.out.println("mark: " + Native.text(Native.sentence(0)).isEmpty());
    }

    /** Many frames at once from several threads, closed in their midst: frames or exceptions. */
    private static String together(byte[] wire, I420 small) throws Exception {
        AtomicInteger made = new AtomicInteger();
        AtomicInteger refused = new AtomicInteger();
        AtomicInteger wrong = new AtomicInteger();
        Plan plan = new Plan(wire);
        Upscaler upscaler = new Upscaler(2);
        I420 wanted = I420.allocate(80, 60);
        upscaler.upscale(small, wanted, plan);
        CountDownLatch some = new CountDownLatch(20);
        List<Thread> threads = new ArrayList<>();
        for (int t = 0; t < 4; ++t) {
            Thread thread = new Thread(() -> {
                I420 large = I420.allocate(80, 60);
                try {
                    for (;;) {
                        upscaler.upscale(small, large, plan);
                        if (!large.y.equals(wanted.y)) wrong.incrementAndGet();
                        made.incrementAndGet();
                        some.countDown();
                    }
                } catch (IllegalStateException closed) {
                    refused.incrementAndGet();
                } catch (CrispcastException error) {
                    wrong.incrementAndGet();
                }
            });
            thread.start();
            threads.add(thread);
        }
        some.await();
        upscaler.close();
        plan.close();
        for (Thread thread : threads) thread.join();
        return (made.get() >= 20) + " " + refused.get() + " " + wrong.get();
    }
}
