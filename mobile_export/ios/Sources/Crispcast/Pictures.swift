import CCrispcast
import CoreVideo
import Foundation

/// Planes Y, U and V of 8 bits that `owner` keeps alive. Sizes are of luma; chroma has half of each,
/// rounded up.
public struct I420Picture: @unchecked Sendable {
    public let width: Int
    public let height: Int
    let y: crispcast_plane
    let u: crispcast_plane
    let v: crispcast_plane
    let owner: AnyObject?

    /// Strides are bytes from a row to the next.
    public init(
        width: Int, height: Int,
        y: UnsafePointer<UInt8>, yStride: Int,
        u: UnsafePointer<UInt8>, uStride: Int,
        v: UnsafePointer<UInt8>, vStride: Int,
        owner: AnyObject?
    ) {
        self.width = width
        self.height = height
        self.y = crispcast_plane(data: y, stride: yStride)
        self.u = crispcast_plane(data: u, stride: uStride)
        self.v = crispcast_plane(data: v, stride: vStride)
        self.owner = owner
    }
}

/// A decoded picture: what a hardware decoder gives, or planes of a software decoder.
public enum DecodedPicture: @unchecked Sendable {
    case pixelBuffer(CVPixelBuffer)
    case i420(I420Picture)

    /// Size of luma in samples.
    public var size: (width: Int, height: Int) {
        switch self {
        case .pixelBuffer(let buffer):
            return (CVPixelBufferGetWidth(buffer), CVPixelBufferGetHeight(buffer))
        case .i420(let picture):
            return (picture.width, picture.height)
        }
    }
}

/// Bytes that are made once and grow.
final class Scratch {
    private var bytes: UnsafeMutablePointer<UInt8>?
    private var count = 0

    deinit { bytes?.deallocate() }

    func plane(width: Int, height: Int) -> crispcast_mutable_plane {
        if width * height > count || bytes == nil {
            bytes?.deallocate()
            count = max(1, width * height)
            bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: count)
        }
        return crispcast_mutable_plane(data: bytes, stride: width)
    }
}

func half(_ samples: Int) -> Int { (samples + 1) / 2 }

func read(_ plane: crispcast_mutable_plane) -> crispcast_plane {
    crispcast_plane(data: UnsafePointer(plane.data), stride: plane.stride)
}

/// Gives the planes of decoded pictures to the engine. Luma of a pixel buffer is read where it lies;
/// its chroma, a quarter of the samples twice, is taken apart.
final class InputPlanes {
    private let luma = Scratch()
    private let first = Scratch()
    private let second = Scratch()

    /// Calls `body` with the planes, which are valid during the call. `fullRange`: of the stream.
    /// WebRTC has every picture decoded to full range; where the stream is of video range, its own
    /// codes are restored, for the networks know no others.
    func with<Result>(
        _ picture: DecodedPicture, fullRange: Bool, _ body: (I420Picture) throws -> Result
    ) throws -> Result {
        switch picture {
        case .i420(let planes): return try body(planes)
        case .pixelBuffer(let buffer): return try with(buffer, fullRange: fullRange, body)
        }
    }

    private func with<Result>(
        _ buffer: CVPixelBuffer, fullRange: Bool, _ body: (I420Picture) throws -> Result
    ) throws -> Result {
        let format = CVPixelBufferGetPixelFormatType(buffer)
        guard
            format == kCVPixelFormatType_420YpCbCr8BiPlanarFullRange
                || format == kCVPixelFormatType_420YpCbCr8BiPlanarVideoRange
        else {
            throw CrispcastError.picture("pixel buffers must be of 420f or 420v, not of \(format)")
        }
        let spread = format == kCVPixelFormatType_420YpCbCr8BiPlanarFullRange
        guard spread || !fullRange else {
            throw CrispcastError.picture("the stream is of full range and the picture of video range")
        }
        CVPixelBufferLockBaseAddress(buffer, .readOnly)
        defer { CVPixelBufferUnlockBaseAddress(buffer, .readOnly) }
        guard
            let lumaBase = CVPixelBufferGetBaseAddressOfPlane(buffer, 0),
            let chromaBase = CVPixelBufferGetBaseAddressOfPlane(buffer, 1)
        else { throw CrispcastError.picture("the pixel buffer has no memory to read") }
        let (width, height) = DecodedPicture.pixelBuffer(buffer).size
        let across = half(width)
        let down = half(height)
        let u = first.plane(width: across, height: down)
        let v = second.plane(width: across, height: down)
        crispcast_planes_split(
            chromaBase.assumingMemoryBound(to: UInt8.self),
            CVPixelBufferGetBytesPerRowOfPlane(buffer, 1), Int32(across), Int32(down),
            u.data, u.stride, v.data, v.stride)
        var y = crispcast_plane(
            data: UnsafePointer(lumaBase.assumingMemoryBound(to: UInt8.self)),
            stride: CVPixelBufferGetBytesPerRowOfPlane(buffer, 0))
        if spread && !fullRange {
            let narrow = luma.plane(width: width, height: height)
            crispcast_planes_narrow(
                y.data, y.stride, Int32(width), Int32(height), 0, narrow.data, narrow.stride)
            y = read(narrow)
            for plane in [u, v] {
                crispcast_planes_narrow(
                    plane.data, plane.stride, Int32(across), Int32(down), 1, plane.data,
                    plane.stride)
            }
        }
        return try body(
            I420Picture(
                width: width, height: height, y: y.data, yStride: y.stride,
                u: UnsafePointer(u.data), uStride: u.stride,
                v: UnsafePointer(v.data), vStride: v.stride, owner: buffer))
    }
}
