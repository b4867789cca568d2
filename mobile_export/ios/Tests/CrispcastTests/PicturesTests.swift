import CCrispcast
import XCTest

@testable import Crispcast

final class PicturesTests: XCTestCase {
    /// A decoder spreads video range over full range; the networks know the stream's own codes.
    func testCodesOfVideoRangeComeBack() throws {
        let spread = { (code: Int) in UInt8((255 * (code - 16) + 109) / 219) }
        let buffer = try pixelBuffer(
            width: 220, height: 2, fullRange: true, luma: { x, _ in spread(16 + x) },
            chroma: { _, _ in (128, 128) })
        try InputPlanes().with(.pixelBuffer(buffer), fullRange: false) { planes in
            for x in 0..<220 { XCTAssertEqual(Int(planes.y.data[x]), 16 + x) }
            XCTAssertEqual(planes.u.data[0], 128)
        }
    }

    func testLumaIsReadWhereItLies() throws {
        let buffer = try pixelBuffer(
            width: 16, height: 16, fullRange: true, luma: { x, y in UInt8(x + y) },
            chroma: { x, y in (UInt8(x), UInt8(y)) })
        try InputPlanes().with(.pixelBuffer(buffer), fullRange: true) { planes in
            let own = CVPixelBufferGetBaseAddressOfPlane(buffer, 0)
            XCTAssertEqual(UnsafeRawPointer(planes.y.data), UnsafeRawPointer(own))
            XCTAssertEqual(planes.u.data[3], 3)
            XCTAssertEqual(planes.v.data[2 * planes.v.stride], 2)
        }
    }

    func testThePaddingOfALargePictureIsCutOff() throws {
        let form = OutputForm(width: 5, height: 3, fullRange: false)
        let (buffer, _) = try OutputPictures().make(form, paddedWidth: 8, paddedHeight: 4) { large in
            for y in 0..<4 { for x in 0..<8 { large.y.data[y * large.y.stride + x] = UInt8(10 * y + x) } }
            for y in 0..<2 {
                for x in 0..<4 {
                    large.u.data[y * large.u.stride + x] = UInt8(100 + x)
                    large.v.data[y * large.v.stride + x] = UInt8(200 + y)
                }
            }
        }
        XCTAssertEqual(try sample(buffer, plane: 0, x: 4, y: 2), 24)
        XCTAssertEqual(try sample(buffer, plane: 1, x: 4, y: 1), 102)
        XCTAssertEqual(try sample(buffer, plane: 1, x: 5, y: 1), 201)
    }
}
