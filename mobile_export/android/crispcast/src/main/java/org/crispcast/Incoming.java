package org.crispcast;

/** A decoded frame on its way into a session. */
final class Incoming {
    final I420 picture;
    final int rtpTime;
    final int flags;
    final long number;
    final int rung;

    Incoming(I420 picture, int rtpTime, int flags, long number, int rung) {
        this.picture = picture;
        this.rtpTime = rtpTime;
        this.flags = flags;
        this.number = number;
        this.rung = rung;
    }

    /** A frame of which only the RTP time is known. */
    static Incoming at(int rtpTime, I420 picture, boolean interpolate) {
        return new Incoming(picture, rtpTime, interpolate ? SessionCore.INTERPOLATE : 0, 0, 0);
    }

    /** A frame of which nothing is known: it is interpolated. */
    static Incoming unknown(I420 picture) {
        return new Incoming(picture, 0, SessionCore.NUMBERED, -1, 0);
    }
}
