import CoreVideo
import XCTest

@testable import Crispcast

/// A pixel buffer whose samples are `luma(x, y)` and `chroma(x, y)` (U, V).
func pixelBuffer(
    width: Int, height: Int, fullRange: Bool, luma: (Int, Int) -> UInt8,
    chroma: (Int, Int) -> (UInt8, UInt8)
) throws -> CVPixelBuffer {
    let format =
        fullRange
        ? kCVPixelFormatType_420YpCbCr8BiPlanarFullRange
        : kCVPixelFormatType_420YpCbCr8BiPlanarVideoRange
    var made: CVPixelBuffer?
    CVPixelBufferCreate(nil, width, height, format, nil, &made)
    let buffer = try XCTUnwrap(made)
    CVPixelBufferLockBaseAddress(buffer, [])
    defer { CVPixelBufferUnlockBaseAddress(buffer, []) }
    for plane in 0..<2 {
        let base = try XCTUnwrap(CVPixelBufferGetBaseAddressOfPlane(buffer, plane))
        let samples = base.assumingMemoryBound(to: UInt8.self)
        let stride = CVPixelBufferGetBytesPerRowOfPlane(buffer, plane)
        for y in 0..<CVPixelBufferGetHeightOfPlane(buffer, plane) {
            for x in 0..<CVPixelBufferGetWidthOfPlane(buffer, plane) {
                if plane == 0 {
                    samples[y * stride + x] = luma(x, y)
                } else {
                    let (u, v) = chroma(x, y)
                    samples[y * stride + 2 * x] = u
                    samples[y * stride + 2 * x + 1] = v
                }
            }
        }
    }
    return buffer
}

/// A plane's sample; of chroma, U and V lie side by side.
func sample(_ buffer: CVPixelBuffer, plane: Int, x: Int, y: Int) throws -> UInt8 {
    CVPixelBufferLockBaseAddress(buffer, .readOnly)
    defer { CVPixelBufferUnlockBaseAddress(buffer, .readOnly) }
    let base = try XCTUnwrap(CVPixelBufferGetBaseAddressOfPlane(buffer, plane))
    let stride = CVPixelBufferGetBytesPerRowOfPlane(buffer, plane)
    return base.assumingMemoryBound(to: UInt8.self)[y * stride + x]
}
