// A prepared plan: what the wire plan becomes in memory. Read-only once made.
//
//   value v of the network = a ring of `rows` rows; a row = channels x `stride` samples
//
//   |c0: column 0 ... columns-1 | 2 zeros or overrun ... | 2 zeros left of c1 |c1: column 0 ...
//
// The samples right of a row's last column and left of its first are the frame border's zeros; the
// rest of the gap takes what whole vectors write past the end. Samples are floats, or the codes of
// a coded plan on a processor with dot products.
#pragma once

#include <string.h>

#include "array.h"
#include "crispcast.h"
#include "row_kernels.h"

namespace crispcast {

constexpr int kMaxLayers = 128;
constexpr int kMaxInputs = 3;
constexpr int kMaxValues = kMaxInputs + kMaxLayers;
constexpr int kMaxChannels = 512;

enum class Input : uint8_t { luma = 0, previous = 1, plate = 2 };

// What a value's 8-bit codes mean: (code - zero) * unit.
struct Codes {
    float unit = 1.0f / 128;
    int zero = 128;
};

struct Layer {
    int kernel = 0, cin = 0, cout = 0, block = 0;
    Activation activation = Activation::none;
    bool has_residual = false, residual_after = false, dense = false;
    int residual = 0;  // value id
    int bits = 0;
    int source_count = 0;
    int sources[kMaxSources] = {};
    Array<Block> blocks;
    Array<Tap> taps;
    Array<float> weights;  // [taps][block]; whole numbers in a coded plan
    Array<float> bias;     // [cout rounded up to block], as are the two below
    Array<float> low;      // PReLU's slopes, or clip's lower bounds
    Array<float> high;     // clip's upper bounds

    // Of a coded plan: the op table's, then what `lay_out_codes` makes for dot products.
    bool has_codes = false;
    Codes codes;           // of the output
    Array<float> scales;   // [cout rounded up to block] of the weights
    Array<float> units;    // scale * unit of the sources
    Array<float> nothing;  // zeros: where the sums start
    Array<QuadBlock> quad_blocks;
    Array<Tap> quad_taps;          // [quads][4]
    Array<int8_t> quad_weights;    // of each quad block [quads][channels][4], then padding
    Array<int32_t> weight_sums;    // [cout rounded up to block]
    Array<int32_t> negative_sums;  // of the weights below 0
    // No sum reaches 2^22 and no value 2^15 steps, whatever the codes: whole numbers then turn into
    // floats and back by the addition of a constant.
    bool narrow = false;

    bool same_taps(const Block& a, const Block& b) const {
        if (a.taps != b.taps) return false;
        return a.taps == 0 ||
               memcmp(&taps[a.first_tap], &taps[b.first_tap], a.taps * sizeof(Tap)) == 0;
    }
};

struct Value {
    int channels = 0;
    int need = -1;  // columns and rows of this value around an output pixel; -1: nothing reads it
    int lag = 0;    // its row y is made in step y + lag
    int rows = 0;   // of its ring
    Codes codes;
    bool exact = false;  // of a coded plan: a layer adds it as it was before rounding
    double most = 1;     // of a coded plan: no value is larger, with either sign
};

// Where the rings lie, in samples.
struct Layout {
    int unit = 0;     // columns of a strip are a multiple of it
    int columns = 0;  // widest strip, halo included
    int stride = 0;   // from a channel to the next
    size_t ring[kMaxValues] = {};
    // Floats from the arena's begin to the ring of exact values; among codes, a channel of it has
    // `columns` floats, and so has the last layer's row.
    size_t exact[kMaxValues] = {};
    size_t network = 0;
    // Among codes, bytes to where a row's kernel finds its taps' addresses, and to its scratch.
    size_t addresses = 0, scratch = 0;
    size_t bytes = 0;  // of the arena
};

struct Plan {
    uint64_t serial = 0;  // tells plans apart even when one is freed and another takes its address
    int scale = 0;
    bool bicubic_base = false;
    int input_count = 0;
    Input inputs[kMaxInputs] = {};
    int layer_count = 0;
    Layer layers[kMaxLayers];
    int value_count = 0;
    Value values[kMaxValues];
    uint64_t tap_count = 0, weight_count = 0, dense_count = 0;
    bool coded = false;  // the values between layers are codes

    // Set by lay_out.
    int radius = 0;  // rows around the output that the first values need
    int sides = 0;   // vectors of floats that a row has on each side for its neighbours' taps
    Layout floats, codes;

    const Value& output() const { return values[value_count - 1]; }
    const Layout& layout(bool of_codes) const { return of_codes ? codes : floats; }
};

// Rows of one strip: what a second-level cache of 1 MiB holds, and two threads keep below 2 MiB.
// Half as much again would compute fewer halos twice (up to a tenth of the time at 32 channels).
constexpr size_t kCacheBytes = 992u << 10;
// Codes are a quarter as large: strips as wide as anybody wants take no more than this.
constexpr size_t kCodeCacheBytes = 640u << 10;
constexpr int kMaxColumns = 1024;

// Bytes of codes on each side of a row.
constexpr int kCodeSide = kMaxCodeVector;

// Computes halos, the schedule and the rings; resolves the taps' offsets. Source: line-buffered
// ("depth-first") scheduling as in Halide's sliding windows.
crispcast_status lay_out(Plan& plan);

// The part of it that dot products need: quads of taps, rings of codes.
crispcast_status lay_out_codes(Plan& plan, int least_columns);

// A tap as it is run: the wire's (source and ky, channel * 8 + kx) as a row pointer's number and an
// offset from it.
inline Tap resolved(Tap tap, int kernel, int stride) {
    return {tap.row * uint32_t(kernel) + uint32_t(tap.offset & 7), (tap.offset >> 3) * stride};
}

// Samples of a column of a value's ring.
inline size_t ring_column(const Value& value) {
    return size_t(value.channels) * size_t(value.rows);
}

}  // namespace crispcast

struct crispcast_plan {
    crispcast::Plan plan;
};
