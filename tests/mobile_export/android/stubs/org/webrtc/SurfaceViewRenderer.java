package org.webrtc;

import android.content.Context;
import android.view.View;

public class SurfaceViewRenderer extends View implements VideoSink {
    public SurfaceViewRenderer(Context context) {}

    public void init(EglBase.Context context, RendererCommon.RendererEvents events) {}

    public void release() {}

    @Override
    public void onFrame(VideoFrame frame) {}
}
