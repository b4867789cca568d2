package org.crispcast;

import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URL;

/**
 * GET /assets/SHA256, beside the WHEP endpoint, from an offset on (docs/protocol.md). Blocks. The
 * endpoint may be one that a redirect named: the bearer knows whether it may see the token.
 */
final class AssetFetcher {
    private static final int PIECE_BYTES = 64 << 10;
    private static final int TRIES = 3;
    private final URL endpoint;
    private final Bearer bearer;
    private volatile boolean closed;

    AssetFetcher(URL endpoint, Bearer bearer) {
        this.endpoint = endpoint;
        this.bearer = bearer;
    }

    /** The connection is over: what is asked for from now on fails, what runs ends soon. Any thread. */
    void close() {
        closed = true;
    }

    boolean closed() {
        return closed;
    }

    /** Takes the pieces as they come; false: no more of them. */
    interface Taker {
        boolean piece(long offset, byte[] bytes, int size);
    }

    /**
     * Gets the rest of an asset of {@code total} bytes; where a transfer breaks off, it goes on
     * where it was. False where it fails for good.
     */
    boolean fetch(String sha256, long offset, long total, Taker taker) {
        long at = offset;
        for (int i = 0; i < TRIES && at < total && !closed; ++i) {
            try {
                URL url = Whep.checked(endpoint, "../assets/" + sha256);
                HttpURLConnection connection = Whep.open(url, "GET", bearer);
                if (at > 0) connection.setRequestProperty("Range", "bytes=" + at + "-");
                int status = connection.getResponseCode();
                if (status != (at > 0 ? 206 : 200)) return false;
                try (InputStream in = connection.getInputStream()) {
                    byte[] bytes = new byte[PIECE_BYTES];
                    while (at < total && !closed) {
                        int most = (int) Math.min(bytes.length, total - at);
                        int size = in.read(bytes, 0, most);
                        if (size < 0) break;
                        if (!taker.piece(at, bytes.clone(), size)) return true;
                        at += size;
                    }
                }
            } catch (IOException error) {
                // again, from here on
            } catch (CrispcastException error) {
                return false;
            }
        }
        return at >= total;
    }
}
