import CCrispcast
import CoreVideo
import Foundation

/// A network, ready to run: the wire plan of a package's `plans/`. Immutable; any threads may share
/// it.
public final class Plan: @unchecked Sendable {
    let handle: OpaquePointer
    /// HR size / LR size.
    public let scale: Int
    /// Whether it reads the picture before, and a plate.
    public let hasPrevious: Bool
    public let hasPlate: Bool

    /// `base`: the wire plan of the base that this one is a difference to, where it is one.
    public init(_ wire: Data, base: Data? = nil) throws {
        var made: OpaquePointer?
        let status = wire.withUnsafeBytes { bytes in
            (base ?? Data()).withUnsafeBytes { other in
                crispcast_plan_create_with_base(
                    bytes.baseAddress, bytes.count, other.baseAddress, other.count, &made)
            }
        }
        try check(status)
        guard let made else { throw CrispcastError.closed }
        handle = made
        var info = crispcast_plan_info()
        crispcast_plan_get_info(made, &info)
        scale = Int(info.scale)
        hasPrevious = info.has_previous != 0
        hasPlate = info.has_plate != 0
    }

    deinit { crispcast_plan_destroy(handle) }
}

/// A still, large picture of the place, beside which a plan makes the rest. Immutable.
public final class Plate: @unchecked Sendable {
    let handle: OpaquePointer

    /// `luma`: width * height samples, row after row; both multiples of `scale`.
    public init(luma: Data, width: Int, height: Int, scale: Int) throws {
        let (samples, overflow) = width.multipliedReportingOverflow(by: height)
        guard width > 0, !overflow, luma.count == samples else {
            throw CrispcastError.picture("a plate of \(width)x\(height) is not of \(luma.count) bytes")
        }
        var made: OpaquePointer?
        let status = luma.withUnsafeBytes { bytes in
            crispcast_plate_create(
                bytes.bindMemory(to: UInt8.self).baseAddress, width, Int32(clamping: width),
                Int32(clamping: height), Int32(clamping: scale), &made)
        }
        try check(status)
        guard let made else { throw CrispcastError.closed }
        handle = made
    }

    deinit { crispcast_plate_destroy(handle) }
}

/// Enlarges pictures without a stream: a plan over the whole of each, or plain interpolation.
///
/// Calls from several threads run one after the other. After `close()`, all throw
/// `CrispcastError.closed`.
public final class Upscaler: @unchecked Sendable {
    private let lock = NSLock()
    private var engine: OpaquePointer?
    private let inputs = InputPlanes()
    private let outputs = OutputPictures()
    private let before = Scratch()
    private var beforeSize: (width: Int, height: Int)?

    /// `threads` 0: one per fast core.
    public init(threads: Int = 0) throws {
        try check(crispcast_engine_create(engineThreads(threads), nil, &engine))
    }

    deinit { crispcast_engine_destroy(engine) }

    /// The instruction set that runs: "neoni8mm", "neondot", "neon", …
    public var instructionSet: String {
        lock.lock()
        defer { lock.unlock() }
        guard let engine else { return "" }
        return String(cString: crispcast_engine_isa(engine))
    }

    /// The large picture, out of a pool, of the range of `picture`: 420f or 420v.
    ///
    /// `plan` nil: bicubic interpolation by `scale`. `follows`: the picture of the call before came
    /// right before this one, in the same scene. Throws where the plan is of another scale, or the
    /// picture cannot be read.
    public func upscale(
        _ picture: DecodedPicture, scale: Int, plan: Plan? = nil, plate: Plate? = nil,
        follows: Bool = false
    ) throws -> CVPixelBuffer {
        lock.lock()
        defer { lock.unlock() }
        guard let engine else { throw CrispcastError.closed }
        guard (1...4).contains(scale) else {
            throw CrispcastError.refused(CRISPCAST_ERROR_SIZE)
        }
        let (width, height) = picture.size
        let form = OutputForm(
            width: scale * width, height: scale * height, fullRange: isFullRange(picture))
        return try inputs.with(picture, fullRange: form.fullRange) { small in
            let (buffer, _) = try outputs.make(
                form, paddedWidth: form.width, paddedHeight: form.height
            ) { large in
                var job = frameJob(small, large, scale: scale)
                if follows, let size = beforeSize, size == (width, height) {
                    job.previous = read(before.plane(width: width, height: height))
                }
                job.plate = plate?.handle
                var plans: [OpaquePointer?] = plan.map { [$0.handle] } ?? []
                let count = plans.count
                try plans.withUnsafeMutableBufferPointer { list in
                    job.plans = UnsafePointer(list.baseAddress)
                    job.plan_count = count
                    try check(crispcast_upscale(engine, &job))
                }
            }
            let kept = before.plane(width: width, height: height)
            crispcast_planes_copy(
                small.y.data, small.y.stride, Int32(width), Int32(height), kept.data, kept.stride)
            beforeSize = (width, height)
            return buffer
        }
    }

    /// Ends it; waits for a call that runs.
    public func close() {
        lock.lock()
        defer { lock.unlock() }
        crispcast_engine_destroy(engine)
        engine = nil
    }
}

/// One frame for the engine, without plans: interpolation.
func frameJob(_ small: I420Picture, _ large: LargePlanes, scale: Int) -> crispcast_frame_job {
    var job = crispcast_frame_job()
    job.width = Int32(small.width)
    job.height = Int32(small.height)
    job.scale = Int32(scale)
    job.in = (small.y, small.u, small.v)
    job.out = (large.y, large.u, large.v)
    return job
}

private func isFullRange(_ picture: DecodedPicture) -> Bool {
    guard case .pixelBuffer(let buffer) = picture else { return false }
    return CVPixelBufferGetPixelFormatType(buffer) == kCVPixelFormatType_420YpCbCr8BiPlanarFullRange
}

/// Of `asked` 0, the fast cores: a row that waits for a slow one makes the others wait.
func engineThreads(_ asked: Int) -> Int32 {
    if asked > 0 { return Int32(clamping: asked) }
    var cores: Int32 = 0
    var size = MemoryLayout<Int32>.size
    let known = sysctlbyname("hw.perflevel0.logicalcpu", &cores, &size, nil, 0) == 0
    return known ? max(1, cores) : 0
}
