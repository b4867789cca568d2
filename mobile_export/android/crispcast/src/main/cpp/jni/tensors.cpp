// org.crispcast.Native: planes of codes to the tensors of a model and back. Rows and columns are
// the model's, LR ones; `hr` is the model's output, floats.
#include <math.h>

#include "direct.h"

using namespace crispcast_jni;

namespace {

// [factor * factor, rows, columns]: channel dy * factor + dx has the samples at (factor * x + dx,
// factor * y + dy), from (x0, y0) on.
template <class Number>
void pack(const uint8_t* in, ptrdiff_t stride, int columns, int rows, int factor, Number* out) {
    for (int dy = 0; dy < factor; ++dy)
        for (int dx = 0; dx < factor; ++dx)
            for (int row = 0; row < rows; ++row) {
                const uint8_t* from = in + ptrdiff_t(factor * row + dy) * stride + dx;
                for (int x = 0; x < columns; ++x) *out++ = Number(from[ptrdiff_t(factor) * x]);
            }
}

}  // namespace

extern "C" {

// Fills a tensor with the rectangle (x, y), columns * factor x rows * factor, of a plane of width x
// height: bytes, or floats where `floats`.
JNIEXPORT jint JNICALL Java_org_crispcast_Native_pack(JNIEnv* env, jclass, jobject samples,
                                                      jint stride, jint width, jint height, jint x,
                                                      jint y, jint columns, jint rows, jint factor,
                                                      jboolean floats, jobject tensor) {
    const uint8_t* in = plane(env, samples, stride, width, height);
    if (in == nullptr) return CRISPCAST_ERROR_STRIDE;
    if (factor < 1 || factor > 4 || columns < 1 || rows < 1 || x < 0 || y < 0 ||
        int64_t(x) + int64_t(factor) * columns > width ||
        int64_t(y) + int64_t(factor) * rows > height)
        return CRISPCAST_ERROR_SIZE;
    const int64_t count = int64_t(factor) * factor * columns * rows;
    uint8_t* out = plane(env, tensor, count * (floats ? 4 : 1), count * (floats ? 4 : 1), 1);
    if (out == nullptr) return CRISPCAST_ERROR_ARGUMENT;
    in += ptrdiff_t(y) * stride + x;
    if (floats)
        pack(in, stride, columns, rows, factor, reinterpret_cast<float*>(out));
    else
        pack(in, stride, columns, rows, factor, out);
    return CRISPCAST_OK;
}

// Stores the rectangle (from_x, from_y), width x height, of `hr` with rows of `columns` floats, as
// codes into a plane at (x, y): floor(v + 0.5), at least 0 and at most 255.
JNIEXPORT jint JNICALL Java_org_crispcast_Native_unpack(JNIEnv* env, jclass, jobject hr,
                                                        jint columns, jint rows, jint from_x,
                                                        jint from_y, jint width, jint height,
                                                        jobject samples, jint stride,
                                                        jint plane_width, jint plane_height, jint x,
                                                        jint y) {
    const uint8_t* in = plane(env, hr, int64_t(columns) * 4, int64_t(columns) * 4, rows);
    uint8_t* out = plane(env, samples, stride, plane_width, plane_height);
    if (in == nullptr || out == nullptr) return CRISPCAST_ERROR_STRIDE;
    if (width < 1 || height < 1 || from_x < 0 || from_y < 0 || x < 0 || y < 0 ||
        width > columns - from_x || height > rows - from_y || width > plane_width - x ||
        height > plane_height - y)
        return CRISPCAST_ERROR_SIZE;
    for (int row = 0; row < height; ++row) {
        const float* from =
            reinterpret_cast<const float*>(in) + ptrdiff_t(from_y + row) * columns + from_x;
        uint8_t* to = out + ptrdiff_t(y + row) * stride + x;
        for (int i = 0; i < width; ++i) {
            const float code = floorf(from[i] + 0.5f);
            to[i] = code >= 255 ? 255 : code > 0 ? uint8_t(code) : 0; /* NaN: 0 */
        }
    }
    return CRISPCAST_OK;
}

// The first byte of each pixel of four: the luma of a grey picture. luma: width x height bytes.
JNIEXPORT jint JNICALL Java_org_crispcast_Native_first(JNIEnv* env, jclass, jobject pixels,
                                                       jint stride, jint width, jint height,
                                                       jobject luma) {
    const uint8_t* in = plane(env, pixels, stride, int64_t(width) * 4, height);
    uint8_t* out = plane(env, luma, width, width, height);
    if (in == nullptr || out == nullptr) return CRISPCAST_ERROR_STRIDE;
    for (int row = 0; row < height; ++row, in += stride, out += width)
        for (int x = 0; x < width; ++x) out[x] = in[4 * ptrdiff_t(x)];
    return CRISPCAST_OK;
}

// Copies a plane.
JNIEXPORT jint JNICALL Java_org_crispcast_Native_copy(JNIEnv* env, jclass, jobject from,
                                                      jint from_stride, jobject to, jint to_stride,
                                                      jint width, jint height) {
    const uint8_t* in = plane(env, from, from_stride, width, height);
    uint8_t* out = plane(env, to, to_stride, width, height);
    if (in == nullptr || out == nullptr) return CRISPCAST_ERROR_STRIDE;
    for (int row = 0; row < height; ++row)
        __builtin_memcpy(out + ptrdiff_t(row) * to_stride, in + ptrdiff_t(row) * from_stride,
                         size_t(width));
    return CRISPCAST_OK;
}

}  // extern "C"
