package org.crispcast;

import java.io.File;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.webrtc.PeerConnectionFactory;

/** How to play. All may be left as they are. */
public final class SessionOptions {
    int threads;
    String token;
    List<String> tokenOrigins = Collections.emptyList();
    boolean loop;
    boolean plain;
    boolean nnapi = true;
    boolean pauseInBackground = true;
    File cacheFolder;
    long cacheLimit = 256L << 20;
    int reconnectSeconds = 30;
    PeerConnectionFactory factory;
    String trust;
    SignatureVerifier verifier = new PlatformVerifier();

    /** Threads of the engine; 0, the default, is one for each core. */
    public SessionOptions threads(int count) {
        threads = count;
        return this;
    }

    /** A bearer token for the server, of the origin of the address that the session was given. */
    public SessionOptions token(String bearer) {
        token = bearer;
        return this;
    }

    /**
     * Who else may see the token where the server sends the play there: origins, as
     * https://b.example.org.
     */
    public SessionOptions tokenOrigins(String... origins) {
        tokenOrigins = Arrays.asList(origins.clone());
        return this;
    }

    /** Begin again at the end. */
    public SessionOptions loop(boolean on) {
        loop = on;
        return this;
    }

    /** The small video, interpolated: no networks. */
    public SessionOptions plain(boolean on) {
        plain = on;
        return this;
    }

    /** Whether NNAPI is tried, where the app has ONNX Runtime; on by default. */
    public SessionOptions nnapi(boolean on) {
        nnapi = on;
        return this;
    }

    /** Whether it pauses while no activity of the app is to be seen; on by default. */
    public SessionOptions pauseInBackground(boolean on) {
        pauseInBackground = on;
        return this;
    }

    /**
     * Public keys, as {@code crispcast key public} prints them: nothing is super-resolved unless one
     * of them signed what the server plays. By default signatures are not asked for.
     */
    public SessionOptions trust(String... keys) {
        trust = keys.length == 0 ? null : String.join(" ", keys);
        return this;
    }

    /** Who checks signatures; by default the platform, which not every phone can. */
    public SessionOptions verifier(SignatureVerifier own) {
        verifier = own;
        return this;
    }

    /** Where plans and plates are kept, and how many bytes; by default 256 MiB of the app's cache. */
    public SessionOptions cache(File folder, long limit) {
        cacheFolder = folder;
        cacheLimit = limit;
        return this;
    }

    /**
     * The app's own factory, made with a {@link CrispcastDecoderFactory}; it must outlive the session.
     * By default a session makes one and disposes of it.
     */
    public SessionOptions factory(PeerConnectionFactory own) {
        factory = own;
        return this;
    }

    /** Seconds for which a lost server is looked for; 30 by default. */
    public SessionOptions reconnect(int seconds) {
        reconnectSeconds = seconds;
        return this;
    }
}
