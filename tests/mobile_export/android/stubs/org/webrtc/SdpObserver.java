package org.webrtc;

public interface SdpObserver {
    void onCreateSuccess(SessionDescription description);

    void onSetSuccess();

    void onCreateFailure(String why);

    void onSetFailure(String why);
}
