// The sentence of every result, in one table.
#include "crispcast_session.h"

const char* crispcast_session_sentence(int32_t status) {
    if (status < CRISPCAST_ERROR_CLOSED) return crispcast_status_sentence(crispcast_status(status));
    switch (crispcast_session_status(status)) {
        case CRISPCAST_ERROR_CLOSED:
            return "there is no such session: it was destroyed or never made; make a new one";
        case CRISPCAST_ERROR_BUSY:
            return "another thread is inside this session; call it from one queue";
        case CRISPCAST_ERROR_SESSIONS:
            return "64 sessions are open; destroy those that are over";
        case CRISPCAST_ERROR_NO_MANIFEST:
            return "the manifest is not here yet; show the LR frame";
        case CRISPCAST_ERROR_MANIFEST:
            return "the manifest is refused; encode the package again, or use a matching Crispcast";
        case CRISPCAST_ERROR_HAS_MANIFEST:
            return "there is a manifest already; make a new session for another video";
        case CRISPCAST_ERROR_MESSAGE:
            return "this is not a control message that a server may send; it is passed over";
        case CRISPCAST_ERROR_ASSET_FRAME:
            return "this is not a piece of an asset as it was announced; it is passed over";
        case CRISPCAST_ERROR_ASSET_UNKNOWN:
            return "nobody asked for this asset; it is passed over";
        case CRISPCAST_ERROR_ASSET_DAMAGED:
            return "the asset is damaged: its size or SHA-256 is another; fetch it again";
        case CRISPCAST_ERROR_MOTION:
            return "the motion record is damaged or of other frames; fetch it again";
        case CRISPCAST_ERROR_PICTURE:
            return "the picture does not decode to the size that was asked for; do without it";
        case CRISPCAST_ERROR_FRAME_SIZE:
            return "the LR frame has not its rung's size; show it as it is";
        case CRISPCAST_ERROR_FRAME_NUMBER:
            return "the frame number is outside the video";
        case CRISPCAST_ERROR_RUNG:
            return "there is no such rung";
        case CRISPCAST_ERROR_CHANNEL:
            return "this is a channel: there is no seeking in it";
        case CRISPCAST_ERROR_NO_FRAME:
            return "no frame was placed yet";
        case CRISPCAST_ERROR_OVER:
            return "the play has failed; make a new session";
        case CRISPCAST_ERROR_ASSET_LOST:
            return "the asset came neither by the channel nor by HTTP; its patches are "
                   "interpolated";
        case CRISPCAST_ERROR_UNTRUSTED:
            return "nobody who is trusted is known to have signed the manifest; the video plays, "
                   "interpolated";
        case CRISPCAST_ERROR_KEYS:
            return "the keys to trust must be 1 to 8, each ed25519: and 64 hexadecimal digits, as "
                   "`crispcast key public FILE` prints it";
    }
    return "unknown status";
}
