import CCrispcast
import CoreVideo
import Foundation

/// A large picture of a stream, to be shown now.
public struct StreamPicture: @unchecked Sendable {
    /// 420f or 420v, as the stream is; from a pool, so do not keep many.
    public let pixelBuffer: CVPixelBuffer
    /// Frame number in the video; nil where it is not known.
    public let frame: Int64?
    /// RTP time of the small picture, 90 kHz.
    public let rtpTime: UInt32
    /// Whether networks made it; else it is interpolated, or small as it came.
    public let superResolved: Bool
    /// The first after a seek.
    public let landed: Bool
    public let backend: BackendKind
    /// Milliseconds that it took to make.
    public let milliseconds: Double
}

/// What a stream is of.
public struct StreamInfo: Equatable, Sendable {
    /// Size in samples as shown.
    public let width: Int
    public let height: Int
    /// Exact frames a second.
    public let fpsNumerator: Int
    public let fpsDenominator: Int
    public let frames: Int64
    public let segments: Int
    public let rungs: Int
    /// The frame that a channel was at; nil where this is none.
    public let live: Int64?
    public let fullRange: Bool
    /// Id of the package.
    public let package: String
    let form: OutputForm

    init(_ info: crispcast_session_info) {
        width = Int(info.width)
        height = Int(info.height)
        fpsNumerator = Int(info.fps_numerator)
        fpsDenominator = Int(info.fps_denominator)
        frames = info.frames
        segments = Int(info.segments)
        rungs = Int(info.rungs)
        live = info.live < 0 ? nil : info.live
        fullRange = info.full_range != 0
        package = text(of: info.package)
        form = OutputForm(
            width: width, height: height, fullRange: fullRange, primaries: info.primaries,
            transfer: info.transfer, matrix: info.matrix)
    }

    var frameMilliseconds: Double {
        1000 * Double(fpsDenominator) / Double(max(1, fpsNumerator))
    }
}

/// What an app may want to know of a stream while it plays.
public enum StreamEvent: Equatable, Sendable {
    /// The manifest is here.
    case opened(StreamInfo)
    /// All that a segment of a rung needs is prepared.
    case ready(rung: Int, segment: Int)
    /// A segment begins without some of its networks; these parts are interpolated until they come.
    case late(rung: Int, segment: Int, assets: Int)
    /// A network, plate or map is refused for good; what it is for is interpolated.
    case refused(asset: String, CrispcastError)
    /// The server does not do what was asked for; all goes on.
    case notDone(String)
    /// Which backend makes the frames from now on, and how long they took each, in milliseconds.
    case chose(BackendKind, sparse: Double, coreML: Double)
    /// Core ML cannot be used; the sparse backend is.
    case withoutCoreML(CrispcastError)
    /// Frames are shown as they came; told when the reason changes.
    case shownSmall(CrispcastError)
    /// The connection is lost and looked for.
    case lost(String)
    /// The video is over; how many frames were sent, if the server said so.
    case ended(frames: Int64?)
    /// The play cannot go on.
    case failed(CrispcastError)
    /// None of the keys in `StreamOptions.trust` signed what the server plays: all is interpolated.
    case untrusted(CrispcastError)
}

/// Counts since the session was made.
public struct StreamFigures: Equatable, Sendable {
    public let frames: UInt64
    public let framesSuperResolved: UInt64
    public let lateAssets: UInt64
    public let assetBytes: UInt64
    public let cachedBytes: UInt64
    public let refusedAssets: UInt64
    public let wrongMessages: UInt64
    public let memoryBytes: UInt64

    init(_ figures: crispcast_session_figures) {
        frames = figures.frames
        framesSuperResolved = figures.frames_sr
        lateAssets = figures.late_assets
        assetBytes = figures.asset_bytes
        cachedBytes = figures.cached_bytes
        refusedAssets = figures.refused_assets
        wrongMessages = figures.wrong_messages
        memoryBytes = figures.memory_bytes
    }
}

/// How to play.
public struct StreamOptions: Sendable {
    /// CPU threads; 0: one per fast core.
    public var threads = 0
    /// Networks: false interpolates everything and fetches none.
    public var superResolution = true
    /// Begin again at the end, for ever.
    public var loops = false
    /// Backends to choose from; the sparse one is always there.
    public var backends: Set<BackendKind> = [.sparse, .coreML]
    /// Bytes of networks and plates that may be held in memory; 0: 512 MiB.
    public var memoryLimit: UInt64 = 0
    /// Assets on disk; nil: none are kept.
    public var cache: AssetCache? = AssetCache()
    /// The networks that came with the app.
    public var models: ModelBundle?
    /// Public keys, as `crispcast key public` prints them: nothing is super-resolved unless one of
    /// them signed what the server plays. Empty: signatures are not asked for.
    public var trust: [String] = []
    /// Seconds for which a lost server is looked for.
    public var reconnect = 30.0

    public init() {}
}
