package android.graphics;

import java.nio.Buffer;

public class Bitmap {
    public enum Config { ARGB_8888 }

    public Config getConfig() {
        return Config.ARGB_8888;
    }

    public int getByteCount() {
        return 0;
    }

    public int getRowBytes() {
        return 0;
    }

    public void copyPixelsToBuffer(Buffer buffer) {}

    public void recycle() {}
}
