// org.crispcast.Native: the runtime's calls. Java keeps closed handles away from here.
#include <new>

#include "direct.h"

using namespace crispcast_jni;

extern "C" {

JNIEXPORT jstring JNICALL Java_org_crispcast_Native_version(JNIEnv* env, jclass) {
    return env->NewStringUTF(crispcast_version());
}

JNIEXPORT jstring JNICALL Java_org_crispcast_Native_isa(JNIEnv* env, jclass, jint index) {
    const char* name = crispcast_isa(index);
    return name == nullptr ? nullptr : env->NewStringUTF(name);
}

JNIEXPORT jlong JNICALL Java_org_crispcast_Native_engineCreate(JNIEnv* env, jclass, jint threads,
                                                               jstring isa, jintArray status) {
    const char* name = isa == nullptr ? nullptr : env->GetStringUTFChars(isa, nullptr);
    crispcast_engine* engine = nullptr;
    const crispcast_status code = crispcast_engine_create(threads, name, &engine);
    if (name != nullptr) env->ReleaseStringUTFChars(isa, name);
    return made(env, status, code, engine);
}

JNIEXPORT void JNICALL Java_org_crispcast_Native_engineDestroy(JNIEnv*, jclass, jlong engine) {
    crispcast_engine_destroy(object_of<crispcast_engine>(engine));
}

JNIEXPORT jstring JNICALL Java_org_crispcast_Native_engineIsa(JNIEnv* env, jclass, jlong engine) {
    return env->NewStringUTF(crispcast_engine_isa(object_of<crispcast_engine>(engine)));
}

JNIEXPORT jlong JNICALL Java_org_crispcast_Native_planCreate(JNIEnv* env, jclass, jbyteArray wire,
                                                             jbyteArray base, jintArray status) {
    jbyte* bytes = env->GetByteArrayElements(wire, nullptr);
    jbyte* of = base == nullptr ? nullptr : env->GetByteArrayElements(base, nullptr);
    crispcast_plan* plan = nullptr;
    crispcast_status code = CRISPCAST_ERROR_MEMORY;
    if (bytes != nullptr && (base == nullptr || of != nullptr))
        code = crispcast_plan_create_with_base(
            bytes, size_t(env->GetArrayLength(wire)), of,
            base == nullptr ? 0 : size_t(env->GetArrayLength(base)), &plan);
    if (bytes != nullptr) env->ReleaseByteArrayElements(wire, bytes, JNI_ABORT);
    if (of != nullptr) env->ReleaseByteArrayElements(base, of, JNI_ABORT);
    return made(env, status, code, plan);
}

// facts: scale, takes the frame before, takes a plate.
JNIEXPORT jint JNICALL Java_org_crispcast_Native_planInfo(JNIEnv* env, jclass, jlong plan,
                                                          jintArray facts) {
    crispcast_plan_info info;
    const crispcast_status code = crispcast_plan_get_info(object_of<crispcast_plan>(plan), &info);
    if (code != CRISPCAST_OK) return code;
    const jint values[3] = {info.scale, info.has_previous, info.has_plate};
    env->SetIntArrayRegion(facts, 0, 3, values);
    return code;
}

JNIEXPORT void JNICALL Java_org_crispcast_Native_planDestroy(JNIEnv*, jclass, jlong plan) {
    crispcast_plan_destroy(object_of<crispcast_plan>(plan));
}

JNIEXPORT jlong JNICALL Java_org_crispcast_Native_plateCreate(JNIEnv* env, jclass, jobject luma,
                                                              jint stride, jint width, jint height,
                                                              jint scale, jintArray status) {
    const uint8_t* samples = plane(env, luma, stride, width, height);
    crispcast_plate* plate = nullptr;
    const crispcast_status code =
        samples == nullptr ? CRISPCAST_ERROR_STRIDE
                           : crispcast_plate_create(samples, stride, width, height, scale, &plate);
    return made(env, status, code, plate);
}

JNIEXPORT void JNICALL Java_org_crispcast_Native_plateDestroy(JNIEnv*, jclass, jlong plate) {
    crispcast_plate_destroy(object_of<crispcast_plate>(plate));
}

// strides: of the three planes in and out, of the luma before. patches: five numbers each, or null.
JNIEXPORT jint JNICALL Java_org_crispcast_Native_upscale(
    JNIEnv* env, jclass, jlong engine, jint width, jint height, jint scale, jobject y, jobject u,
    jobject v, jobject out_y, jobject out_u, jobject out_v, jobject previous, jintArray strides,
    jlong plate, jintArray patches, jlongArray plans) {
    jint stride[7];
    env->GetIntArrayRegion(strides, 0, 7, stride);
    if (width < 1 || height < 1 || width > CRISPCAST_MAX_SIDE || height > CRISPCAST_MAX_SIDE ||
        scale < 1 || scale > 4)
        return CRISPCAST_ERROR_SIZE;
    Planes in, out;
    if (!in.take(env, y, u, v, stride, width, height) ||
        !out.take(env, out_y, out_u, out_v, stride + 3, scale * width, scale * height))
        return CRISPCAST_ERROR_STRIDE;

    crispcast_frame_job job = {};
    job.width = width;
    job.height = height;
    job.scale = scale;
    for (int i = 0; i < 3; ++i) {
        job.in[i] = {in.data[i], in.strides[i]};
        job.out[i] = {out.data[i], out.strides[i]};
    }
    if (previous != nullptr) {
        job.previous = {plane(env, previous, stride[6], width, height), stride[6]};
        if (job.previous.data == nullptr) return CRISPCAST_ERROR_STRIDE;
    }
    job.plate = object_of<crispcast_plate>(plate);

    const crispcast_plan* experts[CRISPCAST_MAX_EXPERTS];
    const jsize count = env->GetArrayLength(plans);
    if (count > CRISPCAST_MAX_EXPERTS) return CRISPCAST_ERROR_EXPERT;
    jlong handles[CRISPCAST_MAX_EXPERTS];
    env->GetLongArrayRegion(plans, 0, count, handles);
    for (jsize i = 0; i < count; ++i) experts[i] = object_of<crispcast_plan>(handles[i]);
    job.plans = experts;
    job.plan_count = size_t(count);

    if (patches == nullptr) return crispcast_upscale(object_of<crispcast_engine>(engine), &job);
    static_assert(sizeof(crispcast_patch) == 5 * sizeof(jint), "five whole numbers");
    const jsize numbers = env->GetArrayLength(patches);
    if (numbers % 5 != 0 || numbers / 5 > CRISPCAST_MAX_PATCHES) return CRISPCAST_ERROR_PATCHES;
    jint* const given = env->GetIntArrayElements(patches, nullptr);
    if (given == nullptr) return CRISPCAST_ERROR_MEMORY;
    job.patches = reinterpret_cast<const crispcast_patch*>(given);
    job.patch_count = size_t(numbers / 5);
    const crispcast_status code = crispcast_upscale(object_of<crispcast_engine>(engine), &job);
    env->ReleaseIntArrayElements(patches, given, JNI_ABORT);
    return code;
}

}  // extern "C"
