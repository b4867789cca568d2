// The sentence of every status code, in one table.
#include "crispcast.h"

const char* crispcast_status_sentence(crispcast_status status) {
    switch (status) {
        case CRISPCAST_OK:
            return "done";
        case CRISPCAST_ERROR_ARGUMENT:
            return "an argument is null or outside its range; see crispcast.h for the range";
        case CRISPCAST_ERROR_MEMORY:
            return "the system gave no memory; free some or use fewer threads";
        case CRISPCAST_ERROR_THREAD:
            return "the system gave no thread; use fewer threads";
        case CRISPCAST_ERROR_ISA:
            return "this build or processor lacks that instruction set; use one that is listed";
        case CRISPCAST_ERROR_SIZE:
            return "the frame must be 1 to 16384 pixels a side and the scale 1, 2, 3 or 4";
        case CRISPCAST_ERROR_STRIDE:
            return "a plane's stride is smaller than its row; check width, stride and chroma size";
        case CRISPCAST_ERROR_PATCHES:
            return "the patches do not tile the frame; each pixel must lie in exactly one patch";
        case CRISPCAST_ERROR_EXPERT:
            return "a patch names an expert that has no plan; give a plan or null for each expert";
        case CRISPCAST_ERROR_SCALE:
            return "a plan was compiled for another scale; use the plans of this rung";
        case CRISPCAST_ERROR_PLATE:
            return "the plate is not of the frame's size times scale; use the plate of this rung";
        case CRISPCAST_ERROR_VIEW:
            return "the view of the canvas is no rectangle seen from its front; do without a plate "
                   "for this frame";
        case CRISPCAST_ERROR_PLAN_MAGIC:
            return "these bytes are not a plan: they do not begin with CCPL";
        case CRISPCAST_ERROR_PLAN_VERSION:
            return "the plan has a version that this runtime does not read; update the runtime";
        case CRISPCAST_ERROR_PLAN_FLAGS:
            return "the plan sets flags that its version reserves; compile it again";
        case CRISPCAST_ERROR_PLAN_CRC:
            return "the plan's checksum does not match: it was damaged; fetch it again";
        case CRISPCAST_ERROR_PLAN_SIZE:
            return "the plan is larger than 4 MiB; use a smaller network";
        case CRISPCAST_ERROR_PLAN_TRUNCATED:
            return "the plan ends too early; fetch it again";
        case CRISPCAST_ERROR_PLAN_TRAILING:
            return "the plan has bytes after its end; compile it again";
        case CRISPCAST_ERROR_PLAN_VARINT:
            return "the plan's op table holds a count above 32 bits; compile it again";
        case CRISPCAST_ERROR_PLAN_SCALE:
            return "the plan's scale is not 1, 2, 3 or 4; compile it for one of these";
        case CRISPCAST_ERROR_PLAN_INPUTS:
            return "the plan's inputs lack the luma or name unknown planes; compile it again";
        case CRISPCAST_ERROR_PLAN_BASE:
            return "the plan's base is unknown; it must be none or bicubic";
        case CRISPCAST_ERROR_PLAN_LAYERS:
            return "the plan must have 1 to 128 layers; use a smaller network";
        case CRISPCAST_ERROR_PLAN_KERNEL:
            return "a layer's kernel is not 1, 3 or 5 wide; use one of these";
        case CRISPCAST_ERROR_PLAN_SOURCES:
            return "a layer must have 1 to 8 sources, each defined before it; compile it again";
        case CRISPCAST_ERROR_PLAN_CHANNELS:
            return "a layer's channels are outside 1 to 512; use a narrower network";
        case CRISPCAST_ERROR_PLAN_BLOCK:
            return "a layer's block is not 1, 4 or 8; compile it with one of these";
        case CRISPCAST_ERROR_PLAN_LAYER_FLAGS:
            return "a layer sets flags that version 1.0 reserves; compile it again";
        case CRISPCAST_ERROR_PLAN_RESIDUAL:
            return "a layer's residual is not defined before it or has other channels";
        case CRISPCAST_ERROR_PLAN_BITS:
            return "a layer's weights must have 2 to 8 bits; compile it with such";
        case CRISPCAST_ERROR_PLAN_OUTPUT:
            return "the plan's last layer must have scale x scale channels; compile it again";
        case CRISPCAST_ERROR_PLAN_LIMIT:
            return "the plan passes a limit of the format on channels, weights or radius";
        case CRISPCAST_ERROR_PLAN_NUMBER:
            return "a bias, slope, clip bound or weight of the plan is outside its range; compile "
                   "it again";
        case CRISPCAST_ERROR_PLAN_WORKING:
            return "the plan needs more row memory than 64 MiB a thread; use a narrower network";
        case CRISPCAST_ERROR_PLAN_CODES:
            return "the plan's layers disagree about their codes, or their weights sum to too "
                   "much; "
                   "compile it again";
        case CRISPCAST_ERROR_PLAN_NEEDS_BASE:
            return "the plan is a difference to a base that was not given; load it with that base";
        case CRISPCAST_ERROR_PLAN_BASE_SHAPE:
            return "the plan's base has layers of other shapes or is itself a difference; compile "
                   "the plan without it";
        case CRISPCAST_ERROR_MAP_SIZE:
            return "the patch map is larger than 1 MiB; use larger patches";
        case CRISPCAST_ERROR_MAP_VERSION:
            return "the patch map has a version that this runtime does not read; update the "
                   "runtime";
        case CRISPCAST_ERROR_MAP_GRID:
            return "a patch map's patches must be 8 to 16384 pixels a side and at most 65536";
        case CRISPCAST_ERROR_MAP_TRUNCATED:
            return "the patch map ends too early; fetch it again";
        case CRISPCAST_ERROR_MAP_TRAILING:
            return "the patch map has bytes after its end; fetch it again";
        case CRISPCAST_ERROR_MAP_EXPERT:
            return "the patch map names an expert that its segment lacks; fetch both again";
        case CRISPCAST_ERROR_MAP_SPLIT:
            return "the patch map splits a patch of one row or column; encode it again";
        case CRISPCAST_ERROR_MAP_CAPACITY:
            return "the array is too short for the patch map; the count says how long it must be";
    }
    return "unknown status";
}

const char* crispcast_version(void) {
    return CRISPCAST_VERSION;
}
