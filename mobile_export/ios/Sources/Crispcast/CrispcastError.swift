import CCrispcast
import Foundation

/// What can go wrong. Its `localizedDescription` is one sentence for a person: what was wrong and
/// what to do; of `core`, the C core's own.
///
/// Whatever fails, the video goes on: a frame that cannot be upscaled is shown as it came.
public enum CrispcastError: Error, Equatable, Sendable {
    /// The C core refused: a status of `crispcast.h` or `crispcast_session.h`, and what it told.
    case core(status: Int32, why: String)
    /// The object was used after its `close()`.
    case closed
    /// A picture is of a pixel format or a size that cannot be used here.
    case picture(String)
    /// A bundled model cannot be used: damaged, missing, or refused by Core ML.
    case model(String)
    /// The server cannot be reached, is not one of Crispcast's, or cannot be asked as the app says.
    case server(String)
    /// The server answered with this HTTP status, and perhaps said after how many seconds to try
    /// again.
    case refused(status: Int, retryAfter: Int?, why: String)
}

extension CrispcastError: LocalizedError {
    public var errorDescription: String? {
        switch self {
        case .core(let status, let why):
            return why.isEmpty ? sentence(status) : why
        case .closed:
            return sentence(CRISPCAST_ERROR_CLOSED)
        case .picture(let why), .model(let why), .server(let why), .refused(_, _, let why):
            return why
        }
    }
}

func sentence(_ status: crispcast_session_status) -> String {
    sentence(Int32(bitPattern: status.rawValue))
}

func sentence(_ status: Int32) -> String {
    String(cString: crispcast_session_sentence(status))
}

extension CrispcastError {
    static func refused(_ status: crispcast_status) -> CrispcastError {
        .core(status: Int32(bitPattern: status.rawValue), why: "")
    }

    static func refused(_ status: crispcast_session_status) -> CrispcastError {
        .core(status: Int32(bitPattern: status.rawValue), why: "")
    }
}

/// Throws what a call of `crispcast.h` gave, unless that was CRISPCAST_OK.
func check(_ status: crispcast_status) throws {
    guard status == CRISPCAST_OK else { throw CrispcastError.refused(status) }
}

/// Throws what a call of `crispcast_session.h` gave, unless that was CRISPCAST_OK.
func check(_ status: Int32, of session: crispcast_session) throws {
    if status == 0 { return }
    if status == Int32(bitPattern: CRISPCAST_ERROR_CLOSED.rawValue) { throw CrispcastError.closed }
    var text = [CChar](repeating: 0, count: Int(CRISPCAST_WHY_BYTES))
    crispcast_session_why(session, &text, text.count)
    throw CrispcastError.core(status: status, why: String(cString: text))
}
