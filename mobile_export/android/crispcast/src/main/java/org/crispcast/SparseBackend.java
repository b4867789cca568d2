package org.crispcast;

/** The sparse kernels of the processor: everywhere, with plates' chroma, the reference of all. */
final class SparseBackend implements Backend {
    @Override
    public String name() {
        return "sparse";
    }

    @Override
    public FrameInfo upscale(SessionCore core, Incoming frame, I420 out) throws CrispcastException {
        return core.upscale(frame, out);
    }

    @Override
    public void close() {}
}
