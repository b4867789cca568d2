package org.crispcast;

import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import java.util.Comparator;
import java.util.regex.Pattern;

/**
 * Assets on disk by their SHA-256; those used longest ago go where a limit is passed. What it gives
 * is hashed again by the core: a cache is storage, not truth. A disk that fails costs the cache
 * only. Any threads.
 */
public final class AssetCache {
    private static final Pattern NAME = Pattern.compile("[0-9a-f]{64}");
    private final File folder;
    private final long limit;

    /**
     * @param folder its own, such as {@code new File(context.getCacheDir(), "crispcast")}
     * @param limit bytes
     */
    public AssetCache(File folder, long limit) {
        this.folder = folder;
        this.limit = limit;
    }

    /** The asset, or null. */
    synchronized byte[] get(String sha256) {
        File file = file(sha256);
        if (file == null || !file.isFile()) return null;
        try {
            byte[] bytes = Files.readAllBytes(file.toPath());
            file.setLastModified(System.currentTimeMillis());
            return bytes;
        } catch (IOException error) {
            return null;
        }
    }

    /** Keeps an asset. The file is whole or not there. */
    synchronized void put(String sha256, byte[] bytes) {
        File file = file(sha256);
        if (file == null || bytes.length > limit || file.isFile()) return;
        folder.mkdirs();
        File partial = new File(folder, sha256 + ".partial");
        try {
            try (FileOutputStream out = new FileOutputStream(partial)) {
                out.write(bytes);
            }
            Files.move(partial.toPath(), file.toPath(), StandardCopyOption.ATOMIC_MOVE,
                    StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException error) {
            partial.delete();
            return;
        }
        trim();
    }

    synchronized void remove(String sha256) {
        File file = file(sha256);
        if (file != null) file.delete();
    }

    private void trim() {
        File[] files = folder.listFiles(file -> NAME.matcher(file.getName()).matches());
        if (files == null) return;
        long held = 0;
        for (File file : files) held += file.length();
        if (held <= limit) return;
        Arrays.sort(files, Comparator.comparingLong(File::lastModified));
        for (File file : files) {
            if (held <= limit) return;
            held -= file.length();
            file.delete();
        }
    }

    private File file(String sha256) {
        return NAME.matcher(sha256).matches() ? new File(folder, sha256) : null;
    }
}
