/// Whether a stream that plays has fallen silent, so that its server must be gone
/// (docs/protocol.md, "A lost connection"): pure logic, without a clock. Times are in seconds.
struct Silence {
    static let patience = 4.0  // seconds without a picture

    private var begun = Double.infinity  // when the connection was there; infinity: there is none
    private var held = false
    private var released = -Double.infinity

    /// A connection is there. It is waited for as long as it takes to bring its first picture.
    mutating func begin(at now: Double) { begun = now }

    /// Nothing is to come: the connection or the video is over.
    mutating func end() { begun = .infinity }

    /// Nothing is to come while it is paused.
    mutating func hold(_ on: Bool, at now: Double) {
        held = on
        released = now
    }

    /// Whether nothing came for too long; `last`: when the last picture did.
    func lasts(since last: Double, at now: Double) -> Bool {
        !held && last > begun && now - max(last, released) > Silence.patience
    }
}
