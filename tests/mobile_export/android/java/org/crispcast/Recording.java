package org.crispcast;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The steps of a recording of the conformance suite (docs/sdk-core.md). */
final class Recording {
    /** One step: what is done, and what is to come of it. */
    static final class Step {
        private final String line;
        final byte[] bytes;
        private final byte[] fixtures;

        Step(String line, byte[] fixtures) {
            this.line = line;
            this.fixtures = fixtures;
            Matcher text = Pattern.compile("\"text\":(\\{.*?\\})").matcher(line);
            if (text.find()) {
                bytes = text.group(1).getBytes(StandardCharsets.UTF_8);
            } else if (has("at")) {
                int at = (int) number("at");
                bytes = Arrays.copyOfRange(fixtures, at, at + (int) number("size"));
            } else {
                bytes = null;
            }
        }

        boolean has(String key) {
            return line.contains("\"" + key + "\":");
        }

        long number(String key) {
            Matcher found = Pattern.compile("\"" + key + "\":(-?[0-9]+)").matcher(line);
            return found.find() ? Long.parseLong(found.group(1)) : 0;
        }

        String text(String key) {
            Matcher found = Pattern.compile("\"" + key + "\":\"([^\"]*)\"").matcher(line);
            return found.find() ? found.group(1) : "";
        }

        /** The hashes that the step is to ask for, as they stand; "" for none. */
        String asked() {
            Matcher found = Pattern.compile("\"asked\":\\[([^\\]]*)\\]").matcher(line);
            return found.find() ? found.group(1) : "";
        }

        /** Planes of the frame that goes in. */
        I420 picture() {
            I420 made = I420.allocate((int) number("width"), (int) number("height"));
            ByteBuffer all = ByteBuffer.wrap(bytes);
            for (ByteBuffer plane : new ByteBuffer[] {made.y, made.u, made.v}) {
                byte[] samples = new byte[plane.capacity()];
                all.get(samples);
                plane.duplicate().put(samples);
            }
            return made;
        }

        /** How far the farthest sample is from the recorded one. */
        int farthest(I420 found) {
            int at = (int) number("out");
            int most = 0;
            for (ByteBuffer plane : new ByteBuffer[] {found.y, found.u, found.v})
                for (int i = 0; i < plane.capacity(); ++i, ++at)
                    most = Math.max(most, Math.abs((plane.get(i) & 255) - (fixtures[at] & 255)));
            return most;
        }

        /** Says where a frame is not as recorded; "" where it is. */
        String wrong(FrameInfo found) {
            Map<String, Long> facts = new HashMap<>();
            facts.put("number", found.frame());
            facts.put("rung", (long) found.rung());
            facts.put("shown", found.shown() ? 1L : 0L);
            facts.put("landed", found.landed() ? 1L : 0L);
            facts.put("super_resolved", found.superResolved() ? 1L : 0L);
            facts.put("late", found.late() ? 1L : 0L);
            StringBuilder said = new StringBuilder();
            for (Map.Entry<String, Long> fact : facts.entrySet())
                if (has(fact.getKey()) && number(fact.getKey()) != fact.getValue())
                    said.append(fact).append(" not ").append(number(fact.getKey())).append("; ");
            return said.toString();
        }

        /** The coded frame of a step: as recorded, or an access unit around its identity. */
        byte[] accessUnit() {
            if (text("do").equals("coded")) return bytes;
            byte[] unit = new byte[4096];
            int at = 0;
            for (int b : new int[] {0, 0, 0, 1, 6, 5, bytes.length}) unit[at++] = (byte) b;
            int zeros = 0;
            for (byte b : bytes) {
                if (zeros == 2 && (b & 255) <= 3) {
                    unit[at++] = 3; // emulation prevention (H.264, 7.4.1)
                    zeros = 0;
                }
                unit[at++] = b;
                zeros = b == 0 ? zeros + 1 : 0;
            }
            for (int b : new int[] {0x80, 0, 0, 1, 0x65, 0x88, 0x80}) unit[at++] = (byte) b;
            return Arrays.copyOf(unit, at);
        }
    }

    final String name;
    final List<Step> steps = new ArrayList<>();
    final Map<String, byte[]> bases = new HashMap<>();
    /** Pictures by the hash of their AVIF. */
    final Map<String, Step> pictures = new HashMap<>();

    Recording(Path folder, String name) throws IOException {
        this.name = name;
        byte[] fixtures = Files.readAllBytes(folder.resolve("fixtures.bin"));
        for (String line : Files.readAllLines(folder.resolve(name + ".jsonl"))) {
            Step step = new Step(line, fixtures);
            if (step.text("do").equals("picture")) pictures.put(step.text("sha256"), step);
            else if (step.text("do").equals("base")) bases.put(step.text("id"), step.bytes);
            else steps.add(step);
        }
    }

    /** A recorded picture in a direct buffer, or null. */
    ByteBuffer picture(String sha256) {
        Step step = pictures.get(sha256);
        if (step == null) return null;
        ByteBuffer luma = ByteBuffer.allocateDirect(step.bytes.length);
        luma.duplicate().put(step.bytes);
        return luma;
    }

    /** The hashes in a `want`, shortened as recordings have them. */
    static String wanted(byte[] sent) {
        String text = new String(sent, StandardCharsets.UTF_8);
        if (!text.startsWith("{\"type\":\"want\"")) return "";
        StringBuilder all = new StringBuilder();
        Matcher hash = Pattern.compile("\"sha256\":\"([0-9a-f]{16})").matcher(text);
        while (hash.find())
            all.append(all.length() == 0 ? "" : ",").append('"').append(hash.group(1)).append('"');
        return all.toString();
    }
}
