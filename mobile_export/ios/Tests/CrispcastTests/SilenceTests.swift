import XCTest

@testable import Crispcast

final class SilenceTests: XCTestCase {
    func testWhatPlaysAndFallsSilentIsLost() {
        var silence = Silence()
        silence.begin(at: 10)
        XCTAssertFalse(silence.lasts(since: 11, at: 15))
        XCTAssertTrue(silence.lasts(since: 11, at: 15.1))
    }

    func testNothingIsMissedBeforeTheFirstPictureOfAConnection() {
        var silence = Silence()
        XCTAssertFalse(silence.lasts(since: -.infinity, at: 100))
        XCTAssertFalse(silence.lasts(since: 1, at: 100))
        silence.begin(at: 10)
        XCTAssertFalse(silence.lasts(since: 9, at: 100))  // of the connection before
    }

    func testNothingIsMissedWhileItIsPausedOrOver() {
        var silence = Silence()
        silence.begin(at: 10)
        silence.hold(true, at: 12)
        XCTAssertFalse(silence.lasts(since: 11, at: 100))
        silence.hold(false, at: 100)
        XCTAssertFalse(silence.lasts(since: 11, at: 104))
        XCTAssertTrue(silence.lasts(since: 11, at: 104.1))
        silence.end()
        XCTAssertFalse(silence.lasts(since: 11, at: 200))
    }
}
