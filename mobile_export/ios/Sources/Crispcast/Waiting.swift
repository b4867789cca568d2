import Foundation

/// Pictures that wait for the session's queue. Any thread.
final class Waiting: @unchecked Sendable {
    private let lock = NSLock()
    private var count = 0
    private var refusing = false
    private var latest = -Double.infinity

    /// When the last picture came, waited or not, in seconds of `now()`; -infinity: none did.
    var last: Double {
        lock.lock()
        defer { lock.unlock() }
        return latest
    }

    func refuse(_ on: Bool) {
        lock.lock()
        defer { lock.unlock() }
        refusing = on
    }

    /// How many waited before this one; nil where too many do, or all are refused.
    func enter(most: Int) -> Int? {
        lock.lock()
        defer { lock.unlock() }
        latest = now()
        guard count < most, !refusing else { return nil }
        count += 1
        return count - 1
    }

    func leave() {
        lock.lock()
        defer { lock.unlock() }
        count -= 1
    }
}
