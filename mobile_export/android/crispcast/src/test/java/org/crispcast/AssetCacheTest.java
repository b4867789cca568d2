package org.crispcast;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNull;

import java.io.File;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

public class AssetCacheTest {
    @Rule public final TemporaryFolder folder = new TemporaryFolder();

    private static String name(char digit) {
        return new String(new char[64]).replace('\0', digit);
    }

    @Test
    public void theAssetUsedLongestAgoGoesFirst() {
        AssetCache cache = new AssetCache(folder.getRoot(), 25);
        cache.put(name('a'), new byte[10]);
        cache.put(name('b'), new byte[10]);
        new File(folder.getRoot(), name('a')).setLastModified(1_000_000);
        new File(folder.getRoot(), name('b')).setLastModified(2_000_000);
        assertEquals(10, cache.get(name('a')).length); // used just now
        cache.put(name('c'), new byte[10]);
        assertNull(cache.get(name('b')));
        assertArrayEquals(new byte[10], cache.get(name('a')));
        assertArrayEquals(new byte[10], cache.get(name('c')));
    }

    @Test
    public void onlyHashesAreNames() {
        AssetCache cache = new AssetCache(folder.getRoot(), 100);
        cache.put("../escaped", new byte[1]);
        assertNull(cache.get("../escaped"));
        assertEquals(0, folder.getRoot().list().length);
    }

    @Test
    public void whatIsLargerThanTheLimitIsNotKept() {
        AssetCache cache = new AssetCache(folder.getRoot(), 100);
        cache.put(name('a'), new byte[101]);
        assertNull(cache.get(name('a')));
    }
}
