package ai.onnxruntime;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Map;
import java.util.TreeMap;

/**
 * A session that asks a real ONNX Runtime: the test's, in Python, over a socket on this machine whose
 * port is the property "ort.port". A request is the model, then each input by name, all with their
 * sizes in bytes before them, big-endian; the answer is the output's bytes.
 */
public class OrtSession implements AutoCloseable {
    public static class SessionOptions implements AutoCloseable {
        public void addNnapi() throws OrtException {}

        @Override
        public void close() {}
    }

    public static class Result implements AutoCloseable {
        @Override
        public void close() {}
    }

    private final byte[] model;

    OrtSession(byte[] model) {
        this.model = model;
    }

    public Result run(
            Map<String, ? extends OnnxTensorLike> inputs, Map<String, ? extends OnnxValue> outputs)
            throws OrtException {
        int port = Integer.getInteger("ort.port", 0);
        if (port == 0) throw new OrtException("no ONNX Runtime here");
        try (Socket socket = new Socket("127.0.0.1", port)) {
            DataOutputStream out = new DataOutputStream(socket.getOutputStream());
            out.writeInt(model.length);
            out.write(model);
            out.writeInt(inputs.size());
            for (Map.Entry<String, ? extends OnnxTensorLike> input
                    : new TreeMap<>(inputs).entrySet()) {
                byte[] bytes = bytesOf((OnnxTensor) input.getValue());
                out.writeUTF(input.getKey());
                out.writeInt(bytes.length);
                out.write(bytes);
            }
            out.flush();
            OnnxTensor hr = (OnnxTensor) outputs.get("hr");
            byte[] found = new byte[4 * hr.floats.capacity()];
            new DataInputStream(socket.getInputStream()).readFully(found);
            hr.floats.duplicate().put(
                    ByteBuffer.wrap(found).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer());
            return new Result();
        } catch (IOException error) {
            throw new OrtException(error.toString());
        }
    }

    private static byte[] bytesOf(OnnxTensor tensor) {
        if (tensor.bytes != null) {
            byte[] bytes = new byte[tensor.bytes.capacity()];
            tensor.bytes.duplicate().get(bytes);
            return bytes;
        }
        ByteBuffer bytes = ByteBuffer.allocate(4 * tensor.floats.capacity());
        bytes.order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().put(tensor.floats.duplicate());
        return bytes.array();
    }

    @Override
    public void close() throws OrtException {}
}
