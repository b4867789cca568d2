package org.crispcast;

import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.Deque;
import org.webrtc.EncodedImage;
import org.webrtc.VideoCodecStatus;
import org.webrtc.VideoDecoder;
import org.webrtc.VideoFrame;

/**
 * A decoder whose pictures know which coded frame they came from ({@link TimedBuffer}).
 *
 * <p>WebRTC gives a Java decoder the RTP time in whole milliseconds, as {@code captureTimeNs}, and
 * takes a picture back by the same number (sdk/android/src/jni/video_decoder_wrapper.cc). The last
 * RTP time of that millisecond stands for it: so no frame is before the server's exact anchor of
 * itself, and all count alike.
 */
final class IdentifyingDecoder implements VideoDecoder {
    /** Parameter sets and SEI, or sequence header and metadata, lie before the first slice. */
    static final int HEAD_BYTES = 4096;
    private static final int MOST_WAITING = 256;

    private final VideoDecoder inner;
    private final int codec;
    private final Deque<Coded> waiting = new ArrayDeque<>();

    private static final class Coded {
        final long timeNs;
        final byte[] head;

        Coded(long timeNs, byte[] head) {
            this.timeNs = timeNs;
            this.head = head;
        }
    }

    /** {@code codec}: 0 for H.264, 1 for AV1, as crispcast_codec. */
    IdentifyingDecoder(VideoDecoder inner, int codec) {
        this.inner = inner;
        this.codec = codec;
    }

    /** The RTP time, 90 kHz, that stands for a millisecond of it. */
    static int rtpTime(long captureTimeNs) {
        return (int) (captureTimeNs / 1_000_000 * 90 + 89);
    }

    @Override
    public VideoCodecStatus initDecode(Settings settings, Callback callback) {
        return inner.initDecode(settings, (frame, decodeTimeMs, qp) -> {
            byte[] head = headOf(frame.getTimestampNs());
            if (head == null) {
                callback.onDecodedFrame(frame, decodeTimeMs, qp);
                return;
            }
            TimedBuffer buffer = new TimedBuffer(
                    frame.getBuffer(), rtpTime(frame.getTimestampNs()), codec, head);
            VideoFrame timed = new VideoFrame(buffer, frame.getRotation(), frame.getTimestampNs());
            callback.onDecodedFrame(timed, decodeTimeMs, qp); // whose buffer is still frame's
        });
    }

    @Override
    public VideoCodecStatus decode(EncodedImage image, DecodeInfo info) {
        ByteBuffer bytes = image.buffer.duplicate();
        byte[] head = new byte[Math.min(bytes.remaining(), HEAD_BYTES)];
        bytes.get(head);
        synchronized (waiting) {
            if (waiting.size() == MOST_WAITING) waiting.removeFirst();
            waiting.addLast(new Coded(image.captureTimeNs, head));
        }
        return inner.decode(image, info);
    }

    /** The head of the coded frame of that time; those before it were dropped by the decoder. */
    private byte[] headOf(long timeNs) {
        synchronized (waiting) {
            for (Coded next; (next = waiting.pollFirst()) != null; )
                if (next.timeNs == timeNs) return next.head;
            return null;
        }
    }

    @Override
    public VideoCodecStatus release() {
        synchronized (waiting) {
            waiting.clear();
        }
        return inner.release();
    }

    @Override
    public String getImplementationName() {
        return inner.getImplementationName();
    }
}
