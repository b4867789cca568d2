package org.crispcast;

import java.io.IOException;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.HashMap;
import java.util.Map;

/** Plays recordings through the Java session: Replay FOLDER CASE... says "CASE ok", or what not. */
public final class Replay {
    private static boolean failed;

    private Replay() {}

    public static void main(String[] arguments) throws Exception {
        Path folder = Paths.get(arguments[0]);
        for (int i = 1; i < arguments.length; ++i) play(new Recording(folder, arguments[i]));
        System.exit(failed ? 1 : 0);
    }

    private static void play(Recording recording) throws IOException, CrispcastException {
        Map<String, byte[]> cache = new HashMap<>();
        boolean loops = recording.steps.get(0).number("loops") == 1;
        String trust = recording.steps.get(0).text("trust");
        SessionCore core = new SessionCore(
                1, "portable", 1, false, loops, trust.isEmpty() ? null : trust);
        boolean before = failed;
        int line = 0;
        for (Recording.Step step : recording.steps) {
            ++line;
            String wrong = "";
            boolean refused = false;
            try {
                wrong = take(core, step);
            } catch (CrispcastException error) {
                refused = true;
                if (step.number("refused") == 0) wrong = "refused: " + error.getMessage();
            }
            if (!refused && step.number("refused") != 0) wrong += "not refused; ";
            StringBuilder asked = new StringBuilder();
            for (boolean more = true; more; ) {
                more = false;
                for (Task task : core.tasks(line)) {
                    more = true;
                    answer(core, task, recording, cache, asked);
                }
            }
            if (!asked.toString().equals(step.asked()))
                wrong += "asked " + asked + " not " + step.asked();
            if (!wrong.isEmpty()) {
                System.out.println(recording.name + ":" + line + ": " + wrong);
                failed = true;
            }
        }
        core.close();
        try {
            core.tasks(line);
            failed = true;
            System.out.println(recording.name + ": a closed session answers");
        } catch (IllegalStateException closed) {
            if (failed == before) System.out.println(recording.name + " ok");
        }
    }

    private static String take(SessionCore core, Recording.Step step) throws CrispcastException {
        switch (step.text("do")) {
            case "open":
            case "signature": // checked by the platform here
                return "";
            case "connected":
                core.connected();
                return "";
            case "message":
                core.message(step.bytes);
                return "";
            case "piece":
                core.frameBytes(step.bytes);
                return "";
            case "identify":
            case "coded":
                core.coded((int) step.number("rtp"), (int) step.number("av1"), step.accessUnit());
                return "";
            case "seek":
                core.seek(step.number("frame"));
                return "";
            case "frame":
                return frame(core, step);
            default:
                return "no such step";
        }
    }

    private static String frame(SessionCore core, Recording.Step step) throws CrispcastException {
        SessionCore.Info info = core.info();
        I420 out = I420.allocate(info == null ? 1 : info.width, info == null ? 1 : info.height);
        Incoming frame = new Incoming(
                step.picture(), (int) step.number("rtp"), (int) step.number("flags"), 0, 0);
        FrameInfo found = core.upscale(frame, out);
        String wrong = step.wrong(found);
        int off = found.shown() ? step.farthest(out) : 0;
        return off == 0 ? wrong : wrong + "a sample is off by " + off + "; ";
    }

    private static void answer(
            SessionCore core, Task task, Recording recording, Map<String, byte[]> cache,
            StringBuilder asked) {
        try {
            switch (task.kind()) {
                case Task.SEND:
                    String wanted = Recording.wanted(task.bytes);
                    if (asked.length() > 0 && !wanted.isEmpty()) asked.append(',');
                    asked.append(wanted);
                    break;
                case Task.LOOK:
                    if (cache.containsKey(task.sha256))
                        core.asset(task.sha256, cache.get(task.sha256));
                    else core.lacks(task.sha256);
                    break;
                case Task.STORE:
                    cache.put(task.sha256, task.bytes);
                    break;
                case Task.DECODE:
                    core.picture(
                            task.sha256, recording.picture(task.sha256), task.width(),
                            task.height());
                    break;
                case Task.BASE:
                    core.base(task.id, recording.bases.get(task.id));
                    break;
                case Task.VERIFY:
                    core.verified(
                            task.count(), Signed.check(new PlatformVerifier(), task.bytes));
                    break;
                case Task.FETCH:
                case Task.FAILED:
                    System.out.println(recording.name + ": task " + task.kind() + task.text);
                    failed = true;
                    break;
                default:
                    break;
            }
        } catch (CrispcastException refused) {
            // as an app does: the session has noted it
        }
    }
}
