package org.crispcast;

import android.content.Context;
import java.io.File;
import java.io.InputStream;
import org.webrtc.PeerConnectionFactory;

/** What a session takes of Android where the app gives nothing else. */
final class AndroidDefaults {
    private static final int LARGEST_ASSET = 64 << 20;

    private AndroidDefaults() {}

    /** WebRTC with this module's decoders. */
    static PeerConnectionFactory factory(Context context) {
        PeerConnectionFactory.initialize(
                PeerConnectionFactory.InitializationOptions
                        .builder(context.getApplicationContext())
                        .createInitializationOptions());
        return PeerConnectionFactory.builder()
                .setVideoDecoderFactory(new CrispcastDecoderFactory())
                .createPeerConnectionFactory();
    }

    /** What the module brings in the app's assets. */
    static Resources resources(Context context) {
        return name -> {
            try (InputStream in = context.getAssets().open("crispcast/" + name)) {
                return Whep.read(in, LARGEST_ASSET);
            }
        };
    }

    /** The folder of the options, or one in the app's cache. */
    static AssetCache cache(Context context, SessionOptions options) {
        File folder = options.cacheFolder != null
                ? options.cacheFolder
                : new File(context.getCacheDir(), "crispcast");
        return new AssetCache(folder, options.cacheLimit);
    }
}
