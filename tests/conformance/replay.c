/* Plays recordings of the conformance suite through the SDK core: `replay FOLDER CASE...`.
 *
 * Each step is done, its tasks are done as an app does them, and what came of it must be what the
 * recording says, to the last bit of every plane. Prints "CASE ok" or what differs, and gives 1
 * where anything does. With `-i ISA` another instruction set makes the planes, which may then be
 * one code off. With `-b` an engine here makes the luma, as an app's own backend does; with `-p`
 * the session only places frames for it, and chroma is not looked at. The format of recordings:
 * docs/sdk-core.md. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crispcast_session.h"

enum { MAX_LINE = 16384, MAX_ASKED = 256, MAX_KEPT = 256, MAX_SIGNED = 8 };

struct bytes {
    const unsigned char* data;
    size_t size;
};

/* An asset in the cache, a picture as it decodes, or a shipped base. */
struct kept {
    char name[CRISPCAST_SHA256_TEXT];
    unsigned char* data;
    size_t size;
    int width, height;
};

struct play {
    const char* name;
    int line;
    int failed;
    const char* isa;
    crispcast_engine* engine; /* of `-b` and `-p`; NULL: the session upscales */
    int only_places;          /* `-p` */
    unsigned char* before;    /* LR luma of the frame before, for `engine` */
    struct bytes fixtures;
    crispcast_session session;
    crispcast_session_info info;
    struct bytes
        signatures[MAX_SIGNED]; /* that are right, each after its key, before its message */
    int signed_count;
    struct kept cache[MAX_KEPT], pictures[MAX_KEPT], bases[MAX_KEPT];
    int cached, pictured, based;
    char asked[MAX_ASKED][17];
    int asked_count;
};

static void differ(struct play* play, const char* what, const char* wanted, const char* found) {
    printf("%s:%d: %s is %s, not %s\n", play->name, play->line, what, found, wanted);
    play->failed = 1;
}

static void differ_number(struct play* play, const char* what, long long wanted, long long found) {
    char a[32], b[32];
    snprintf(a, sizeof a, "%lld", wanted);
    snprintf(b, sizeof b, "%lld", found);
    if (wanted != found) differ(play, what, a, b);
}

static unsigned char* read_file(const char* path, size_t* size) {
    FILE* file = fopen(path, "rb");
    unsigned char* data = NULL;
    *size = 0;
    if (file == NULL) {
        fprintf(stderr, "replay: cannot read %s\n", path);
        exit(2);
    }
    for (;;) {
        data = realloc(data, *size + 65536);
        if (data == NULL) exit(2);
        const size_t count = fread(data + *size, 1, 65536, file);
        *size += count;
        if (count == 0) break;
    }
    fclose(file);
    return data;
}

/* ---- lines: flat JSON objects that our own recorder wrote ---------------------------------- */

/* Where the value of a field begins, or NULL. */
static const char* field(const char* line, const char* key) {
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char* at = strstr(line, quoted);
    return at == NULL ? NULL : at + strlen(quoted);
}

static long long number(const char* line, const char* key, long long otherwise) {
    const char* at = field(line, key);
    return at == NULL ? otherwise : strtoll(at, NULL, 10);
}

static int has_text(const char* line, const char* key, const char* text) {
    const char* at = field(line, key);
    const size_t size = strlen(text);
    return at != NULL && at[0] == '"' && strncmp(at + 1, text, size) == 0 && at[size + 1] == '"';
}

static void text_of(const char* line, const char* key, char* out, size_t capacity) {
    const char* at = field(line, key);
    size_t i = 0;
    if (at != NULL)
        for (++at; *at != '"' && *at != 0 && i + 1 < capacity; ++at) out[i++] = *at;
    out[i] = 0;
}

/* The bytes of a step: in the fixtures, or the object that the line holds as `text`. */
static struct bytes bytes_of(const struct play* play, const char* line) {
    const char* text = field(line, "text");
    struct bytes out = {NULL, 0};
    if (text != NULL) {
        out.data = (const unsigned char*)text;
        out.size = (size_t)(strchr(text, '}') + 1 - text);
        return out;
    }
    const size_t at = (size_t)number(line, "at", 0);
    out.size = (size_t)number(line, "size", 0);
    if (at + out.size > play->fixtures.size) {
        fprintf(stderr, "replay: %s:%d leads beyond the fixtures\n", play->name, play->line);
        exit(2);
    }
    out.data = play->fixtures.data + at;
    return out;
}

static struct kept* find(struct kept* kept, int count, const char* name) {
    for (int i = 0; i < count; ++i)
        if (strcmp(kept[i].name, name) == 0) return &kept[i];
    return NULL;
}

static void keep(struct kept* kept, int* count, const char* name, const void* data, size_t size) {
    if (find(kept, *count, name) != NULL || *count == MAX_KEPT) return;
    struct kept* made = &kept[(*count)++];
    snprintf(made->name, sizeof made->name, "%s", name);
    made->data = malloc(size + 1);
    if (made->data == NULL) exit(2);
    memcpy(made->data, data, size);
    made->size = size;
}

/* ---- tasks: what an app does ---------------------------------------------------------------- */

/* Notes what a `want` asks for. Other messages go to a server that is not there. */
static void take_sent(struct play* play, const char* text, size_t size) {
    static const char key[] = "{\"sha256\":\"";
    if (size < 14 || strncmp(text, "{\"type\":\"want\"", 14) != 0) return;
    for (size_t i = 0; i + sizeof key + 15 < size; ++i) {
        if (strncmp(text + i, key, sizeof key - 1) != 0 || play->asked_count == MAX_ASKED) continue;
        memcpy(play->asked[play->asked_count], text + i + sizeof key - 1, 16);
        play->asked[play->asked_count++][16] = 0;
    }
}

/* In the place of Ed25519: a signature is right where the recording has it. */
static int is_signed(const struct play* play, const crispcast_task* task) {
    for (int i = 0; i < play->signed_count; ++i)
        if (play->signatures[i].size == task->size &&
            memcmp(play->signatures[i].data, task->bytes, task->size) == 0)
            return 1;
    return 0;
}

static void do_task(struct play* play, const crispcast_task* task) {
    const struct kept* found;
    switch (task->kind) {
        case CRISPCAST_TASK_SEND:
            take_sent(play, (const char*)task->bytes, task->size);
            break;
        case CRISPCAST_TASK_LOOK:
            found = find(play->cache, play->cached, task->sha256);
            if (found != NULL)
                crispcast_session_asset(play->session, task->sha256, found->data, found->size);
            else
                crispcast_session_lacks(play->session, task->sha256);
            break;
        case CRISPCAST_TASK_STORE:
            keep(play->cache, &play->cached, task->sha256, task->bytes, task->size);
            break;
        case CRISPCAST_TASK_DECODE:
            found = find(play->pictures, play->pictured, task->sha256);
            if (found != NULL)
                crispcast_session_picture(play->session, task->sha256, found->data, found->width,
                                          found->width, found->height);
            else
                crispcast_session_picture(play->session, task->sha256, NULL, 0, 0, 0);
            break;
        case CRISPCAST_TASK_BASE:
            found = find(play->bases, play->based, task->id);
            crispcast_session_base(play->session, task->id, found == NULL ? NULL : found->data,
                                   found == NULL ? 0 : found->size);
            break;
        case CRISPCAST_TASK_VERIFY:
            crispcast_session_verified(play->session, task->count, is_signed(play, task));
            break;
        case CRISPCAST_TASK_MANIFEST:
            crispcast_session_get_info(play->session, &play->info);
            break;
        case CRISPCAST_TASK_FETCH:
            differ(play, "a task", "of the channel", "FETCH");
            break;
        case CRISPCAST_TASK_FAILED:
            differ(play, "the play", "going on", task->text);
            break;
        default:
            break; /* to know, or to show */
    }
}

static void do_tasks(struct play* play) {
    crispcast_task task;
    for (;;) {
        if (crispcast_session_next_task(play->session, play->line, &task) != CRISPCAST_OK ||
            task.kind == CRISPCAST_TASK_NONE)
            return;
        do_task(play, &task);
    }
}

/* What was asked for since the last step, in its order. */
static void check_asked(struct play* play, const char* line) {
    char wanted[MAX_LINE] = "", found[MAX_LINE] = "";
    const char* at = field(line, "asked");
    if (at != NULL) snprintf(wanted, sizeof wanted, "%.*s", (int)(strchr(at, ']') + 1 - at), at);
    size_t used = 0;
    for (int i = 0; i < play->asked_count; ++i)
        used += (size_t)snprintf(found + used, sizeof found - used, "%s\"%s\"", i == 0 ? "[" : ",",
                                 play->asked[i]);
    if (used != 0) snprintf(found + used, sizeof found - used, "]");
    if (strcmp(wanted, found) != 0) differ(play, "what was asked for", wanted, found);
    play->asked_count = 0;
}

/* ---- planes --------------------------------------------------------------------------------- */

/* Every sample is the recorded one. */
static void check_planes(struct play* play, size_t at, const unsigned char* planes, size_t size) {
    const int most = play->isa == NULL ? 0 : 1;
    int farthest = 0;
    if (at + size > play->fixtures.size) {
        differ(play, "the planes", "in the fixtures", "beyond them");
        return;
    }
    for (size_t i = 0; i < size; ++i) {
        const int off = abs(planes[i] - play->fixtures.data[at + i]);
        if (off > farthest) farthest = off;
    }
    if (farthest > most) differ_number(play, "the farthest sample's distance", most, farthest);
}

/* ---- an engine of the app's own: what the session tells of the frame that it placed --------- */

static crispcast_plan* make_plan(const struct play* play, const char* sha256) {
    const struct kept* wire = find((struct kept*)play->cache, play->cached, sha256);
    crispcast_plan* plan = NULL;
    uint8_t id[CRISPCAST_BASE_ID_BYTES];
    int is_difference = 0;
    char text[2 * CRISPCAST_BASE_ID_BYTES + 1];
    const struct kept* base = NULL;
    if (wire == NULL) return NULL;
    crispcast_plan_base_id(wire->data, wire->size, id, &is_difference);
    for (int i = 0; i < CRISPCAST_BASE_ID_BYTES; ++i) snprintf(text + 2 * i, 3, "%02x", id[i]);
    for (int i = 0; is_difference && i < play->cached; ++i)
        if (strncmp(play->cache[i].name, text, sizeof text - 1) == 0) base = &play->cache[i];
    if (is_difference && base == NULL) base = find((struct kept*)play->bases, play->based, text);
    crispcast_plan_create_with_base(wire->data, wire->size, base == NULL ? NULL : base->data,
                                    base == NULL ? 0 : base->size, &plan);
    return plan;
}

/* Luma of the HR frame, cropped to the source's size, into `out`. */
static int32_t own_upscale(struct play* play, const crispcast_session_frame* frame,
                           const crispcast_session_result* result, unsigned char* out) {
    static crispcast_patch patches[4096];
    crispcast_plan* plans[CRISPCAST_MAX_EXPERTS] = {NULL};
    crispcast_rung_info rung;
    crispcast_frame_job job = {0};
    crispcast_plate* plate = NULL;
    size_t count = 0;
    int32_t here = 0;
    char sha256[CRISPCAST_SHA256_TEXT];
    crispcast_session_get_rung(play->session, result->rung, &rung);
    const int width = rung.padded_width, height = rung.padded_height;
    const size_t luma = (size_t)width * height;
    unsigned char* planes = malloc(luma + luma / 2);
    unsigned char* plate_luma = malloc(luma);
    if (planes == NULL || plate_luma == NULL) exit(2);
    job.width = rung.width;
    job.height = rung.height;
    job.scale = rung.scale;
    for (int i = 0; i < 3; ++i) job.in[i] = frame->in[i];
    job.out[0].data = planes;
    job.out[1].data = planes + luma;
    job.out[2].data = planes + luma + luma / 4;
    job.out[0].stride = width;
    job.out[1].stride = job.out[2].stride = width / 2;
    if (!(frame->flags & CRISPCAST_FRAME_INTERPOLATE)) {
        crispcast_session_patches(play->session, patches, 4096, &count);
        while (job.plan_count < CRISPCAST_MAX_EXPERTS &&
               crispcast_session_expert(play->session, (int32_t)job.plan_count + 1, sha256,
                                        &here) == CRISPCAST_OK)
            plans[job.plan_count++] = here ? make_plan(play, sha256) : NULL;
        crispcast_session_plate(play->session, plate_luma, width, &here);
        if (here) crispcast_plate_create(plate_luma, width, width, height, rung.scale, &plate);
        if (result->follows) job.previous.data = play->before;
    }
    job.previous.stride = rung.width;
    job.patches = count == 0 ? NULL : patches;
    job.patch_count = count;
    job.plans = (const crispcast_plan* const*)plans;
    if (count == 0) job.plan_count = 0;
    job.plate = plate;
    const int32_t status = crispcast_upscale(play->engine, &job);
    for (int y = 0; y < play->info.height; ++y)
        memcpy(out + (size_t)y * play->info.width, planes + (size_t)y * width,
               (size_t)play->info.width);
    for (int i = 0; i < CRISPCAST_MAX_EXPERTS; ++i) crispcast_plan_destroy(plans[i]);
    crispcast_plate_destroy(plate);
    free(plate_luma);
    free(planes);
    return status;
}

/* Gives a frame to the session, and makes its luma here where it is shown. */
static int32_t as_backend(struct play* play, crispcast_session_frame* frame,
                          crispcast_session_result* result, unsigned char* out) {
    frame->flags |= CRISPCAST_FRAME_FOR_BACKEND;
    int32_t status = play->only_places ? crispcast_session_place(play->session, frame, result)
                                       : crispcast_session_upscale(play->session, frame, result);
    if (status == CRISPCAST_OK && result->shown) status = own_upscale(play, frame, result, out);
    if (status != CRISPCAST_OK) return status;
    const size_t luma = (size_t)frame->width * frame->height;
    play->before = realloc(play->before, luma);
    if (play->before == NULL) exit(2);
    memcpy(play->before, frame->in[0].data, luma);
    return CRISPCAST_OK;
}

/* ---- steps ---------------------------------------------------------------------------------- */

static int32_t step_frame(struct play* play, const char* line) {
    const struct bytes in = bytes_of(play, line);
    crispcast_session_frame frame = {0};
    crispcast_session_result result;
    frame.rtp_time = (uint32_t)number(line, "rtp", 0);
    frame.flags = (int32_t)number(line, "flags", 0);
    frame.width = (int32_t)number(line, "width", 0);
    frame.height = (int32_t)number(line, "height", 0);
    frame.columns = (int32_t)number(line, "columns", 0);
    const int half_width = (frame.width + 1) / 2, half_height = (frame.height + 1) / 2;
    const size_t luma = (size_t)frame.width * frame.height,
                 chroma = (size_t)half_width * half_height;
    frame.in[0].data = in.data;
    frame.in[1].data = in.data + luma;
    frame.in[2].data = in.data + luma + chroma;
    frame.in[0].stride = frame.width;
    frame.in[1].stride = frame.in[2].stride = half_width;

    const int width = play->info.width, height = play->info.height;
    const size_t out_luma = (size_t)width * height;
    const size_t out_chroma = (size_t)((width + 1) / 2) * ((height + 1) / 2);
    const size_t size = out_luma + 2 * out_chroma;
    unsigned char* out = calloc(1, size + 1);
    if (out == NULL) exit(2);
    frame.out[0].data = out;
    frame.out[1].data = out + out_luma;
    frame.out[2].data = out + out_luma + out_chroma;
    frame.out[0].stride = width;
    frame.out[1].stride = frame.out[2].stride = (width + 1) / 2;

    const int32_t status = play->engine != NULL
                               ? as_backend(play, &frame, &result, out)
                               : crispcast_session_upscale(play->session, &frame, &result);
    if (status == CRISPCAST_OK) {
        const struct {
            const char* name;
            long long found;
        } facts[] = {{"number", result.frame},
                     {"rung", result.rung},
                     {"shown", result.shown},
                     {"landed", result.landed},
                     {"super_resolved", result.super_resolved},
                     {"late", result.late}};
        for (size_t i = 0; i < sizeof facts / sizeof facts[0]; ++i)
            if (field(line, facts[i].name) != NULL)
                differ_number(play, facts[i].name, number(line, facts[i].name, 0), facts[i].found);
        if (result.shown)
            check_planes(play, (size_t)number(line, "out", 0), out,
                         play->only_places ? out_luma : size);
    }
    free(out);
    return status;
}

static int32_t step(struct play* play, const char* line) {
    const struct bytes bytes = field(line, "at") != NULL || field(line, "text") != NULL
                                   ? bytes_of(play, line)
                                   : (struct bytes){NULL, 0};
    const uint32_t rtp = (uint32_t)number(line, "rtp", 0);
    char name[CRISPCAST_SHA256_TEXT], trust[1024];
    if (has_text(line, "do", "open")) {
        crispcast_session_options options = {0};
        options.threads = 1;
        options.isa = play->isa == NULL ? "portable" : play->isa;
        options.cache = 1;
        options.delivery = CRISPCAST_DELIVERY_CHANNEL;
        options.loops = (int32_t)number(line, "loops", 0);
        text_of(line, "trust", trust, sizeof trust);
        options.trust = trust[0] == 0 ? NULL : trust;
        return crispcast_session_create(&options, &play->session);
    }
    if (has_text(line, "do", "picture")) {
        text_of(line, "sha256", name, sizeof name);
        keep(play->pictures, &play->pictured, name, bytes.data, bytes.size);
        play->pictures[play->pictured - 1].width = (int)number(line, "width", 0);
        play->pictures[play->pictured - 1].height = (int)number(line, "height", 0);
        return CRISPCAST_OK;
    }
    if (has_text(line, "do", "base")) {
        text_of(line, "id", name, sizeof name);
        keep(play->bases, &play->based, name, bytes.data, bytes.size);
        return CRISPCAST_OK;
    }
    if (has_text(line, "do", "signature") && play->signed_count < MAX_SIGNED) {
        play->signatures[play->signed_count++] = bytes;
        return CRISPCAST_OK;
    }
    if (has_text(line, "do", "connected")) return crispcast_session_connected(play->session);
    if (has_text(line, "do", "message"))
        return crispcast_session_message(play->session, bytes.data, bytes.size);
    if (has_text(line, "do", "piece"))
        return crispcast_session_frame_bytes(play->session, bytes.data, bytes.size);
    if (has_text(line, "do", "identify"))
        return crispcast_session_identify(play->session, rtp, bytes.data, bytes.size);
    if (has_text(line, "do", "coded"))
        return crispcast_session_coded(play->session, rtp, (int32_t)number(line, "av1", 0),
                                       bytes.data, bytes.size);
    if (has_text(line, "do", "seek"))
        return crispcast_session_seek(play->session, number(line, "frame", 0));
    if (has_text(line, "do", "frame")) return step_frame(play, line);
    differ(play, "a step", "one that there is", line);
    return CRISPCAST_OK;
}

static void forget(struct kept* kept, int count) {
    for (int i = 0; i < count; ++i) free(kept[i].data);
}

/* Gives 1 where anything differs. */
static int play_case(const char* folder, const char* name, struct bytes fixtures, const char* isa,
                     crispcast_engine* engine, int only_places) {
    char path[4096];
    static char line[MAX_LINE];
    struct play* play = calloc(1, sizeof *play);
    if (play == NULL) exit(2);
    play->name = name;
    play->fixtures = fixtures;
    play->isa = isa;
    play->engine = engine;
    play->only_places = only_places;
    snprintf(path, sizeof path, "%s/%s.jsonl", folder, name);
    FILE* file = fopen(path, "r");
    if (file == NULL) {
        fprintf(stderr, "replay: cannot read %s\n", path);
        exit(2);
    }
    while (fgets(line, sizeof line, file) != NULL) {
        ++play->line;
        const int32_t status = step(play, line);
        const int refused = (int)number(line, "refused", 0);
        if (refused != (status != CRISPCAST_OK)) {
            char why[CRISPCAST_WHY_BYTES];
            crispcast_session_why(play->session, why, sizeof why);
            differ(play, "the step", refused ? "refused" : "done", refused ? "done" : why);
        }
        do_tasks(play);
        check_asked(play, line);
    }
    fclose(file);
    if (crispcast_session_destroy(play->session) != CRISPCAST_OK ||
        crispcast_session_destroy(play->session) != CRISPCAST_ERROR_CLOSED)
        differ(play, "the session", "destroyed once", "another");
    forget(play->cache, play->cached);
    forget(play->pictures, play->pictured);
    forget(play->bases, play->based);
    free(play->before);
    const int failed = play->failed;
    free(play);
    if (!failed) printf("%s ok\n", name);
    return failed;
}

int main(int argc, char** argv) {
    const char* isa = NULL;
    crispcast_engine* engine = NULL;
    int at = 1, failed = 0, only_places = 0;
    for (; at < argc && argv[at][0] == '-'; ++at) {
        if (strcmp(argv[at], "-i") == 0 && at + 1 < argc)
            isa = argv[++at];
        else if (strcmp(argv[at], "-b") == 0 || strcmp(argv[at], "-p") == 0) {
            only_places = argv[at][1] == 'p';
            crispcast_engine_create(1, "portable", &engine);
        }
    }
    if (at + 2 > argc) {
        fprintf(stderr, "usage: replay [-i ISA] [-b | -p] FOLDER CASE...\n");
        return 2;
    }
    const char* folder = argv[at++];
    char path[4096];
    snprintf(path, sizeof path, "%s/fixtures.bin", folder);
    struct bytes fixtures;
    unsigned char* data = read_file(path, &fixtures.size);
    fixtures.data = data;
    for (; at < argc; ++at)
        failed |= play_case(folder, argv[at], fixtures, isa, engine, only_places);
    crispcast_engine_destroy(engine);
    free(data);
    return failed;
}
