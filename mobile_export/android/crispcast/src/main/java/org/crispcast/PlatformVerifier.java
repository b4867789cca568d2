package org.crispcast;

import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PublicKey;
import java.security.Signature;
import java.security.SignatureException;
import java.security.spec.X509EncodedKeySpec;

/** Ed25519 by java.security, where the phone's providers have it. */
final class PlatformVerifier implements SignatureVerifier {
    private static final String NAME = "Ed25519";
    /** What stands before the key in a SubjectPublicKeyInfo (RFC 8410, section 4). */
    private static final byte[] BEFORE = {
        0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00
    };

    @Override
    public boolean isSigned(byte[] key, byte[] signature, byte[] message)
            throws GeneralSecurityException {
        byte[] encoded = new byte[BEFORE.length + key.length];
        System.arraycopy(BEFORE, 0, encoded, 0, BEFORE.length);
        System.arraycopy(key, 0, encoded, BEFORE.length, key.length);
        PublicKey owner =
                KeyFactory.getInstance(NAME).generatePublic(new X509EncodedKeySpec(encoded));
        Signature check = Signature.getInstance(NAME);
        check.initVerify(owner);
        check.update(message);
        try {
            return check.verify(signature);
        } catch (SignatureException malformed) {
            return false;
        }
    }
}
