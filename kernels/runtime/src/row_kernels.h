// The kernel contract: what one instruction set must be able to do to one row. Each translation
// unit kernels_*.cpp fills one table; all tables give the same result within rounding.
//
// Only plain data here: an inline function shared with other translation units could be linked in
// its AVX-512 form and fault on a processor without it.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace crispcast {

enum class Activation : uint8_t { none = 0, relu = 1, prelu = 2, clip = 3 };

// Columns of a row are interleaved: with n vectors in a row, lane l of vector j is column l * n +
// j. So the neighbours of all columns of a vector are the vectors beside it, and every load is
// aligned; in plain order two taps of three would load across a cache line, which costs up to a
// fifth of a tile's time. The vectors left of 0 and right of n - 1, `sides` each, repeat the others
// with their lanes moved by one (`close`).

// One surviving (input channel, ky, kx). row = (source * kernel + ky) * kernel + kx picks a row
// pointer, offset = channel * stride is in floats from there.
struct Tap {
    uint32_t row;
    int32_t offset;
};

// `block` output channels that share a tap list; the last block of a layer may use fewer.
struct Block {
    uint32_t first_tap;
    uint32_t taps;
    int32_t channel;
    int32_t channels;
};

constexpr int kMaxSources = 8;
constexpr int kMaxKernel = 5;
constexpr int kMaxRowPointers = kMaxSources * kMaxKernel * kMaxKernel;
// Floats of the widest vector. Rows are padded for it, so that one plan serves every instruction
// set.
constexpr int kMaxVector = 16;

// What a coded plan's layer does after its sums, in this order and rounded after each step, so that
// all instruction sets give the same codes: times its unit, plus bias, residual, activation,
// nearest step. A residual is the exact value, before its rounding. See docs/plan-format.md.
struct Steps {
    const float* units;   // [cout rounded up to block]; null: the plan is not coded
    float residual_unit;  // worth of what the residual's row holds: 1, or a step of an input
    float inverse;        // steps per 1 of the output
    int zero;             // code of 0 of the output
    bool last;            // the output stays in single precision
};

// One output row of one layer: act(conv + bias (+ residual)) (+ residual). In a coded plan a row
// holds codes less their zero, whole numbers.
struct ConvRow {
    const float* rows[kMaxRowPointers];  // [(source * kernel + ky) * kernel + kx], each kx
                                         // a vector further
    int row_count;
    const Block* blocks;
    int block_count;
    int block;  // 1, 4 or 8
    const Tap* taps;
    const float* weights;  // [taps][block]
    const float* start;    // of the sums: the bias, or zeros where there are units
    const float* bias;     // [cout rounded up to block], as all per channel
    const float* low;
    const float* high;
    Activation activation;
    bool residual_after;
    Steps steps;
    const float* residual;  // at vector 0, same channels; null: none
    float* out;             // at vector 0
    float* exact;           // of a coded plan: where the values before rounding go; null: nowhere
    ptrdiff_t stride;       // floats from a channel to the next, of out, exact and residual
    int vectors;
};

// Output channels of a coded plan's layer that share a list of quads of taps: a block, or several
// with the same taps, as all of a dense layer are.
struct QuadBlock {
    uint32_t first_quad;
    uint32_t quads;
    uint32_t first_four;  // of its weights: [quads][channels] fours
    int32_t channel;
    int32_t channels;
};

// One output row of one layer of a coded plan, over codes. Each quad of taps is one byte of each of
// four rows: what a dot-product instruction multiplies and sums.
struct CodeRow {
    const QuadBlock* blocks;
    int block_count;
    const uint8_t* const* taps;    // [quads][4]: the byte of column 0
    const int8_t* weights;         // fours, and kPaddingWeights bytes that may be read, not used
    size_t weight_count;           // without those
    bool narrow;                   // Layer::narrow
    const int32_t* weight_sums;    // of a channel's weights
    const int32_t* negative_sums;  // of those below 0
    uint8_t* scratch;              // kPackedWeight bytes a weight
    int zero;                      // code of 0 of the sources
    const float* bias;
    const float* low;
    const float* high;
    Activation activation;
    bool residual_after;
    Steps steps;
    // One of them, or none: an input's codes, whose 0 is 128, or a layer's exact values.
    const uint8_t* residual_input;
    const float* residual;
    uint8_t* out;
    float* exact;            // null: nobody reads them; in the order of columns that sums have
    float* network;          // instead of `out` in the last layer, in the order of columns
    ptrdiff_t stride;        // of out and residual_input
    ptrdiff_t float_stride;  // of exact, residual and network
    int columns;             // whole vectors of them are made
};

// The instructions that multiply codes, where a processor has them.
struct CodeKernels {
    uint8_t
        flip;  // what the bytes of rows are xored with: 0x80 where they are multiplied as signed
    void (*convolve)(const CodeRow& row);
};

// Columns of the widest vector of codes.
constexpr int kMaxCodeVector = 64;
// Bytes of a weight in the form that a kernel makes of a row's for itself, at most: a lone channel
// of a lone quad takes the room of two channels of two.
constexpr int kPackedWeight = 4;
// Bytes behind the last weight that may be read, for whole vectors of them to be.
constexpr int kPaddingWeights = 16;

// The HR rows of one LR row over `count` LR columns: out = u8(base + 128 * network).
struct BaseRows {
    const uint8_t* rows[5];  // LR rows y - 2 ... y + 2, at LR column -2 (edges repeated); readable
                             // up to column count + 2 + kMaxVector
    bool bicubic;            // false: the base is code 128 and rows are not read
    const float (*weights)[4];  // [scale] of the taps of a phase, down and across
    const int* start;           // [scale] 0: taps begin at sample -2, 1: at -1
    int scale;
    int count;
    const float* network;  // channel 0 at column 0, or null
    ptrdiff_t stride;      // floats from a network channel to the next
    float* columns;        // scratch, 4 * kMaxBaseColumns floats
    uint8_t* out;
    ptrdiff_t out_stride;
    int out_rows;   // to write, at most scale
    int out_count;  // samples of each to write, at most scale * count
};

// Most LR columns of one piece of a row, and floats of it with what its ends need.
constexpr int kMaxPiece = 1024;
constexpr int kMaxBaseColumns = kMaxPiece + 4 + 2 * kMaxVector;

struct RowKernels {
    const char* isa;
    int width;  // floats of a vector
    void (*convolve)(const ConvRow& row);
    // (in[x] - 128) * unit for column x < count, zero for others; reads only count bytes. `scratch`
    // holds vectors * width floats.
    void (*load)(const uint8_t* in, int count, int vectors, float unit, float* out, float* scratch);
    // Puts the columns of one channel in plain order.
    void (*straighten)(float* row, int vectors, float* scratch);
    // Zeros right of column `end` - 1, then the vectors on both sides.
    void (*close)(float* row, int channels, ptrdiff_t stride, int vectors, int sides, int end);
    void (*finish)(const BaseRows& rows);
    const CodeKernels* codes;  // null: coded plans run in single precision, to the same bits
};

extern const RowKernels kPortableKernels;
#if defined(__x86_64__)
extern const RowKernels kAvx2Kernels;
extern const RowKernels kAvxVnniKernels;
extern const RowKernels kAvx512Kernels;
extern const RowKernels kAvx512VnniKernels;
#elif defined(__aarch64__)
extern const RowKernels kNeonKernels;
extern const RowKernels kNeonDotKernels;
extern const RowKernels kNeonI8mmKernels;
extern const CodeKernels kNeonDotCodes;
extern const CodeKernels kNeonI8mmCodes;
#elif defined(__wasm_simd128__)
extern const RowKernels kWasmKernels;
extern const RowKernels kWasmDotKernels;  // relaxed SIMD
#endif

}  // namespace crispcast
