package org.crispcast;

import java.util.ArrayList;
import java.util.List;
import org.webrtc.HardwareVideoDecoderFactory;
import org.webrtc.PlatformSoftwareVideoDecoderFactory;
import org.webrtc.VideoCodecInfo;
import org.webrtc.VideoDecoder;
import org.webrtc.VideoDecoderFactory;

/**
 * The phone's own decoders (MediaCodec) of H.264 and AV1, with pictures that a session can identify.
 * An app with a PeerConnectionFactory of its own makes it with this.
 *
 * <p>WebRTC's native decoders never pass through Java, so none is offered: the server then answers
 * with a codec that the phone decodes. They give pictures in memory, where the engine reads them,
 * not textures.
 */
public final class CrispcastDecoderFactory implements VideoDecoderFactory {
    private final VideoDecoderFactory hardware = new HardwareVideoDecoderFactory(null);
    private final VideoDecoderFactory software = new PlatformSoftwareVideoDecoderFactory(null);

    @Override
    public VideoDecoder createDecoder(VideoCodecInfo info) {
        int codec = codec(info);
        if (codec < 0) return null;
        VideoDecoder decoder = hardware.createDecoder(info);
        if (decoder == null) decoder = software.createDecoder(info);
        return decoder == null ? null : new IdentifyingDecoder(decoder, codec);
    }

    @Override
    public VideoCodecInfo[] getSupportedCodecs() {
        List<VideoCodecInfo> found = new ArrayList<>();
        for (VideoDecoderFactory factory : new VideoDecoderFactory[] {hardware, software})
            for (VideoCodecInfo info : factory.getSupportedCodecs())
                if (codec(info) >= 0 && !found.contains(info)) found.add(info);
        return found.toArray(new VideoCodecInfo[0]);
    }

    private static int codec(VideoCodecInfo info) {
        if (info.getName().equalsIgnoreCase("H264")) return 0;
        return info.getName().equalsIgnoreCase("AV1") ? 1 : -1;
    }
}
