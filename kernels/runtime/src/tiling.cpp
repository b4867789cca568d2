#include "tiling.h"

#include <algorithm>

namespace crispcast {
namespace {

// Multiply-adds per sample that one interpolated sample costs, roughly.
constexpr uint64_t kInterpolationCost = 200;

uint64_t cost_of(const Plan* plan, int x0, int y0, int x1, int y1) {
    const uint64_t halo = plan == nullptr ? 0 : uint64_t(plan->radius);
    const uint64_t weights = plan == nullptr ? 0 : plan->weight_count;
    return (x1 - x0 + halo) * (y1 - y0 + halo) * (weights + kInterpolationCost);
}

// Boundary i of n even parts of a ... b.
int boundary(int a, int b, int i, int n) {
    return a + int(int64_t(b - a) * i / n);
}

// Strips of a rectangle. All compute the same whole vectors of columns, halo included: strips with
// a halo on both sides are narrower than those at the frame's borders.
struct Strips {
    int count;
    int columns;      // that each computes; a multiple of the layout's unit
    int left, right;  // halo columns of the first and the last strip
    int radius;

    Strips(const Rectangle& r, const Layout& layout, int width, int at_least)
        : left(std::min(r.plan->radius, r.x0)),
          right(std::min(r.plan->radius, width - r.x1)),
          radius(r.plan->radius) {
        const int wanted = r.x1 - r.x0;
        count = at_least;
        while (covered(layout.columns) < wanted) ++count;
        columns = (2 * radius + 2 * kMaxVector) / kMaxVector * kMaxVector;
        columns = (columns + layout.unit - 1) / layout.unit * layout.unit;
        while (covered(columns) < wanted) columns += layout.unit;
    }

    // Useful columns of all strips when each computes `c`.
    int covered(int c) const { return count * c - left - right - 2 * radius * (count - 1); }

    // Useful columns of strip 0 ... i - 1.
    int before(int i, int wanted) const {
        if (i == 0 || i == count) return i == 0 ? 0 : wanted;
        return std::min(wanted, i * columns - left - radius * (2 * i - 1));
    }
};

}  // namespace

crispcast_status Tiling::set_patches(const crispcast_frame_job& job) {
    const crispcast_patch whole = {0, 0, job.width, job.height, job.plan_count > 0 ? 1 : 0};
    const crispcast_patch* patches = job.patches == nullptr ? &whole : job.patches;
    const size_t count = job.patches == nullptr ? 1 : job.patch_count;
    const uint64_t area = uint64_t(job.width) * job.height;
    uint64_t sum = 0;
    for (size_t i = 0; i < count; ++i) {
        const crispcast_patch& p = patches[i];
        if (p.x < 0 || p.y < 0 || p.width < 1 || p.height < 1 || p.x >= job.width ||
            p.y >= job.height || p.width > job.width - p.x || p.height > job.height - p.y)
            return CRISPCAST_ERROR_PATCHES;
        sum += uint64_t(p.width) * p.height;
        if (sum > area) return CRISPCAST_ERROR_PATCHES;
        if (p.expert < 0 || uint64_t(p.expert) > job.plan_count) return CRISPCAST_ERROR_EXPERT;
    }
    if (sum != area) return CRISPCAST_ERROR_PATCHES;

    sorted_.clear();
    if (!sorted_.reserve(count)) return CRISPCAST_ERROR_MEMORY;
    for (size_t i = 0; i < count; ++i) sorted_.push(patches[i]);
    std::sort(sorted_.begin(), sorted_.end(),
              [](const crispcast_patch& a, const crispcast_patch& b) {
                  return a.y != b.y ? a.y < b.y : a.x < b.x;
              });
    return join(job);
}

// In the order of (y, x) a patch of an exact tiling begins, in all its columns, just where the
// patches before it end; and if each does, none overlap.
crispcast_status Tiling::join(const crispcast_frame_job& job) {
    rectangles_.clear();
    filled_.clear();
    newest_.clear();
    if (!filled_.resize(size_t(job.width)) || !newest_.resize(size_t(job.width)))
        return CRISPCAST_ERROR_MEMORY;
    for (int32_t& index : newest_) index = -1;

    Rectangle run = {};
    const auto finish_run = [&]() {
        if (run.x1 == run.x0) return true;
        const int above = newest_[size_t(run.x0)];
        if (above >= 0) {
            Rectangle& r = rectangles_[size_t(above)];
            if (r.x1 == run.x1 && r.y1 == run.y0 && r.plan == run.plan) {
                r.y1 = run.y1;
                return true;
            }
        }
        newest_[size_t(run.x0)] = int32_t(rectangles_.size());
        return rectangles_.push(run);
    };
    for (const crispcast_patch& p : sorted_) {
        for (int x = p.x; x < p.x + p.width; ++x) {
            if (filled_[size_t(x)] != p.y) return CRISPCAST_ERROR_PATCHES;
            filled_[size_t(x)] = p.y + p.height;
        }
        const crispcast_plan* given = p.expert == 0 ? nullptr : job.plans[p.expert - 1];
        const Plan* plan = given == nullptr ? nullptr : &given->plan;
        const bool joins = run.x1 == p.x && run.y0 == p.y && run.y1 == p.y + p.height &&
                           run.plan == plan && run.x1 != run.x0;
        if (joins) {
            run.x1 += p.width;
            continue;
        }
        if (!finish_run()) return CRISPCAST_ERROR_MEMORY;
        run = {plan, p.x, p.y, p.x + p.width, p.y + p.height};
    }
    return finish_run() ? CRISPCAST_OK : CRISPCAST_ERROR_MEMORY;
}

crispcast_status Tiling::cut(int width, int height, int threads, bool dots) {
    const int chroma_width = (width + 1) / 2, chroma_height = (height + 1) / 2;
    uint64_t cost = 2 * cost_of(nullptr, 0, 0, chroma_width, chroma_height);
    for (const Rectangle& r : rectangles_) cost += cost_of(r.plan, r.x0, r.y0, r.x1, r.y1);
    const uint64_t share = cost / uint64_t(threads) + 1;

    pieces_.clear();
    for (const Rectangle& r : rectangles_)
        if (!cut_rectangle(r, width, share, dots)) return CRISPCAST_ERROR_MEMORY;
    // Twice as many as their share: they fill what the strips leave uneven.
    const uint64_t chroma = cost_of(nullptr, 0, 0, chroma_width, chroma_height);
    const int bands = int(2 * (chroma + share - 1) / share);
    for (int plane = 1; plane < 3; ++plane)
        if (!cut_bands({nullptr, 0, 0, chroma_width, chroma_height}, plane, bands))
            return CRISPCAST_ERROR_MEMORY;
    std::sort(pieces_.begin(), pieces_.end(), [](const Piece& a, const Piece& b) {
        if (a.cost != b.cost) return a.cost > b.cost;
        return a.y0 != b.y0 ? a.y0 < b.y0 : a.x0 < b.x0;
    });
    return CRISPCAST_OK;
}

bool Tiling::cut_rectangle(const Rectangle& r, int width, uint64_t share, bool dots) {
    const uint64_t cost = cost_of(r.plan, r.x0, r.y0, r.x1, r.y1);
    const int wanted =
        int((cost + share / 2) / share);  // threads that this rectangle can keep busy
    const int columns = r.x1 - r.x0, rows = r.y1 - r.y0;
    if (r.plan == nullptr) return cut_bands(r, 0, wanted);
    const Layout& layout = r.plan->layout(dots && r.plan->coded);
    Strips strips(r, layout, width, 1);
    // Strips for all threads cost only their halo columns; bands would cost halo rows as well.
    const int even = (strips.count + wanted - 1) / std::max(wanted, 1) * wanted;
    if (even > strips.count && columns / even >= std::max(64, 4 * r.plan->radius))
        strips = Strips(r, layout, width, even);
    const int bands = std::min(rows, std::max(1, (wanted + strips.count - 1) / strips.count));
    for (int b = 0; b < bands; ++b) {
        for (int i = 0; i < strips.count; ++i) {
            const int x0 = r.x0 + strips.before(i, columns);
            const int x1 = r.x0 + strips.before(i + 1, columns);
            const int y0 = boundary(r.y0, r.y1, b, bands), y1 = boundary(r.y0, r.y1, b + 1, bands);
            if (x0 == x1) continue;  // the strips before it took all
            if (!pieces_.push({r.plan, 0, x0, y0, x1, y1, cost_of(r.plan, x0, y0, x1, y1)}))
                return false;
        }
    }
    return true;
}

bool Tiling::cut_bands(const Rectangle& r, int plane, int bands) {
    bands = std::max(1, std::min(bands, r.y1 - r.y0));
    for (int b = 0; b < bands; ++b) {
        const int y0 = boundary(r.y0, r.y1, b, bands), y1 = boundary(r.y0, r.y1, b + 1, bands);
        if (!pieces_.push(
                {nullptr, plane, r.x0, y0, r.x1, y1, cost_of(nullptr, r.x0, y0, r.x1, y1)}))
            return false;
    }
    return true;
}

size_t Tiling::bytes() const {
    return sorted_.bytes() + filled_.bytes() + newest_.bytes() + rectangles_.bytes() +
           pieces_.bytes();
}

}  // namespace crispcast
