package org.crispcast;

import android.graphics.Bitmap;
import android.graphics.ImageDecoder;
import android.os.Build;
import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * The system's AVIF decoder, which Android has from version 12 (API 31) on. Before that, plates are
 * absent: the picture is less sharp where they would have been, and the video plays on.
 */
final class AvifDecoder implements PlateDecoder {
    @Override
    public ByteBuffer decode(byte[] avif, int width, int height) {
        if (Build.VERSION.SDK_INT < 31) return null;
        try {
            ImageDecoder.Source source = ImageDecoder.createSource(ByteBuffer.wrap(avif));
            Bitmap bitmap = ImageDecoder.decodeBitmap(source, (decoder, info, ignored) -> {
                if (info.getSize().getWidth() != width || info.getSize().getHeight() != height)
                    throw new IllegalArgumentException("a picture of another size");
                decoder.setAllocator(ImageDecoder.ALLOCATOR_SOFTWARE);
            });
            if (bitmap.getConfig() != Bitmap.Config.ARGB_8888) return null;
            ByteBuffer pixels = ByteBuffer.allocateDirect(bitmap.getByteCount());
            bitmap.copyPixelsToBuffer(pixels);
            ByteBuffer luma = ByteBuffer.allocateDirect(width * height);
            int stride = bitmap.getRowBytes();
            bitmap.recycle();
            return Native.first(pixels, stride, width, height, luma) == Native.OK ? luma : null;
        } catch (IOException | IllegalArgumentException error) {
            return null;
        }
    }
}
