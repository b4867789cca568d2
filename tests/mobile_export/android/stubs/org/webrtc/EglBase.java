package org.webrtc;

public interface EglBase {
    interface Context {}

    static EglBase create() {
        throw new UnsupportedOperationException();
    }

    Context getEglBaseContext();

    void release();
}
