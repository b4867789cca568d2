package org.crispcast;

import java.security.GeneralSecurityException;
import java.util.Arrays;

/** What a task VERIFY asks. */
final class Signed {
    private static final int KEY = 32;
    private static final int SIGNATURE = 64;

    private Signed() {}

    /** 1 where the signature is right, 0 where it is not, -1 where that cannot be told. */
    static int check(SignatureVerifier verifier, byte[] asked) {
        try {
            boolean signed = verifier.isSigned(
                    Arrays.copyOf(asked, KEY),
                    Arrays.copyOfRange(asked, KEY, KEY + SIGNATURE),
                    Arrays.copyOfRange(asked, KEY + SIGNATURE, asked.length));
            return signed ? 1 : 0;
        } catch (GeneralSecurityException | RuntimeException unable) {
            return -1;
        }
    }
}
