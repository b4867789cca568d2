package org.webrtc;

public class SessionDescription {
    public enum Type { OFFER, PRANSWER, ANSWER, ROLLBACK }

    public final Type type;
    public final String description;

    public SessionDescription(Type type, String description) {
        this.type = type;
        this.description = description;
    }
}
