package org.webrtc;

public class RendererCommon {
    public interface RendererEvents {}
}
