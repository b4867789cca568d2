import CCrispcast
import XCTest

@testable import Crispcast

final class ChoiceTests: XCTestCase {
    private func tried(sparse: Double, coreML: Double) -> BackendChoice {
        var choice = BackendChoice([.sparse, .coreML])
        while choice.chosen == nil {
            let kind = choice.next
            choice.took(kind, milliseconds: kind == .sparse ? sparse : coreML)
        }
        return choice
    }

    func testTheFasterOfBothStays() {
        XCTAssertEqual(tried(sparse: 9, coreML: 4).chosen, .coreML)
        XCTAssertEqual(tried(sparse: 4, coreML: 9).chosen, .sparse)
    }

    func testFramesThatWarmUpDoNotCount() {
        var choice = BackendChoice([.sparse, .coreML])
        var seen = 0
        while choice.chosen == nil {
            let kind = choice.next
            if kind == .coreML { seen += 1 }
            let warming = seen <= BackendChoice.warming
            choice.took(kind, milliseconds: kind == .sparse ? 9 : (warming ? 500 : 4))
        }
        XCTAssertEqual(choice.chosen, .coreML)
        XCTAssertEqual(choice.medianTime(.coreML), 4)
    }

    func testWhatWasFoundBeforeIsNotTriedAgain() {
        XCTAssertEqual(BackendChoice([.sparse, .coreML], known: .coreML).next, .coreML)
        XCTAssertEqual(BackendChoice([.sparse], known: .coreML).next, .sparse)
    }

    func testABackendThatFailsIsGivenUp() {
        var choice = BackendChoice([.sparse, .coreML], known: .coreML)
        choice.failed(.coreML)
        XCTAssertEqual(choice.next, .sparse)
    }

    func testNetworksThatAreFarTooSlowRest() {
        var pace = Pace(frameMilliseconds: 40)
        for _ in 0..<Pace.lookedAt { pace.took(100, at: 1) }
        XCTAssertFalse(pace.mayRun(at: 2))
        XCTAssertTrue(pace.mayRun(at: 1 + Pace.rest))
        for _ in 0..<Pace.lookedAt { pace.took(100, at: 4) }
        XCTAssertFalse(pace.mayRun(at: 4 + Pace.rest))
        XCTAssertTrue(pace.mayRun(at: 4 + 2 * Pace.rest))
    }

    func testWindowsAtTheBorderAreMovedInwards() {
        let frame = (width: 100, height: 50)
        let patch = crispcast_patch(x: 80, y: 30, width: 20, height: 20, expert: 1)
        let window = Window.around(patch, reach: 3, in: frame).widened(to: (26, 26), in: frame)
        XCTAssertEqual(window, Window(x: 74, y: 24, width: 26, height: 26))
        let first = crispcast_patch(x: 0, y: 0, width: 20, height: 20, expert: 1)
        let other = Window.around(first, reach: 3, in: frame).widened(to: (26, 26), in: frame)
        XCTAssertEqual(other, Window(x: 0, y: 0, width: 26, height: 26))
    }
}
