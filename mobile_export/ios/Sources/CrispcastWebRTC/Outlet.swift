import Crispcast
import Foundation

/// Hands on what the session makes, from its queue to whoever listens.
final class Outlet: @unchecked Sendable {
    let pictures: AsyncStream<StreamPicture>
    let events: AsyncStream<StreamEvent>
    private let toPictures: AsyncStream<StreamPicture>.Continuation
    private let toEvents: AsyncStream<StreamEvent>.Continuation
    private let lock = NSLock()
    private weak var delegate: CrispcastSessionDelegate?
    private weak var session: CrispcastSession?
    private var owner: (@Sendable (StreamEvent) async -> Void)?

    init() {
        (pictures, toPictures) = AsyncStream<StreamPicture>.makeStream(
            bufferingPolicy: .bufferingNewest(2))
        (events, toEvents) = AsyncStream<StreamEvent>.makeStream(
            bufferingPolicy: .bufferingNewest(100))
    }

    func setDelegate(_ delegate: CrispcastSessionDelegate?, of session: CrispcastSession) {
        lock.lock()
        defer { lock.unlock() }
        self.delegate = delegate
        self.session = session
    }

    func setOwner(_ owner: @escaping @Sendable (StreamEvent) async -> Void) {
        lock.lock()
        defer { lock.unlock() }
        self.owner = owner
    }

    private var listeners: (CrispcastSessionDelegate?, CrispcastSession?) {
        lock.lock()
        defer { lock.unlock() }
        return (delegate, session)
    }

    func show(_ picture: StreamPicture) {
        toPictures.yield(picture)
        let (delegate, session) = listeners
        if let session { delegate?.session(session, show: picture) }
    }

    func tell(_ event: StreamEvent) {
        toEvents.yield(event)
        let (delegate, session) = listeners
        if let session { delegate?.session(session, tells: event) }
    }

    /// To the session itself, whose connection hangs on it.
    func pass(_ event: StreamEvent) {
        lock.lock()
        let owner = self.owner
        lock.unlock()
        if let owner { Task { await owner(event) } }
    }

    func finish() {
        toPictures.finish()
        toEvents.finish()
    }
}
