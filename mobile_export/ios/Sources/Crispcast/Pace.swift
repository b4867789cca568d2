import Foundation

/// Whether a device keeps up with its networks: pure logic, without a clock. Where they take more
/// than twice as long as frames last, frames are interpolated for a while.
struct Pace {
    /// Frames with networks, of which the median counts.
    static let lookedAt = 12
    /// Times a frame lasts: every second frame with networks is better than none.
    static let slow = 2.0
    /// Seconds of interpolation, at first and at most.
    static let rest = 2.0
    static let longestRest = 60.0
    /// Seconds with networks after which the next rest is short again.
    static let sound = 20.0

    private let frameMilliseconds: Double
    private var times: [Double] = []
    private var nextRest = Pace.rest
    private var restEnds: Double?
    private var runsSince: Double?
    /// The median of the last frames with networks; 0 before any.
    private(set) var networkMilliseconds = 0.0

    init(frameMilliseconds: Double) { self.frameMilliseconds = frameMilliseconds }

    /// Whether networks are given up for now.
    var resting: Bool { restEnds != nil }

    /// Whether the frame at `now`, in seconds, may run networks.
    mutating func mayRun(at now: Double) -> Bool {
        if let restEnds, now < restEnds { return false }
        if restEnds != nil { otherNetworks() }
        return true
    }

    /// A frame with networks took so long.
    mutating func took(_ milliseconds: Double, at now: Double) {
        let since = runsSince ?? now
        runsSince = since
        times = Array((times + [milliseconds]).suffix(Pace.lookedAt))
        networkMilliseconds = median(times)
        if now - since > Pace.sound { nextRest = Pace.rest }
        if times.count == Pace.lookedAt, networkMilliseconds > Pace.slow * frameMilliseconds {
            restEnds = now + nextRest
            nextRest = min(2 * nextRest, Pace.longestRest)
        }
    }

    /// Try anew: the rest is over, or another rung's networks came, which may be cheaper.
    mutating func otherNetworks() {
        restEnds = nil
        runsSince = nil
        times = []
        networkMilliseconds = 0
    }
}

/// Frames shown a second, over the last two.
struct ShownMeter {
    private var times: [Double] = []

    mutating func shown(at time: Double) {
        times.append(time)
        times.removeAll { $0 < time - 2 }
    }

    func framesPerSecond(at time: Double) -> Double {
        Double(times.filter { $0 >= time - 2 }.count) / 2
    }
}
