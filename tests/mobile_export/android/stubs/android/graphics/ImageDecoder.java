package android.graphics;

import android.util.Size;
import java.io.IOException;
import java.nio.ByteBuffer;

public class ImageDecoder {
    public static final int ALLOCATOR_SOFTWARE = 1;

    public static class Source {}

    public static class ImageInfo {
        public Size getSize() {
            return new Size();
        }
    }

    public interface OnHeaderDecodedListener {
        void onHeaderDecoded(ImageDecoder decoder, ImageInfo info, Source source);
    }

    public static Source createSource(ByteBuffer bytes) {
        return new Source();
    }

    public static Bitmap decodeBitmap(Source source, OnHeaderDecodedListener listener)
            throws IOException {
        throw new IOException();
    }

    public void setAllocator(int allocator) {}
}
