package org.crispcast;

import java.net.URL;
import java.util.Collection;
import java.util.HashSet;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * A bearer token (RFC 6750) and who may see it: the origin of the address that the app gave, and
 * those that the app named. A redirect names nobody.
 */
final class Bearer {
    private static final Pattern TOKEN = Pattern.compile("[A-Za-z0-9._~+/-]+=*");
    private final String header;
    private final Set<String> trusted = new HashSet<>();

    /**
     * @param token null where there is none
     * @throws CrispcastException where the token is none, or {@code named} has what is no origin
     */
    Bearer(String token, URL given, Collection<String> named) throws CrispcastException {
        if (token != null && !TOKEN.matcher(token).matches())
            throw new CrispcastException(
                    CrispcastException.NETWORK,
                    "the token is no bearer token: letters, digits and -._~+/ only");
        header = token == null ? null : "Bearer " + token;
        trusted.add(origin(given));
        for (String address : named) trusted.add(origin(Whep.checked(null, address)));
    }

    /** The value of Authorization for a request there; null where it has none. */
    String header(URL url) {
        return trusts(url) ? header : null;
    }

    /** Whether it is of an origin that may see the token, be there one or not. */
    boolean trusts(URL url) {
        return trusted.contains(origin(url));
    }

    /** Scheme, host and port (RFC 6454, section 4), whose letters have no case. */
    static String origin(URL url) {
        int port = url.getPort() < 0 ? url.getDefaultPort() : url.getPort();
        return (url.getProtocol() + "://" + url.getHost()).toLowerCase(Locale.ROOT) + ":" + port;
    }
}
