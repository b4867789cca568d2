import CCrispcast
import CoreVideo
import Foundation

/// Where a large picture is written: planes of the padded size, `scale` times the small picture's.
struct LargePlanes {
    let width: Int
    let height: Int
    let y: crispcast_mutable_plane
    let u: crispcast_mutable_plane
    let v: crispcast_mutable_plane
}

/// What a large picture is to be: its size as shown, its range, its colours by ITU-T H.273.
struct OutputForm: Equatable {
    var width: Int
    var height: Int
    var fullRange: Bool
    var primaries: Int32 = 2
    var transfer: Int32 = 2
    var matrix: Int32 = 2
}

/// Large pictures out of a pool. Luma is written where the pixel buffer has it; U and V are put
/// together afterwards.
final class OutputPictures {
    private var pool: CVPixelBufferPool?
    private var form: OutputForm?
    private let whole = Scratch()
    private let first = Scratch()
    private let second = Scratch()

    /// A pixel buffer of `form`, 420f or 420v, filled by `body` with planes of paddedWidth x
    /// paddedHeight, of which the top left is shown.
    func make<Result>(
        _ form: OutputForm, paddedWidth: Int, paddedHeight: Int,
        _ body: (LargePlanes) throws -> Result
    ) throws -> (CVPixelBuffer, Result) {
        let buffer = try fresh(form)
        CVPixelBufferLockBaseAddress(buffer, [])
        defer { CVPixelBufferUnlockBaseAddress(buffer, []) }
        guard
            let lumaBase = CVPixelBufferGetBaseAddressOfPlane(buffer, 0),
            let chromaBase = CVPixelBufferGetBaseAddressOfPlane(buffer, 1)
        else { throw CrispcastError.picture("the system gave a pixel buffer without memory") }
        let inPlace = crispcast_mutable_plane(
            data: lumaBase.assumingMemoryBound(to: UInt8.self),
            stride: CVPixelBufferGetBytesPerRowOfPlane(buffer, 0))
        let exact = paddedWidth == form.width && paddedHeight == form.height
        let y = exact ? inPlace : whole.plane(width: paddedWidth, height: paddedHeight)
        let u = first.plane(width: half(paddedWidth), height: half(paddedHeight))
        let v = second.plane(width: half(paddedWidth), height: half(paddedHeight))
        let result = try body(
            LargePlanes(width: paddedWidth, height: paddedHeight, y: y, u: u, v: v))
        if !exact {
            crispcast_planes_copy(
                y.data, y.stride, Int32(form.width), Int32(form.height), inPlace.data,
                inPlace.stride)
        }
        crispcast_planes_join(
            u.data, u.stride, v.data, v.stride, Int32(half(form.width)), Int32(half(form.height)),
            chromaBase.assumingMemoryBound(to: UInt8.self),
            CVPixelBufferGetBytesPerRowOfPlane(buffer, 1))
        return (buffer, result)
    }

    private func fresh(_ wanted: OutputForm) throws -> CVPixelBuffer {
        if pool == nil || form != wanted {
            pool = nil
            let format =
                wanted.fullRange
                ? kCVPixelFormatType_420YpCbCr8BiPlanarFullRange
                : kCVPixelFormatType_420YpCbCr8BiPlanarVideoRange
            let attributes: [CFString: Any] = [
                kCVPixelBufferPixelFormatTypeKey: format,
                kCVPixelBufferWidthKey: wanted.width,
                kCVPixelBufferHeightKey: wanted.height,
                kCVPixelBufferIOSurfacePropertiesKey: [:] as CFDictionary,
                kCVPixelBufferMetalCompatibilityKey: true,
            ]
            CVPixelBufferPoolCreate(nil, nil, attributes as CFDictionary, &pool)
            form = wanted
        }
        var buffer: CVPixelBuffer?
        if let pool { CVPixelBufferPoolCreatePixelBuffer(nil, pool, &buffer) }
        guard let buffer else {
            throw CrispcastError.picture("the system gave no pixel buffer of the large size")
        }
        colour(buffer, wanted)
        return buffer
    }

    private func colour(_ buffer: CVPixelBuffer, _ form: OutputForm) {
        let facts: [(CFString, Unmanaged<CFString>?)] = [
            (
                kCVImageBufferColorPrimariesKey,
                CVColorPrimariesGetStringForIntegerCodePoint(form.primaries)
            ),
            (
                kCVImageBufferTransferFunctionKey,
                CVTransferFunctionGetStringForIntegerCodePoint(form.transfer)
            ),
            (kCVImageBufferYCbCrMatrixKey, CVYCbCrMatrixGetStringForIntegerCodePoint(form.matrix)),
        ]
        for (key, value) in facts {
            guard let value else { continue }
            CVBufferSetAttachment(buffer, key, value.takeUnretainedValue(), .shouldPropagate)
        }
    }
}
