package org.crispcast;

import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Collections;
import java.util.HashMap;
import java.util.Map;

/**
 * A model in ONNX Runtime, by NNAPI where that takes it. Its tensors lie over direct buffers, which
 * are filled before {@link #run} and read after it. One thread. The only class that knows ONNX
 * Runtime: an app without it never loads this one.
 */
final class OrtModel implements AutoCloseable {
    final ModelIndex.Model model;
    /** The output: floats, rows of scale * columns. */
    final ByteBuffer hr;

    private final OrtSession session;
    private final Map<String, ByteBuffer> buffers = new HashMap<>();
    private final Map<String, OnnxTensor> inputs = new HashMap<>();
    private final OnnxTensor output;

    OrtModel(ModelIndex.Model model, byte[] bytes) throws CrispcastException {
        this.model = model;
        OrtEnvironment environment = OrtEnvironment.getEnvironment();
        try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
            options.addNnapi();
            session = environment.createSession(bytes, options);
            for (String name : model.inputs) {
                int channels = name.equals("plate") ? model.scale * model.scale : 1;
                long[] shape = {1, channels, model.rows, model.columns};
                int count = channels * model.rows * model.columns;
                ByteBuffer buffer = direct(model.int8 ? count : 4 * count);
                buffers.put(name, buffer);
                inputs.put(name, model.int8
                        ? OnnxTensor.createTensor(environment, buffer, shape, OnnxJavaType.UINT8)
                        : OnnxTensor.createTensor(environment, buffer.asFloatBuffer(), shape));
            }
            int width = model.scale * model.columns;
            int height = model.scale * model.rows;
            hr = direct(4 * width * height);
            output = OnnxTensor.createTensor(
                    environment, hr.asFloatBuffer(), new long[] {1, 1, height, width});
        } catch (OrtException error) {
            throw failure(error);
        }
    }

    /** The buffer of an input. */
    ByteBuffer input(String name) {
        return buffers.get(name);
    }

    void run() throws CrispcastException {
        try {
            session.run(inputs, Collections.singletonMap("hr", output)).close();
        } catch (OrtException error) {
            throw failure(error);
        }
    }

    @Override
    public void close() {
        for (OnnxTensor tensor : inputs.values()) tensor.close();
        output.close();
        try {
            session.close();
        } catch (OrtException error) {
            // What it held goes with the process.
        }
    }

    private static ByteBuffer direct(int bytes) {
        return ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder());
    }

    private static CrispcastException failure(OrtException error) {
        return new CrispcastException(
                CrispcastException.BACKEND, "ONNX Runtime cannot run a model: "
                        + error.getMessage());
    }
}
