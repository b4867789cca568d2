// What the JNI files share: planes in direct byte buffers, checked, and handles of native objects.
#pragma once

#include <jni.h>
#include <stddef.h>
#include <stdint.h>

#include "crispcast.h"

namespace crispcast_jni {

// The samples of a plane of `width` x `height` with rows `stride` bytes apart, from the start of a
// direct byte buffer; nullptr where the buffer is none, not direct, or too small.
inline uint8_t* plane(JNIEnv* env, jobject buffer, int64_t stride, int64_t width, int64_t height) {
    if (buffer == nullptr || width < 1 || height < 1 || stride < width) return nullptr;
    uint8_t* const data = static_cast<uint8_t*>(env->GetDirectBufferAddress(buffer));
    const int64_t bytes = env->GetDirectBufferCapacity(buffer);
    if (data == nullptr || bytes < width || (bytes - width) / stride < height - 1) return nullptr;
    return data;
}

// A frame's three planes as Java's I420 hands them over.
struct Planes {
    uint8_t* data[3];
    ptrdiff_t strides[3];

    // Sizes are of the luma. False where one is not as it must be.
    bool take(JNIEnv* env, jobject y, jobject u, jobject v, const jint* stride, int width,
              int height) {
        const jobject buffers[3] = {y, u, v};
        for (int i = 0; i < 3; ++i) {
            const int w = i == 0 ? width : (width + 1) / 2, h = i == 0 ? height : (height + 1) / 2;
            strides[i] = stride[i];
            data[i] = plane(env, buffers[i], stride[i], w, h);
            if (data[i] == nullptr) return false;
        }
        return true;
    }
};

template <class Object>
Object* object_of(jlong handle) {
    return reinterpret_cast<Object*>(static_cast<intptr_t>(handle));
}

inline jlong handle_of(const void* object) {
    return static_cast<jlong>(reinterpret_cast<intptr_t>(object));
}

// The handle of what was made; where that failed, 0 and the status in `status[0]`.
inline jlong made(JNIEnv* env, jintArray status, crispcast_status code, const void* object) {
    const jint value = code;
    env->SetIntArrayRegion(status, 0, 1, &value);
    return code == CRISPCAST_OK ? handle_of(object) : 0;
}

}  // namespace crispcast_jni
