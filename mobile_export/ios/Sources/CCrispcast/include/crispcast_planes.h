/* Between Apple's biplanar pixel buffers and the runtime's I420: chroma apart and together, and
 * codes of full range back to those that the stream has.
 *
 * Strides are bytes from a row to the next, sizes samples; in and out must not overlap. Any threads
 * at once. */
#ifndef CRISPCAST_PLANES_H
#define CRISPCAST_PLANES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* U and V of width x height each, out of rows of width pairs. */
void crispcast_planes_split(const uint8_t* pairs, ptrdiff_t stride, int width, int height,
                            uint8_t* u, ptrdiff_t u_stride, uint8_t* v, ptrdiff_t v_stride);

/* The way back. */
void crispcast_planes_join(const uint8_t* u, ptrdiff_t u_stride, const uint8_t* v,
                           ptrdiff_t v_stride, int width, int height, uint8_t* pairs,
                           ptrdiff_t stride);

/* What `chroma` says the samples are. */
enum { CRISPCAST_PLANES_LUMA = 0, CRISPCAST_PLANES_CHROMA = 1 };

/* The codes that a decoder has spread over 0...255, as they were: luma of 16...235, chroma of
 * 16...240. Spreading rounds, but no two codes to one, so all come back as they were. Codes that
 * were beyond those limits were cut off, and come back as the limit. A plane may be its own
 * source. */
void crispcast_planes_narrow(const uint8_t* in, ptrdiff_t in_stride, int width, int height,
                             int chroma, uint8_t* out, ptrdiff_t out_stride);

/* Copies a plane. */
void crispcast_planes_copy(const uint8_t* in, ptrdiff_t in_stride, int width, int height,
                           uint8_t* out, ptrdiff_t out_stride);

#ifdef __cplusplus
}
#endif
#endif
