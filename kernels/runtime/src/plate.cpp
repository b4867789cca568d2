#include "plate.h"

#include <new>

crispcast_status crispcast_plate_create(const uint8_t* luma, ptrdiff_t stride, int width,
                                        int height, int scale, crispcast_plate** plate) {
    if (plate == nullptr) return CRISPCAST_ERROR_ARGUMENT;
    *plate = nullptr;
    if (luma == nullptr) return CRISPCAST_ERROR_ARGUMENT;
    if (scale < 1 || scale > 4 || width < scale || height < scale || width % scale ||
        height % scale || width / scale > CRISPCAST_MAX_SIDE || height / scale > CRISPCAST_MAX_SIDE)
        return CRISPCAST_ERROR_SIZE;
    if (stride < width) return CRISPCAST_ERROR_STRIDE;
    crispcast_plate* made = new (std::nothrow) crispcast_plate;
    if (made == nullptr || !made->planes.resize(size_t(width) * height)) {
        delete made;
        return CRISPCAST_ERROR_MEMORY;
    }
    made->width = width / scale;
    made->height = height / scale;
    made->scale = scale;
    const size_t plane = size_t(made->width) * made->height;
    for (int y = 0; y < height; ++y) {
        const uint8_t* in = luma + y * stride;
        for (int dx = 0; dx < scale; ++dx) {
            uint8_t* out = made->planes.data() + (y % scale * scale + dx) * plane +
                           size_t(y / scale) * made->width;
            for (int x = 0; x < made->width; ++x) out[x] = in[x * scale + dx];
        }
    }
    *plate = made;
    return CRISPCAST_OK;
}

void crispcast_plate_destroy(crispcast_plate* plate) {
    delete plate;
}
