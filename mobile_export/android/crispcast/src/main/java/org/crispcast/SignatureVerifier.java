package org.crispcast;

import java.security.GeneralSecurityException;

/** Ed25519 (RFC 8032), by the platform or a library of the app's. Called on a worker's thread. */
public interface SignatureVerifier {
    /**
     * Whether the owner of {@code key}, 32 bytes, made {@code signature}, 64 bytes, of {@code
     * message}. Throws where this cannot be told: then nothing is trusted.
     */
    boolean isSigned(byte[] key, byte[] signature, byte[] message) throws GeneralSecurityException;
}
