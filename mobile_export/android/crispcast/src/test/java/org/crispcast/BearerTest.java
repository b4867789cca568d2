package org.crispcast;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertThrows;

import java.net.URL;
import java.util.Arrays;
import java.util.Collections;
import org.junit.Test;

public class BearerTest {
    private static URL url(String address) throws CrispcastException {
        return Whep.checked(null, address);
    }

    @Test
    public void schemesAndHostsHaveNoCaseAndPortsMayBeLeftOut() throws CrispcastException {
        Bearer bearer =
                new Bearer("secret", url("HTTPS://A.Example/whep/x"), Collections.emptyList());
        for (String same : new String[] {
            "https://a.example/whep/y?from=x", "https://a.example:443/z", "Https://A.EXAMPLE/"
        }) assertEquals("Bearer secret", bearer.header(url(same)));
        for (String other : new String[] {
            "http://a.example/", "https://a.example:8443/", "https://b.example/",
            "https://a.example@b.example/", "https://a.example.b.example/"
        }) assertNull(bearer.header(url(other)));
    }

    @Test
    public void originsThatTheAppNamesSeeTheTokenToo() throws CrispcastException {
        Bearer bearer = new Bearer(
                "secret", url("https://a.example/whep/x"),
                Arrays.asList("https://B.example:443", "http://c.example:8080/"));
        assertEquals("Bearer secret", bearer.header(url("https://b.example/assets/1")));
        assertEquals("Bearer secret", bearer.header(url("http://c.example:8080/whep/x")));
        assertNull(bearer.header(url("http://c.example/whep/x")));
    }

    @Test
    public void withoutATokenNobodySeesOne() throws CrispcastException {
        URL given = url("https://a.example/whep/x");
        assertNull(new Bearer(null, given, Collections.emptyList()).header(given));
    }

    @Test
    public void whatIsNoTokenOrNoOriginIsRefused() throws CrispcastException {
        URL given = url("https://a.example/whep/x");
        for (String token : new String[] {"", "a b", "a\r\nHost: b", "=", "\u00e9"})
            assertThrows(
                    CrispcastException.class,
                    () -> new Bearer(token, given, Collections.emptyList()));
        for (String origin : new String[] {"b.example", "ftp://b.example", ""})
            assertThrows(
                    CrispcastException.class,
                    () -> new Bearer("secret", given, Collections.singletonList(origin)));
    }
}
