package ai.onnxruntime;

import java.nio.ByteBuffer;
import java.nio.FloatBuffer;

public class OnnxTensor extends OnnxTensorLike {
    public final ByteBuffer bytes;
    public final FloatBuffer floats;
    public final long[] shape;

    private OnnxTensor(ByteBuffer bytes, FloatBuffer floats, long[] shape) {
        this.bytes = bytes;
        this.floats = floats;
        this.shape = shape;
        java.nio.Buffer all = bytes == null ? floats : bytes;
        if (!all.isDirect()) throw new IllegalArgumentException("not direct");
        long count = 1;
        for (long side : shape) count *= side;
        if (count != all.remaining()) throw new IllegalArgumentException("of another size");
    }

    public static OnnxTensor createTensor(
            OrtEnvironment environment, ByteBuffer data, long[] shape, OnnxJavaType type)
            throws OrtException {
        return new OnnxTensor(data, null, shape);
    }

    public static OnnxTensor createTensor(
            OrtEnvironment environment, FloatBuffer data, long[] shape) throws OrtException {
        return new OnnxTensor(null, data, shape);
    }

    @Override
    public void close() {}
}
