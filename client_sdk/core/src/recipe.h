// What the engine needs for the frames of one segment, as far as it is here.
//
// Invariant: a missing plan means interpolation for its patches, never another plan.
#pragma once

#include "assets.h"
#include "motion.h"

namespace crispcast::client {

class Recipe {
  public:
    Recipe() = default;
    ~Recipe();
    Recipe(const Recipe&) = delete;
    Recipe& operator=(const Recipe&) = delete;

    // Looks again where the segment is another, or assets came or went. CRISPCAST_ERROR_MEMORY.
    int32_t look(const Manifest& manifest, const Assets& assets, uint32_t rung, uint32_t segment);
    // Nothing is known of the next frame.
    void forget() { version_ = 0; }

    // Gives what lies left of so many LR columns to interpolation. False: no memory.
    bool cut(int columns);
    // Puts patches, plans, plate, chroma, canvas and the view of frame `index` of the segment in,
    // cut at so many columns. False: no memory.
    bool fill(crispcast_frame_job& job, int64_t index, int columns);
    // Puts the chroma in alone: all else is interpolated.
    void fill_chroma(crispcast_frame_job& job) const;

    // Whether a network makes some of the frame and no plan that it wants is missing.
    bool networks() const { return plans_there_ && uses_networks_; }
    // Whether something that the segment needs is missing.
    bool late() const { return late_; }
    // Cut as of the last `cut`.
    const Array<crispcast_patch>& patches() const { return columns_ > 0 ? cut_ : patches_; }
    bool has_map() const { return has_map_; }
    // The luma of the plate, of the HR size; empty without one.
    const Array<uint8_t>& plate_luma() const { return luma_; }
    const crispcast_canvas* canvas() const { return canvas_; }
    const CanvasView& view(int64_t index) const { return views_[size_t(index)]; }

  private:
    // A piece that is here, to know whether the plate is still the one that was made.
    struct Part {
        uint32_t asset;
        Region region;
    };

    int32_t read_map(const Assets& assets, const RungSegment& segment, const Rung& rung);
    int32_t compose(const Assets& assets, const Rung& rung, const RungSegment& segment,
                    bool* whole);
    int32_t compose_luma(const Assets& assets, const Rung& rung, const Array<Part>& parts);
    int32_t compose_chroma(const Assets& assets, const Rung& rung, const Array<Part>& parts);
    int32_t read_motion(const Assets& assets, const RungSegment& segment, const Rung& rung,
                        int64_t frames);

    uint32_t rung_ = 0, segment_ = 0;
    uint64_t version_ = 0;
    bool has_map_ = false, plans_there_ = false, uses_networks_ = false, late_ = true;
    Array<crispcast_patch> patches_;
    Array<crispcast_patch> cut_;  // the same, with interpolation left of `columns_`
    int columns_ = 0;
    Array<const crispcast_plan*> plans_;
    Array<CanvasView> views_;
    const crispcast_canvas* canvas_ = nullptr;
    // Plates are composed once, however many segments they are in view.
    Array<Part> luma_parts_, chroma_parts_;
    uint32_t luma_rung_ = kNone, chroma_rung_ = kNone;
    Array<uint8_t> luma_;
    crispcast_plate* plate_ = nullptr;
    crispcast_chroma_plate* chroma_ = nullptr;
};

}  // namespace crispcast::client
