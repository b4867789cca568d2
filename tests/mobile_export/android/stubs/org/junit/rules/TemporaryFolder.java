package org.junit.rules;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;

public class TemporaryFolder {
    private File root;

    public File getRoot() {
        try {
            if (root == null) root = Files.createTempDirectory("junit").toFile();
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        return root;
    }
}
