import CCrispcast
import CoreVideo
import CrispcastModels
import XCTest

@testable import Crispcast

final class UpscalerTests: XCTestCase {
    private func flat(_ luma: UInt8, fullRange: Bool = true) throws -> DecodedPicture {
        .pixelBuffer(
            try pixelBuffer(
                width: 32, height: 18, fullRange: fullRange, luma: { _, _ in luma },
                chroma: { _, _ in (90, 160) }))
    }

    func testAFlatPictureStaysFlat() throws {
        let upscaler = try Upscaler(threads: 1)
        let large = try upscaler.upscale(flat(77), scale: 3)
        XCTAssertEqual(CVPixelBufferGetWidth(large), 96)
        XCTAssertEqual(CVPixelBufferGetHeight(large), 54)
        for (x, y) in [(0, 0), (95, 53), (40, 20)] {
            XCTAssertEqual(try sample(large, plane: 0, x: x, y: y), 77)
        }
        XCTAssertEqual(try sample(large, plane: 1, x: 10, y: 10), 90)
        XCTAssertEqual(try sample(large, plane: 1, x: 11, y: 10), 160)
    }

    func testTheRangeOfAPictureIsKept() throws {
        let upscaler = try Upscaler(threads: 1)
        let large = try upscaler.upscale(flat(16, fullRange: false), scale: 2)
        XCTAssertEqual(
            CVPixelBufferGetPixelFormatType(large),
            kCVPixelFormatType_420YpCbCr8BiPlanarVideoRange)
        XCTAssertEqual(try sample(large, plane: 0, x: 1, y: 1), 16)
    }

    func testEveryBundledPlanRuns() throws {
        let resources = try XCTUnwrap(CrispcastModels.resources)
        let models = try ModelBundle(resources: resources)
        let upscaler = try Upscaler(threads: 1)
        for sha256 in models.index.experts.keys {
            let wire = try XCTUnwrap(models.plan(sha256))
            guard let plan = try? Plan(wire) else { continue }  // a difference: a session has its base
            let large = try upscaler.upscale(flat(100), scale: plan.scale, plan: plan)
            XCTAssertEqual(CVPixelBufferGetWidth(large), 32 * plan.scale)
        }
    }

    func testBytesThatAreNoPlanAreRefusedInASentence() {
        XCTAssertThrowsError(try Plan(Data("PNG".utf8))) { error in
            XCTAssertEqual(
                error as? CrispcastError, CrispcastError.refused(CRISPCAST_ERROR_PLAN_MAGIC))
            XCTAssertTrue(error.localizedDescription.contains("not a plan"))
        }
    }

    func testScalesAndFormatsThatThereAreNot() throws {
        let upscaler = try Upscaler(threads: 1)
        XCTAssertThrowsError(try upscaler.upscale(flat(1), scale: 5))
        var bgra: CVPixelBuffer?
        CVPixelBufferCreate(nil, 8, 8, kCVPixelFormatType_32BGRA, nil, &bgra)
        let picture = DecodedPicture.pixelBuffer(try XCTUnwrap(bgra))
        XCTAssertThrowsError(try upscaler.upscale(picture, scale: 2)) { error in
            guard case .picture = error as? CrispcastError else { return XCTFail("\(error)") }
        }
    }

    func testUseAfterCloseIsAnError() throws {
        let upscaler = try Upscaler(threads: 1)
        upscaler.close()
        upscaler.close()
        XCTAssertThrowsError(try upscaler.upscale(flat(1), scale: 2)) { error in
            XCTAssertEqual(error as? CrispcastError, .closed)
        }
    }

    func testManyThreadsShareOneUpscaler() throws {
        let upscaler = try Upscaler(threads: 2)
        let picture = try flat(50)
        DispatchQueue.concurrentPerform(iterations: 16) { number in
            let large = try? upscaler.upscale(picture, scale: 2, follows: number % 2 == 0)
            XCTAssertNotNil(large)
        }
    }
}

