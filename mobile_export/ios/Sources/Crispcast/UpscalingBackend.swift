import CCrispcast
import Foundation

/// Whose networks make a picture.
public enum BackendKind: String, Codable, Sendable, CaseIterable {
    /// The engine's sparse kernels on the CPU.
    case sparse
    /// The bundled Core ML models, on whichever unit Core ML chooses.
    case coreML
}

/// Makes the large pictures of a stream.
///
/// A backend is called on the session's queue only, for one frame at a time, in the order in which
/// frames are shown.
protocol UpscalingBackend: AnyObject {
    var kind: BackendKind { get }

    /// Fills `large` with the large picture of a frame, and says what it is. Throws where nothing
    /// was written that can be shown.
    func upscale(_ frame: StreamFrame, into large: LargePlanes) throws -> Upscaled
}

/// A small picture of a stream, of the rung that its size tells.
struct StreamFrame {
    let picture: I420Picture
    let rtpTime: UInt32
    /// No networks for this one: too many wait.
    let hurried: Bool
}

/// What became of a frame.
struct Upscaled {
    let facts: crispcast_session_result
    /// Whether a network made some of it, and none that it wanted was missing.
    let superResolved: Bool
    /// Why this backend is of no use for the stream; the picture is whole all the same.
    var trouble: CrispcastError?

    var shown: Bool { facts.shown != 0 }
}

extension StreamFrame {
    /// For the session, which fills `large`.
    func record(_ large: LargePlanes) -> crispcast_session_frame {
        var record = crispcast_session_frame()
        record.rtp_time = rtpTime
        record.flags = Int32(bitPattern: CRISPCAST_FRAME_PADDED.rawValue)
        if hurried { record.flags |= Int32(bitPattern: CRISPCAST_FRAME_INTERPOLATE.rawValue) }
        record.width = Int32(picture.width)
        record.height = Int32(picture.height)
        record.in = (picture.y, picture.u, picture.v)
        record.out = (large.y, large.u, large.v)
        return record
    }
}

/// The session's own engine: sparse kernels on all fast cores.
final class SparseBackend: UpscalingBackend {
    let kind = BackendKind.sparse
    private let session: crispcast_session

    init(session: crispcast_session) { self.session = session }

    func upscale(_ frame: StreamFrame, into large: LargePlanes) throws -> Upscaled {
        var record = frame.record(large)
        var facts = crispcast_session_result()
        try check(crispcast_session_upscale(session, &record, &facts), of: session)
        return Upscaled(facts: facts, superResolved: facts.super_resolved != 0)
    }
}
