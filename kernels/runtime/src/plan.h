// A prepared plan: what the wire plan becomes in memory. Read-only once made.
//
//   value v of the network = a ring of `rows` rows; a row = channels x `stride` floats
//
//   |c0: column 0 ... columns-1 | 2 zeros or overrun ... | 2 zeros left of c1 |c1: column 0 ...
//
// The two floats right of a row's last column and the two left of its first are the frame border's
// zeros; the rest of the gap takes what whole vectors write past the end.
#pragma once

#include "array.h"
#include "crispcast.h"
#include "row_kernels.h"

namespace crispcast {

constexpr int kMaxLayers = 128;
constexpr int kMaxInputs = 3;
constexpr int kMaxValues = kMaxInputs + kMaxLayers;
constexpr int kMaxChannels = 512;

enum class Input : uint8_t { luma = 0, previous = 1, plate = 2 };

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
    Array<float> weights;  // [taps][block]
    Array<float> bias;     // [cout rounded up to block], as are the two below
    Array<float> low;      // PReLU's slopes, or clip's lower bounds
    Array<float> high;     // clip's upper bounds
};

struct Value {
    int channels = 0;
    int need = -1;    // columns and rows of this value around an output pixel; -1: nothing reads it
    int lag = 0;      // its row y is made in step y + lag
    int rows = 0;     // of its ring
    size_t ring = 0;  // floats from the arena's begin to the ring's
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

    // Set by lay_out.
    int radius = 0;   // rows around the output that the first values need
    int columns = 0;  // widest strip, halo included; a multiple of kMaxVector
    int sides = 0;    // vectors that a row has on each side for its neighbours' taps
    int stride = 0;   // floats from a channel to the next
    size_t arena_floats = 0;

    const Value& output() const { return values[value_count - 1]; }
};

// Computes halos, the schedule and the rings; resolves the taps' offsets. Source: line-buffered
// ("depth-first") scheduling as in Halide's sliding windows.
crispcast_status lay_out(Plan& plan);

}  // namespace crispcast

struct crispcast_plan {
    crispcast::Plan plan;
};
