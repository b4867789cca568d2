#include <string.h>

#include "crispcast_planes.h"

void crispcast_planes_split(const uint8_t* pairs, ptrdiff_t stride, int width, int height,
                            uint8_t* u, ptrdiff_t u_stride, uint8_t* v, ptrdiff_t v_stride) {
    for (int y = 0; y < height; ++y, pairs += stride, u += u_stride, v += v_stride) {
        for (int x = 0; x < width; ++x) {
            u[x] = pairs[2 * x];
            v[x] = pairs[2 * x + 1];
        }
    }
}

void crispcast_planes_join(const uint8_t* u, ptrdiff_t u_stride, const uint8_t* v,
                           ptrdiff_t v_stride, int width, int height, uint8_t* pairs,
                           ptrdiff_t stride) {
    for (int y = 0; y < height; ++y, pairs += stride, u += u_stride, v += v_stride) {
        for (int x = 0; x < width; ++x) {
            pairs[2 * x] = u[x];
            pairs[2 * x + 1] = v[x];
        }
    }
}

void crispcast_planes_narrow(const uint8_t* in, ptrdiff_t in_stride, int width, int height,
                             int chroma, uint8_t* out, ptrdiff_t out_stride) {
    // Of full range, luma is 0...255 and chroma 1...255 (CoreVideo/CVPixelBuffer.h).
    uint8_t codes[256];
    for (int code = 0; code < 256; ++code) {
        codes[code] =
            chroma ? uint8_t((2 * 224 * ((code < 1 ? 1 : code) - 128) + 254 + 508 * 128) / 508)
                   : uint8_t(16 + (2 * 219 * code + 255) / (2 * 255));
    }
    for (int y = 0; y < height; ++y, in += in_stride, out += out_stride)
        for (int x = 0; x < width; ++x) out[x] = codes[in[x]];
}

void crispcast_planes_copy(const uint8_t* in, ptrdiff_t in_stride, int width, int height,
                           uint8_t* out, ptrdiff_t out_stride) {
    for (int y = 0; y < height; ++y, in += in_stride, out += out_stride)
        memcpy(out, in, size_t(width));
}
