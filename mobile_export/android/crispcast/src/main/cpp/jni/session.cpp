// org.crispcast.Native: the session's calls. A session is a number that the core checks itself, so
// a closed one is refused there.
#include <string.h>

#include "crispcast_session.h"
#include "direct.h"

using namespace crispcast_jni;

namespace {

// The bytes of a Java array while this lives.
struct Bytes {
    Bytes(JNIEnv* e, jbyteArray a)
        : env(e), array(a), data(a == nullptr ? nullptr : e->GetByteArrayElements(a, nullptr)) {}
    ~Bytes() {
        if (data != nullptr) env->ReleaseByteArrayElements(array, data, JNI_ABORT);
    }
    Bytes(const Bytes&) = delete;
    Bytes& operator=(const Bytes&) = delete;
    size_t size() const { return data == nullptr ? 0 : size_t(env->GetArrayLength(array)); }

    JNIEnv* env;
    jbyteArray array;
    jbyte* data;
};

// The characters of a Java string while this lives.
struct Text {
    Text(JNIEnv* e, jstring s)
        : env(e), string(s), data(s == nullptr ? nullptr : e->GetStringUTFChars(s, nullptr)) {}
    ~Text() {
        if (data != nullptr) env->ReleaseStringUTFChars(string, data);
    }
    Text(const Text&) = delete;
    Text& operator=(const Text&) = delete;

    JNIEnv* env;
    jstring string;
    const char* data;
};

// Sentences may hold what a server said, in any UTF-8; NewStringUTF takes none of four bytes.
jbyteArray utf8(JNIEnv* env, const char* text) {
    const jsize size = jsize(strlen(text));
    jbyteArray made = env->NewByteArray(size);
    if (made != nullptr)
        env->SetByteArrayRegion(made, 0, size, reinterpret_cast<const jbyte*>(text));
    return made;
}

void give(JNIEnv* env, jobjectArray things, int index, jobject thing) {
    env->SetObjectArrayElement(things, index, thing);
    if (thing != nullptr) env->DeleteLocalRef(thing);
}

void give(JNIEnv* env, jlongArray numbers, const jlong* values, int count) {
    env->SetLongArrayRegion(numbers, 0, count, values);
}

// result: frame, rung, segment, shown, landed, super-resolved, late, follows, missing.
void give(JNIEnv* env, jlongArray numbers, const crispcast_session_result& r) {
    const jlong values[] = {r.frame,          r.rung, r.segment, r.shown,  r.landed,
                            r.super_resolved, r.late, r.follows, r.missing};
    give(env, numbers, values, 9);
}

crispcast_session_frame frame_of(jint rtp_time, jint flags, jlong number, jint rung, jint width,
                                 jint height) {
    crispcast_session_frame frame = {};
    frame.rtp_time = uint32_t(rtp_time);
    frame.flags = flags;
    frame.number = number;
    frame.rung = rung;
    frame.width = width;
    frame.height = height;
    return frame;
}

}  // namespace

#define SESSION_CALL(result, name, ...) \
    JNIEXPORT result JNICALL Java_org_crispcast_Native_##name(JNIEnv* env, jclass, __VA_ARGS__)

extern "C" {

SESSION_CALL(jbyteArray, sentence, jint status) {
    return utf8(env, crispcast_session_sentence(status));
}

SESSION_CALL(jint, sessionCreate, jint threads, jstring isa, jint delivery, jint cache, jint plain,
             jint loops, jlong memory, jstring trust, jintArray status) {
    const Text name(env, isa), keys(env, trust);
    crispcast_session_options options = {};
    options.threads = threads;
    options.isa = name.data;
    options.delivery = delivery;
    options.cache = cache;
    options.plain = plain;
    options.loops = loops;
    options.memory_limit = uint64_t(memory);
    options.trust = keys.data;
    crispcast_session session = 0;
    const jint code = crispcast_session_create(&options, &session);
    env->SetIntArrayRegion(status, 0, 1, &code);
    return jint(session);
}

SESSION_CALL(jint, sessionDestroy, jint session) {
    (void)env;
    return crispcast_session_destroy(uint32_t(session));
}

SESSION_CALL(jbyteArray, sessionWhy, jint session) {
    char text[CRISPCAST_WHY_BYTES] = "";
    crispcast_session_why(uint32_t(session), text, sizeof text);
    return utf8(env, text);
}

SESSION_CALL(jint, sessionManifest, jint session, jbyteArray bytes, jstring signature, jint rung) {
    const Bytes given(env, bytes);
    const Text made(env, signature);
    return crispcast_session_signed_manifest(uint32_t(session), given.data, given.size(), made.data,
                                             rung);
}

SESSION_CALL(jint, sessionVerified, jint session, jlong question, jint answer) {
    (void)env;
    return crispcast_session_verified(uint32_t(session), question, answer);
}

SESSION_CALL(jint, sessionConnected, jint session) {
    (void)env;
    return crispcast_session_connected(uint32_t(session));
}

SESSION_CALL(jint, sessionDisconnected, jint session, jintArray over) {
    int32_t shown = 0;
    const jint status = crispcast_session_disconnected(uint32_t(session), &shown);
    const jint given = shown;
    env->SetIntArrayRegion(over, 0, 1, &given);
    return status;
}

SESSION_CALL(jint, sessionMessage, jint session, jbyteArray text) {
    const Bytes given(env, text);
    return crispcast_session_message(uint32_t(session), given.data, given.size());
}

SESSION_CALL(jint, sessionFrameBytes, jint session, jbyteArray bytes) {
    const Bytes given(env, bytes);
    return crispcast_session_frame_bytes(uint32_t(session), given.data, given.size());
}

SESSION_CALL(jint, sessionPiece, jint session, jstring sha256, jlong offset, jbyteArray bytes,
             jint size) {
    const Text name(env, sha256);
    const Bytes given(env, bytes);
    if (size < 0 || size_t(size) > given.size()) return CRISPCAST_ERROR_ARGUMENT;
    return crispcast_session_piece(uint32_t(session), name.data, uint64_t(offset), given.data,
                                   size_t(size));
}

SESSION_CALL(jint, sessionAsset, jint session, jstring sha256, jbyteArray bytes) {
    const Text name(env, sha256);
    const Bytes given(env, bytes);
    return crispcast_session_asset(uint32_t(session), name.data, given.data, given.size());
}

SESSION_CALL(jint, sessionLacks, jint session, jstring sha256) {
    const Text name(env, sha256);
    return crispcast_session_lacks(uint32_t(session), name.data);
}

// samples null: no picture.
SESSION_CALL(jint, sessionPicture, jint session, jstring sha256, jobject samples, jint stride,
             jint width, jint height) {
    const Text name(env, sha256);
    const uint8_t* data = nullptr;
    if (samples != nullptr) {
        data = plane(env, samples, stride, width, height);
        if (data == nullptr) return CRISPCAST_ERROR_STRIDE;
    }
    return crispcast_session_picture(uint32_t(session), name.data, data, stride, width, height);
}

SESSION_CALL(jint, sessionBase, jint session, jstring id, jbyteArray bytes) {
    const Text name(env, id);
    const Bytes given(env, bytes);
    return crispcast_session_base(uint32_t(session), name.data, given.data, given.size());
}

// numbers: kind, status, offset, total, width, height, rung, segment, frame, count. things: sha256,
// id, the sentence as UTF-8, the session's bytes until the next task.
SESSION_CALL(jint, sessionNextTask, jint session, jlong now_ms, jlongArray numbers,
             jobjectArray things) {
    crispcast_task task = {};
    const jint code = crispcast_session_next_task(uint32_t(session), now_ms, &task);
    if (code != CRISPCAST_OK) return code;
    const jlong values[] = {task.kind,  task.status, jlong(task.offset), jlong(task.total),
                            task.width, task.height, task.rung,          task.segment,
                            task.frame, task.count};
    give(env, numbers, values, 10);
    give(env, things, 0, env->NewStringUTF(task.sha256));
    give(env, things, 1, env->NewStringUTF(task.id));
    give(env, things, 2, utf8(env, task.text == nullptr ? "" : task.text));
    jobject bytes = nullptr;
    if (task.bytes != nullptr)
        bytes = env->NewDirectByteBuffer(const_cast<uint8_t*>(task.bytes), jlong(task.size));
    give(env, things, 3, bytes);
    return code;
}

SESSION_CALL(jint, sessionSeek, jint session, jlong frame) {
    (void)env;
    return crispcast_session_seek(uint32_t(session), frame);
}

SESSION_CALL(jint, sessionPause, jint session, jint on) {
    (void)env;
    return crispcast_session_pause(uint32_t(session), on);
}

SESSION_CALL(jint, sessionLoop, jint session, jint on) {
    (void)env;
    return crispcast_session_loop(uint32_t(session), on);
}

SESSION_CALL(jint, sessionChooseRung, jint session, jint rung) {
    (void)env;
    return crispcast_session_choose_rung(uint32_t(session), rung);
}

SESSION_CALL(jint, sessionReport, jint session, jdouble upscale_ms, jdouble fps,
             jint interpolating) {
    (void)env;
    return crispcast_session_report(uint32_t(session), upscale_ms, fps, interpolating);
}

SESSION_CALL(jint, sessionLeave, jint session) {
    (void)env;
    return crispcast_session_leave(uint32_t(session));
}

// numbers: width, height, numerator and denominator of the rate, frames, rungs, segments, live.
// things: the package's id.
SESSION_CALL(jint, sessionInfo, jint session, jlongArray numbers, jobjectArray things) {
    crispcast_session_info info = {};
    const jint code = crispcast_session_get_info(uint32_t(session), &info);
    if (code != CRISPCAST_OK) return code;
    const jlong values[] = {info.width,  info.height, info.fps_numerator, info.fps_denominator,
                            info.frames, info.rungs,  info.segments,      info.live};
    give(env, numbers, values, 8);
    give(env, things, 0, env->NewStringUTF(info.package));
    return code;
}

// numbers: width, height, scale, padded width and height, 1 for AV1. things: its name.
SESSION_CALL(jint, sessionRung, jint session, jint rung, jlongArray numbers, jobjectArray things) {
    crispcast_rung_info info = {};
    const jint code = crispcast_session_get_rung(uint32_t(session), rung, &info);
    if (code != CRISPCAST_OK) return code;
    const jlong values[] = {info.width,        info.height,        info.scale,
                            info.padded_width, info.padded_height, info.av1};
    give(env, numbers, values, 6);
    give(env, things, 0, env->NewStringUTF(info.name));
    return code;
}

// numbers: in the order of crispcast_session_figures.
SESSION_CALL(jint, sessionFigures, jint session, jlongArray numbers) {
    crispcast_session_figures f = {};
    const jint code = crispcast_session_get_figures(uint32_t(session), &f);
    if (code != CRISPCAST_OK) return code;
    const jlong values[] = {jlong(f.frames),         jlong(f.frames_sr),    jlong(f.late_assets),
                            jlong(f.asset_bytes),    jlong(f.cached_bytes), jlong(f.refused_assets),
                            jlong(f.wrong_messages), jlong(f.memory_bytes)};
    give(env, numbers, values, 8);
    return code;
}

SESSION_CALL(jint, sessionCoded, jint session, jint rtp_time, jint codec, jbyteArray bytes) {
    const Bytes given(env, bytes);
    return crispcast_session_coded(uint32_t(session), uint32_t(rtp_time), codec, given.data,
                                   given.size());
}

// strides: of the three planes in and out. The planes out are out_width x out_height.
SESSION_CALL(jint, sessionUpscale, jint session, jint rtp_time, jint flags, jlong number, jint rung,
             jint width, jint height, jobject y, jobject u, jobject v, jint out_width,
             jint out_height, jobject out_y, jobject out_u, jobject out_v, jintArray strides,
             jlongArray result) {
    jint stride[6];
    env->GetIntArrayRegion(strides, 0, 6, stride);
    crispcast_session_info info = {};
    const jint known = crispcast_session_get_info(uint32_t(session), &info);
    if (known != CRISPCAST_OK) return known;
    if (out_width < info.width || out_height < info.height) return CRISPCAST_ERROR_SIZE;
    Planes in, out;
    if (!in.take(env, y, u, v, stride, width, height) ||
        !out.take(env, out_y, out_u, out_v, stride + 3, out_width, out_height))
        return CRISPCAST_ERROR_STRIDE;
    crispcast_session_frame frame =
        frame_of(rtp_time, flags & ~CRISPCAST_FRAME_PADDED, number, rung, width, height);
    for (int i = 0; i < 3; ++i) {
        frame.in[i] = {in.data[i], in.strides[i]};
        frame.out[i] = {out.data[i], out.strides[i]};
    }
    crispcast_session_result made = {};
    const jint code = crispcast_session_upscale(uint32_t(session), &frame, &made);
    if (code == CRISPCAST_OK) give(env, result, made);
    return code;
}

// Patches of five numbers each; `count[0]` says how many, also where the array is too small.
SESSION_CALL(jint, sessionPatches, jint session, jintArray patches, jintArray count) {
    static_assert(sizeof(crispcast_patch) == 5 * sizeof(jint), "five whole numbers");
    const jsize capacity = env->GetArrayLength(patches) / 5;
    jint* const to = env->GetIntArrayElements(patches, nullptr);
    if (to == nullptr) return CRISPCAST_ERROR_MEMORY;
    size_t found = 0;
    const jint code = crispcast_session_patches(
        uint32_t(session), reinterpret_cast<crispcast_patch*>(to), size_t(capacity), &found);
    env->ReleaseIntArrayElements(patches, to, 0);
    const jint given = jint(found);
    env->SetIntArrayRegion(count, 0, 1, &given);
    return code;
}

// things: the hash of the expert's plan. here[0]: 1 where the plan is prepared.
SESSION_CALL(jint, sessionExpert, jint session, jint expert, jobjectArray things, jintArray here) {
    char sha256[CRISPCAST_SHA256_TEXT] = "";
    int32_t prepared = 0;
    const jint code = crispcast_session_expert(uint32_t(session), expert, sha256, &prepared);
    if (code != CRISPCAST_OK) return code;
    const jint value = prepared;
    env->SetIntArrayRegion(here, 0, 1, &value);
    give(env, things, 0, env->NewStringUTF(sha256));
    return code;
}

// luma: of the padded size of `rung`, which is that of the last frame.
SESSION_CALL(jint, sessionPlate, jint session, jint rung, jobject luma, jint stride,
             jintArray here) {
    crispcast_rung_info info = {};
    jint code = crispcast_session_get_rung(uint32_t(session), rung, &info);
    if (code != CRISPCAST_OK) return code;
    uint8_t* out = plane(env, luma, stride, info.padded_width, info.padded_height);
    if (out == nullptr) return CRISPCAST_ERROR_STRIDE;
    int32_t found = 0;
    code = crispcast_session_plate(uint32_t(session), out, stride, &found);
    const jint value = found;
    env->SetIntArrayRegion(here, 0, 1, &value);
    return code;
}

}  // extern "C"
