package org.crispcast;

/** What is known of a frame that was upscaled. */
public final class FrameInfo {
    private final long[] numbers;

    FrameInfo(long[] numbers) {
        this.numbers = numbers;
    }

    /** Its number in the video, from 0; -1 where it is not known, and then all is interpolated. */
    public long frame() {
        return numbers[0];
    }

    /** The rung that it is of. */
    public int rung() {
        return (int) numbers[1];
    }

    /** Whether a network made some of it and no plan that it wanted was missing. */
    public boolean superResolved() {
        return numbers[5] != 0;
    }

    /** Whether something that its segment needs had not come in time. */
    public boolean late() {
        return numbers[6] != 0;
    }

    /** Whether it is the first that is shown after a seek. */
    public boolean landed() {
        return numbers[4] != 0;
    }

    /** The same frame, of which no network made all that it should. */
    FrameInfo interpolated() {
        long[] others = numbers.clone();
        others[5] = 0;
        return new FrameInfo(others);
    }

    boolean shown() {
        return numbers[3] != 0;
    }

    boolean follows() {
        return numbers[7] != 0;
    }
}
