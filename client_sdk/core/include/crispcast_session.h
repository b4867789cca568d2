/* Crispcast session: what every client of a stream needs, without any I/O of its own.
 *
 * A session takes what comes (control messages, pieces of assets, decoded LR frames) and says what
 * is to be done (send this text, look for that asset, decode this picture). It keeps the manifest,
 * the patch maps, plans and plates, knows which frame is which, and holds to one rule: the right
 * plan on the right frame, else interpolation. `docs/sdk-core.md` draws its state machine.
 *
 * How to use it
 *
 *     crispcast_session_options options = {0};
 *     crispcast_session session;
 *     crispcast_session_create(&options, &session);
 *     crispcast_session_connected(session);                  // the data channel is open
 *
 *     for each text message:    crispcast_session_message(session, text, size);
 *     for each binary message:  crispcast_session_frame_bytes(session, bytes, size);
 *     for each coded frame:     crispcast_session_coded(session, rtp_time, codec, bytes, size);
 *     for each decoded frame:   crispcast_session_upscale(session, &frame, &result);
 *
 *     after any of these, and now and then (every 500 ms is enough):
 *         crispcast_task task;
 *         while (crispcast_session_next_task(session, now_ms, &task) == CRISPCAST_OK &&
 *                task.kind != CRISPCAST_TASK_NONE)
 *             do_it(&task);                                  // each kind says how: see below
 *
 *     crispcast_session_destroy(session);
 *
 * Without a data channel: crispcast_session_manifest with the bytes of a manifest.json, and
 * options.delivery = CRISPCAST_DELIVERY_HTTP; each asset is then a task LOOK or FETCH.
 *
 * Whatever fails, the video goes on: a call to crispcast_session_upscale that gives an error has
 * written nothing, and the app shows the LR frame. No bytes from the network can do more than that.
 *
 * Ownership. A session is a number, not a pointer; 0 is none. Nothing keeps a pointer to the
 * caller's memory after a call returns. The pointers in a task are the session's, and valid until
 * the next crispcast_session_next_task or crispcast_session_destroy of that session.
 *
 * Threads. One thread at a time: an app calls a session from one queue. A call that comes while
 * another is inside is refused with CRISPCAST_ERROR_BUSY and changes nothing. Different sessions
 * are independent. A call after crispcast_session_destroy gives CRISPCAST_ERROR_CLOSED, from any
 * thread, and so does a second destroy. crispcast_session_upscale is the only call that takes
 * longer than a few milliseconds.
 *
 * Memory. Assets behind the play are let go of. options.memory_limit bounds what is held ahead of
 * it: once that is passed, only the segment that plays and the one after it are asked for.
 *
 * Results. Every call gives CRISPCAST_OK (0), a crispcast_status (crispcast.h) or a
 * crispcast_session_status (below); crispcast_session_sentence explains them all, and
 * crispcast_session_why says what exactly was wrong in the last call that failed. No function
 * throws, prints, exits or reads a clock.
 */
#ifndef CRISPCAST_SESSION_H
#define CRISPCAST_SESSION_H

#include "crispcast.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A session; 0 is none. Numbers of sessions that were destroyed are refused for ever after. */
typedef uint32_t crispcast_session;

/* Most sessions at once in a process. */
#define CRISPCAST_MAX_SESSIONS 64
/* Longest control message, in bytes (docs/control.md). */
#define CRISPCAST_MAX_MESSAGE_BYTES 16384
/* Longest piece of an asset on the data channel, in bytes. */
#define CRISPCAST_MAX_ASSET_FRAME_BYTES 16384
/* Largest manifest, in bytes. */
#define CRISPCAST_MAX_MANIFEST_BYTES (32u << 20)
/* Bytes of a SHA-256 as text, with the 0 after it. */
#define CRISPCAST_SHA256_TEXT 65
/* Bytes of the identity of a frame: docs/frame-identity.md. */
#define CRISPCAST_IDENTITY_BYTES 29
/* Longest text that crispcast_session_why writes, with the 0 after it. */
#define CRISPCAST_WHY_BYTES 400

/* What a call gives beside crispcast_status. */
typedef enum crispcast_session_status {
    CRISPCAST_ERROR_CLOSED = 100,        /* no such session: it was destroyed, or never made */
    CRISPCAST_ERROR_BUSY = 101,          /* another thread is inside this session */
    CRISPCAST_ERROR_SESSIONS = 102,      /* CRISPCAST_MAX_SESSIONS are open */
    CRISPCAST_ERROR_NO_MANIFEST = 103,   /* the manifest is not here yet */
    CRISPCAST_ERROR_MANIFEST = 104,      /* the manifest is refused; `why` says what is wrong */
    CRISPCAST_ERROR_HAS_MANIFEST = 105,  /* there is a manifest already, and this is another */
    CRISPCAST_ERROR_MESSAGE = 106,       /* not a control message that a server may send */
    CRISPCAST_ERROR_ASSET_FRAME = 107,   /* not a piece of an asset, or not as announced */
    CRISPCAST_ERROR_ASSET_UNKNOWN = 108, /* an asset that was not asked for */
    CRISPCAST_ERROR_ASSET_DAMAGED = 109, /* an asset whose SHA-256 or size is another */
    CRISPCAST_ERROR_MOTION = 110,        /* a motion record is damaged or of other frames */
    CRISPCAST_ERROR_PICTURE = 111,       /* a picture is not of the size that was asked for */
    CRISPCAST_ERROR_FRAME_SIZE = 112,    /* an LR frame of a size that its rung has not: show it */
    CRISPCAST_ERROR_FRAME_NUMBER = 113,  /* a frame number outside the video */
    CRISPCAST_ERROR_RUNG = 114,          /* no such rung */
    CRISPCAST_ERROR_CHANNEL = 115,       /* a channel: there is no seeking in it */
    CRISPCAST_ERROR_NO_FRAME = 116,      /* no frame was placed or upscaled yet */
    CRISPCAST_ERROR_OVER = 117,          /* the play has failed; make a new session */
    CRISPCAST_ERROR_ASSET_LOST = 118,    /* an asset came neither by the channel nor by HTTP */
    CRISPCAST_ERROR_UNTRUSTED = 119,     /* the manifest is not known to be signed by one of
                                            options.trust: nothing that it names is used */
    CRISPCAST_ERROR_KEYS = 120           /* options.trust is not as it must be */
} crispcast_session_status;

/* One English sentence for a result of any call here or in crispcast.h: what was wrong and what to
 * do. Never NULL, never freed. */
CRISPCAST_API const char* crispcast_session_sentence(int32_t status);

/* ---- life -------------------------------------------------------------------------------- */

/* The way by which assets are asked for first; where it fails, the other is tried. */
typedef enum crispcast_delivery {
    CRISPCAST_DELIVERY_AUTO = 0,    /* large assets (`http_from`) by HTTP, others by the channel */
    CRISPCAST_DELIVERY_CHANNEL = 1, /* by the data channel only; there are no tasks FETCH */
    CRISPCAST_DELIVERY_HTTP = 2     /* by HTTP; the channel only where that failed */
} crispcast_delivery;

/* How to play. Zero-initialise it: zero is the default of every field. */
typedef struct crispcast_session_options {
    int32_t threads;       /* of the engine: 0 = one per core, else 1...CRISPCAST_MAX_THREADS */
    const char* isa;       /* as crispcast_engine_create; NULL: the best */
    int32_t delivery;      /* a crispcast_delivery */
    int32_t cache;         /* 1: the app has a cache of assets: tasks LOOK and STORE */
    int32_t plain;         /* 1: no super-resolution: ask for no assets, interpolate all */
    int32_t loops;         /* 1: the first segment follows the last */
    int32_t offline;       /* 1: the app gives the assets by itself, with crispcast_session_asset:
                              none is asked for, and none is let go of */
    double horizon;        /* seconds ahead for which assets are asked for; 0 = 30; at most 600 */
    uint64_t memory_limit; /* bytes of assets, prepared or on their way; 0 = 512 MiB */
    const char* trust;     /* public keys, "ed25519:" and 64 hexadecimal digits each, 1 to 8 with
                              blanks between: nothing is super-resolved unless one of them signed
                              the manifest (docs/signing.md). NULL: signatures are not asked for */
    uint32_t http_from;    /* bytes from which on CRISPCAST_DELIVERY_AUTO prefers HTTP; 0 = 64 KiB;
                              UINT32_MAX: only what the channel does not bring */
} crispcast_session_options;

/* Makes a session. `options` NULL: all defaults. On failure *session is 0. Gives also what
 * crispcast_engine_create gives. */
CRISPCAST_API int32_t crispcast_session_create(const crispcast_session_options* options,
                                               crispcast_session* session);

/* Ends a session and frees all that it has. CRISPCAST_ERROR_BUSY while a call is inside: the
 * session is still there. 0 is allowed and does nothing. */
CRISPCAST_API int32_t crispcast_session_destroy(crispcast_session session);

/* Writes what was wrong in the last call of this session that failed, as one sentence with a 0 at
 * its end, UTF-8, cut to whole characters in `capacity` bytes; an empty one where none failed. */
CRISPCAST_API int32_t crispcast_session_why(crispcast_session session, char* text, size_t capacity);

/* The manifest of a package that did not come over a data channel, and the rung to begin with.
 * It is checked whole: docs/manifest.md. An app may give it before it connects; what the server
 * plays must then be the same, and a signature that the server announces counts for it too. */
CRISPCAST_API int32_t crispcast_session_manifest(crispcast_session session, const void* bytes,
                                                 size_t size, int32_t rung);

/* The same of a signed manifest: `signature` is the text of its manifest.sig, or of the header
 * Crispcast-Signature, without a line break. NULL: it is not known. */
CRISPCAST_API int32_t crispcast_session_signed_manifest(crispcast_session session,
                                                        const void* bytes, size_t size,
                                                        const char* signature, int32_t rung);

/* A data channel is open, the first or, after a loss, another one: a task SEND with `hello`
 * follows, and once the manifest is here the play goes on where it was. What was asked for on the
 * one before, by either way, is asked for again, from where it stopped. */
CRISPCAST_API int32_t crispcast_session_connected(crispcast_session session);

/* The connection is lost or closed, and all frames that came by it were given. Frames that come
 * before the next one's manifest are then known to be of no use: they are not shown. *over: 1 where
 * the last frame of the video was shown, so that there is nothing to connect again for. */
CRISPCAST_API int32_t crispcast_session_disconnected(crispcast_session session, int32_t* over);

/* ---- what comes -------------------------------------------------------------------------- */

/* A text message of the data channel: JSON, docs/control.md. CRISPCAST_ERROR_MESSAGE: it is passed
 * over, and nothing else changes. */
CRISPCAST_API int32_t crispcast_session_message(crispcast_session session, const void* text,
                                                size_t size);

/* A binary message of the data channel: a piece of an asset, or of the manifest. An asset counts
 * once it is whole and its hash is right; one that came damaged is asked for once more. */
CRISPCAST_API int32_t crispcast_session_frame_bytes(crispcast_session session, const void* bytes,
                                                    size_t size);

/* A piece of an asset from `offset` on, which a task FETCH asked for. Pieces come in order; what is
 * there already is passed over. sha256: 64 lower-case hexadecimal digits and a 0. */
CRISPCAST_API int32_t crispcast_session_piece(crispcast_session session, const char* sha256,
                                              uint64_t offset, const void* bytes, size_t size);

/* A whole asset, from the app's cache (the answer to LOOK) or a package on disk. Assets that no
 * segment needs, or that are damaged, are refused; a damaged one of the cache is then fetched. */
CRISPCAST_API int32_t crispcast_session_asset(crispcast_session session, const char* sha256,
                                              const void* bytes, size_t size);

/* The cache does not hold the asset of a task LOOK, or the FETCH of it has failed for good. */
CRISPCAST_API int32_t crispcast_session_lacks(crispcast_session session, const char* sha256);

/* The answer to DECODE: the samples of the picture, u8, `stride` bytes a row, copied. NULL: this
 * machine cannot decode it, or the bytes are no picture; the asset is refused. */
CRISPCAST_API int32_t crispcast_session_picture(crispcast_session session, const char* sha256,
                                                const uint8_t* samples, ptrdiff_t stride,
                                                int32_t width, int32_t height);

/* The answer to BASE, or a base given ahead: the wire plan of the shipped base whose id (the first
 * 32 of the digits of its SHA-256, and a 0) this is; its hash is checked. NULL: there is none. */
CRISPCAST_API int32_t crispcast_session_base(crispcast_session session, const char* id,
                                             const void* bytes, size_t size);

/* The answer to VERIFY, now or later: `question` is the task's `count`; `answer` 1: the signature
 * is right, 0: it is not, -1: this machine cannot tell, and nothing is trusted. Until it is 1
 * nothing that the manifest names is asked for, taken or used. An answer to what is no longer asked
 * is passed over. */
CRISPCAST_API int32_t crispcast_session_verified(crispcast_session session, int64_t question,
                                                 int32_t answer);

/* ---- what is to be done ------------------------------------------------------------------ */

typedef enum crispcast_task_kind {
    CRISPCAST_TASK_NONE = 0,

    /* Send `bytes` (UTF-8, `size` of them) as a text message on the data channel. */
    CRISPCAST_TASK_SEND = 1,
    /* Look for the asset `sha256` of `total` bytes in the cache. Answer with
     * crispcast_session_asset or crispcast_session_lacks, now or later. */
    CRISPCAST_TASK_LOOK = 2,
    /* GET /assets/{sha256} from `offset` on, `total` bytes in all. Answer with
     * crispcast_session_piece as bytes come, and crispcast_session_lacks where it fails, or the app
     * gives it up: the session waits for one of the two. Of a connection that is over, what came of
     * it is of use and that it failed is not: once the next one is open, say no more of that. */
    CRISPCAST_TASK_FETCH = 3,
    /* Put `bytes` into the cache as the asset `sha256`: whole, and its hash is right. No answer. */
    CRISPCAST_TASK_STORE = 4,
    /* Decode the monochrome full-range AVIF `bytes` to exactly width x height samples u8; read the
     * size before decoding, and refuse another. Answer with crispcast_session_picture. */
    CRISPCAST_TASK_DECODE = 5,
    /* A plan is a difference to the shipped base `id`. Answer with crispcast_session_base. */
    CRISPCAST_TASK_BASE = 6,
    /* Check a signature of Ed25519 (RFC 8032) by a library or the platform: `bytes` are a public
     * key, 32; a signature, 64; and the message, the rest. Answer with crispcast_session_verified
     * and `count`. Comes with options.trust only, once for each key until one fits. */
    CRISPCAST_TASK_VERIFY = 7,

    /* For the app to know; no answer. */
    CRISPCAST_TASK_MANIFEST = 20, /* the manifest is here: crispcast_session_info works now;
                                     `bytes`: as it came */
    CRISPCAST_TASK_READY = 21,    /* all that `segment` of `rung` needs is prepared, or refused; the
                                     play begins (a SEND of `resume` comes with it, but in a pause,
                                     of which the server heard when the session JOINED) */
    CRISPCAST_TASK_LATE = 22,     /* `segment` of `rung` begins, and `count` of its assets are not
                                     here: what they are for is interpolated until they are */
    CRISPCAST_TASK_REFUSED = 23,  /* the asset `sha256` is refused for good: `status`, `text` */
    CRISPCAST_TASK_NOT_DONE = 24, /* the server does not do what was asked: `text`; all goes on */
    CRISPCAST_TASK_ENDED = 25,    /* the video is over; `count` frames were sent, or -1 */
    CRISPCAST_TASK_LOST = 26,     /* the server goes, and may come again: connect anew */
    CRISPCAST_TASK_FAILED = 27,   /* the play cannot go on: `status`, `text` */
    CRISPCAST_TASK_UNTRUSTED = 28, /* the manifest is not signed by one of options.trust: `status`,
                                      `text`; the video plays on, interpolated */
    CRISPCAST_TASK_JOINED = 29     /* this connection plays what the manifest says: the play begins,
                                      or goes on; `frame`: where a channel is, -1: it is none */
} crispcast_task_kind;

typedef struct crispcast_task {
    int32_t kind;                       /* a crispcast_task_kind; fields that it does not name: 0 */
    int32_t status;                     /* as calls give it */
    char sha256[CRISPCAST_SHA256_TEXT]; /* an asset, as text */
    char id[33];                        /* a base, as text */
    const uint8_t* bytes;               /* the session's, until the next task */
    size_t size;                        /* of `bytes` */
    const char* text;                   /* one sentence with a 0 at its end; never NULL */
    uint64_t offset;                    /* in bytes of the asset */
    uint64_t total;                     /* bytes of the whole asset */
    int32_t width, height;              /* in samples */
    int32_t rung, segment;              /* for which the asset is needed first */
    int64_t frame;                      /* the frame number by which it is needed; -1: none */
    int64_t count;
} crispcast_task;

/* The next thing to do, the most urgent first; CRISPCAST_TASK_NONE: nothing for now. `now_ms`:
 * milliseconds of any clock that does not jump; a data channel that brings nothing for 4 s of it is
 * taken for stuck, and what was asked of it is asked by HTTP. */
CRISPCAST_API int32_t crispcast_session_next_task(crispcast_session session, int64_t now_ms,
                                                  crispcast_task* task);

/* ---- what the app wants ------------------------------------------------------------------ */

/* Go on at `frame`: frames that only lead there are not shown. */
CRISPCAST_API int32_t crispcast_session_seek(crispcast_session session, int64_t frame);
/* 1: the server sends nothing until 0. */
CRISPCAST_API int32_t crispcast_session_pause(crispcast_session session, int32_t on);
/* 1: begin again at the end. */
CRISPCAST_API int32_t crispcast_session_loop(crispcast_session session, int32_t on);
/* Play this rung from the next segment on; -1: whichever the server sees fit. */
CRISPCAST_API int32_t crispcast_session_choose_rung(crispcast_session session, int32_t rung);
/* Tell the server how it goes, every few seconds: milliseconds that a frame with networks takes
 * (median), frames shown a second, and 1 where networks were too slow and are given up for now. */
CRISPCAST_API int32_t crispcast_session_report(crispcast_session session, double upscale_ms,
                                               double fps, int32_t interpolating);
/* Say goodbye; do the tasks that follow, then close the connection and destroy the session. */
CRISPCAST_API int32_t crispcast_session_leave(crispcast_session session);

/* ---- facts ------------------------------------------------------------------------------- */

typedef struct crispcast_session_info {
    int32_t width, height; /* HR luma as shown: that of the source */
    int32_t fps_numerator, fps_denominator;
    int64_t frames; /* of the video */
    int32_t rungs, segments;
    int64_t live;                        /* a channel: the frame that it was at; else -1 */
    int32_t full_range;                  /* 1: samples are 0...255, 0: 16...235 and 16...240 */
    int32_t primaries, transfer, matrix; /* ITU-T H.273; 2 = unspecified */
    char package[17];                    /* its id, 16 hexadecimal digits */
    const char* isa;                     /* the engine's instruction set; never freed */
    int32_t adapts;                      /* 1: the server can choose rungs by itself */
} crispcast_session_info;

/* CRISPCAST_ERROR_NO_MANIFEST before the manifest is here. */
CRISPCAST_API int32_t crispcast_session_get_info(crispcast_session session,
                                                 crispcast_session_info* info);

typedef struct crispcast_rung_info {
    int32_t width, height;               /* LR luma */
    int32_t scale;                       /* 1, 2, 3 or 4 */
    int32_t padded_width, padded_height; /* scale * LR: what the engine makes, before the crop */
    int32_t av1;                         /* 1: AV1, 0: H.264 */
    char name[33];
} crispcast_rung_info;

CRISPCAST_API int32_t crispcast_session_get_rung(crispcast_session session, int32_t rung,
                                                 crispcast_rung_info* info);

/* Counts since the session was made. */
typedef struct crispcast_session_figures {
    uint64_t frames;       /* shown */
    uint64_t frames_sr;    /* of them super-resolved */
    uint64_t late_assets;  /* that a segment began without */
    uint64_t asset_bytes;  /* that came by channel or HTTP */
    uint64_t cached_bytes; /* that came from the cache */
    uint64_t refused_assets;
    uint64_t wrong_messages; /* messages and pieces that were passed over */
    uint64_t memory_bytes;   /* held by assets now, prepared or on their way */
    uint64_t frames_lost;    /* that never came, by the numbers of those that did */
} crispcast_session_figures;

CRISPCAST_API int32_t crispcast_session_get_figures(crispcast_session session,
                                                    crispcast_session_figures* figures);

/* Whether all that `segment` of `rung` needs is prepared or refused: *ready is 1 or 0. */
CRISPCAST_API int32_t crispcast_session_ready(crispcast_session session, int32_t rung,
                                              int32_t segment, int32_t* ready);

/* The segment that holds the frame number. */
CRISPCAST_API int32_t crispcast_session_segment_of(crispcast_session session, int64_t frame,
                                                   int32_t* segment);

/* ---- frames ------------------------------------------------------------------------------ */

/* RTP times are 32 bits at 90 kHz, and may wrap around. */

typedef enum crispcast_codec { CRISPCAST_CODEC_H264 = 0, CRISPCAST_CODEC_AV1 = 1 } crispcast_codec;

/* An app that sees coded frames (an encoded transform, a frame decryptor) gives them here before
 * they are decoded: an Annex B access unit, or a temporal unit of AV1. Reads the identity in it, if
 * there is one; safe on any bytes. Not needed where the server's `anchor` messages come through. */
CRISPCAST_API int32_t crispcast_session_coded(crispcast_session session, uint32_t rtp_time,
                                              int32_t codec, const void* bytes, size_t size);

/* The same where the decoder hands out user_data_unregistered SEI: `payload` is the UUID and what
 * follows it, CRISPCAST_IDENTITY_BYTES of ours. Others are passed over. */
CRISPCAST_API int32_t crispcast_session_identify(crispcast_session session, uint32_t rtp_time,
                                                 const void* payload, size_t size);

typedef enum crispcast_frame_flags {
    CRISPCAST_FRAME_INTERPOLATE = 1, /* no networks for this frame: the machine is too slow */
    CRISPCAST_FRAME_PADDED = 2,      /* `out` has room for the padded size (crispcast_rung_info):
                                        the whole of it is written, and nothing is copied */
    CRISPCAST_FRAME_NUMBERED = 4,    /* `number` and `rung` say which frame it is, and it is shown;
                                        number -1: not known. `rtp_time` is not read */
    CRISPCAST_FRAME_FOR_BACKEND = 8  /* another backend makes the luma of the patches that have a
                                        network: here all luma is interpolated. Chroma is whole,
                                        with what plates have of it, and the result as ever */
} crispcast_frame_flags;

/* A decoded LR frame in, an HR frame out: I420, u8. Zero-initialise it. */
typedef struct crispcast_session_frame {
    uint32_t rtp_time;
    int32_t flags;                  /* crispcast_frame_flags, or-ed */
    int64_t number;                 /* with CRISPCAST_FRAME_NUMBERED */
    int32_t rung;                   /* likewise */
    int32_t width, height;          /* LR luma */
    crispcast_plane in[3];          /* Y, U, V; U and V of ceil(width/2) x ceil(height/2) */
    crispcast_mutable_plane out[3]; /* of crispcast_session_info's size; must not overlap `in` */
    int32_t columns; /* LR columns from the left that are interpolated, to show what networks make
                        of the others; 0: none */
} crispcast_session_frame;

typedef struct crispcast_session_result {
    int64_t frame; /* frame number; -1: not known */
    int32_t rung;
    int32_t segment; /* -1: not known */
    int32_t shown;   /* 0: it only leads to a frame that was sought; `out` is not written */
    int32_t landed;  /* 1: it is the first that is shown after a seek */
    int32_t
        super_resolved; /* 1: a network made some of it and no plan that it wanted was missing */
    int32_t late;       /* 1: something that its segment needs was not here in time */
    int32_t follows;    /* 1: the frame before it in its segment was the one before this call */
    int32_t missing;    /* assets of its segment that are not here; 0 where not known */
} crispcast_session_result;

/* Whether the pixels of the frame with that RTP time are wanted: *wanted 0 where it only leads to
 * a frame that was sought, and that one does not look back at it. An app that takes its time to
 * read pixels asks first, and gives crispcast_session_upscale NULL for the planes of such a frame.
 */
CRISPCAST_API int32_t crispcast_session_wants(crispcast_session session, uint32_t rtp_time,
                                              int32_t* wanted);

/* Makes the HR frame, with what is here of the frame's segment; the rest is interpolated. Decoded
 * frames come in the order in which they are shown. On an error `out` is not written: show the LR.
 */
CRISPCAST_API int32_t crispcast_session_upscale(crispcast_session session,
                                                const crispcast_session_frame* frame,
                                                crispcast_session_result* result);

/* The same without pixels, for an engine of the app's own, which has no chroma of plates: says
 * which frame it is and whether it is shown, and moves the play on. Of `frame`, `in` and `out` are
 * not read. `super_resolved` says whether all plans that the frame wants are here; `late` as above.
 * Each frame goes through this call or crispcast_session_upscale, not through both. */
CRISPCAST_API int32_t crispcast_session_place(crispcast_session session,
                                              const crispcast_session_frame* frame,
                                              crispcast_session_result* result);

/* ---- for another backend (Core ML, NNAPI): what the last frame is made of ------------------ */

/* After crispcast_session_upscale with CRISPCAST_FRAME_FOR_BACKEND, or crispcast_session_place. */

/* The patches of its segment, as crispcast_patch_map_decode gives them; *count 0: the patch map is
 * not here, interpolate all. A patch whose expert has no plan here is interpolated too. */
CRISPCAST_API int32_t crispcast_session_patches(crispcast_session session, crispcast_patch* patches,
                                                size_t capacity, size_t* count);

/* The hash of expert 1... of its segment's experts (the name of its plan), and whether the plan is
 * here and prepared. CRISPCAST_ERROR_EXPERT beyond the last. */
CRISPCAST_API int32_t crispcast_session_expert(crispcast_session session, int32_t expert,
                                               char sha256[CRISPCAST_SHA256_TEXT], int32_t* here);

/* The luma of its plate, of the padded HR size, or the view that it has of its canvas; code 128
 * where nothing lies. *here: 0 where there is no plate at all, and nothing is written. */
CRISPCAST_API int32_t crispcast_session_plate(crispcast_session session, uint8_t* luma,
                                              ptrdiff_t stride, int32_t* here);

#ifdef __cplusplus
}
#endif
#endif
