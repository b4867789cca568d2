package org.crispcast;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNull;

import java.net.URL;
import java.util.Collections;
import org.junit.Test;

public class WhepTest {
    @Test
    public void aSessionOfAnotherOriginIsNotContacted() throws CrispcastException {
        Bearer bearer = new Bearer(
                null, Whep.checked(null, "https://a.example/whep/x"),
                Collections.singletonList("https://b.example"));
        URL answered = Whep.checked(null, "https://c.example/whep/x");
        for (String friend : new String[] {
            "https://a.example/s", "https://b.example:443/s", "https://C.example/s", "/s", "s"
        })
            assertEquals(
                    Whep.checked(answered, friend), Whep.session(answered, friend, bearer));
        for (String other : new String[] {
            "https://d.example/s", "//d.example/s", "http://c.example/s", "https://c.example:22/s",
            "https://c.example@d.example/s"
        }) assertNull(Whep.session(answered, other, bearer));
        Whep.delete(null);
    }
}
