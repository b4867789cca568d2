package org.crispcast;

import static org.junit.Assert.assertEquals;

import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import org.junit.Test;

public final class SignedTest {
    // RFC 8032, section 7.1, test 2.
    private static final String KEY =
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    private static final String SIGNATURE =
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                    + "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";

    private static byte[] bytes(String digits) {
        byte[] out = new byte[digits.length() / 2];
        for (int i = 0; i < out.length; ++i)
            out[i] = (byte) Integer.parseInt(digits.substring(2 * i, 2 * i + 2), 16);
        return out;
    }

    @Test
    public void isThatOfRfc8032() {
        PlatformVerifier platform = new PlatformVerifier();
        assertEquals(1, Signed.check(platform, bytes(KEY + SIGNATURE + "72")));
        assertEquals(0, Signed.check(platform, bytes(KEY + SIGNATURE + "73")));
    }

    @Test
    public void noByteOfTheSignatureMayBeAnother() {
        byte[] asked = bytes(KEY + SIGNATURE + "72");
        for (int i = 32; i < 96; ++i) {
            byte[] changed = Arrays.copyOf(asked, asked.length);
            changed[i] ^= 1;
            assertEquals(0, Signed.check(new PlatformVerifier(), changed));
        }
    }

    @Test
    public void whatCannotBeToldIsNotTrusted() {
        assertEquals(-1, Signed.check((key, signature, message) -> {
            throw new NoSuchAlgorithmException("Ed25519");
        }, bytes(KEY + SIGNATURE + "72")));
    }
}
