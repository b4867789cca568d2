import Crispcast
import Foundation
import WebRTC

#if canImport(UIKit)
    import UIKit
#endif

/// Hears of a session, on a queue of the session's.
public protocol CrispcastSessionDelegate: AnyObject, Sendable {
    /// A picture is to be shown now.
    func session(_ session: CrispcastSession, show picture: StreamPicture)
    /// Something happened.
    func session(_ session: CrispcastSession, tells event: StreamEvent)
}

extension CrispcastSessionDelegate {
    public func session(_ session: CrispcastSession, show picture: StreamPicture) {}
    public func session(_ session: CrispcastSession, tells event: StreamEvent) {}
}

/// A play of a stream, super-resolved.
///
///     let session = try CrispcastSession(url: url, options: options)
///     try await session.play()
///     for await picture in session.pictures { … }
///     await session.close()
///
/// An actor: call it from anywhere. In the background it asks the server to pause and makes nothing;
/// back in the foreground it goes on. A lost server is looked for. After `close()`, calls throw
/// `CrispcastError.closed`.
public actor CrispcastSession {
    /// What is to be shown, the newest where the app is slow.
    public nonisolated let pictures: AsyncStream<StreamPicture>
    /// What happens.
    public nonisolated let events: AsyncStream<StreamEvent>

    private let core: StreamCore
    private let client: WhepClient
    private let reconnect: Double
    private let outlet: Outlet
    private var answered: URL  // by whom, the last time
    private var connection: Connection?
    private var returning: Task<Void, Never>?
    private var watching: [Task<Void, Never>] = []
    private var played = false
    private var closed = false
    private var over = false
    private var pausedByApp = false
    private var inBackground = false

    /// `url`: the WHEP endpoint, `https://HOST/whep/NAME`. `token`: a bearer token, where the server
    /// wants one. `tokenOrigins`: who else than the origin of `url` may see it when the server sends
    /// the play there, as `https://b.example.org`. Throws where one of these cannot be one.
    public init(
        url: URL, token: String? = nil, tokenOrigins: [URL] = [],
        options: StreamOptions = StreamOptions()
    ) throws {
        let outlet = Outlet()
        client = try WhepClient(endpoint: url, token: token, tokenOrigins: tokenOrigins)
        answered = url
        core = try StreamCore(
            options: options, onPicture: { outlet.show($0) },
            onEvent: {
                outlet.tell($0)
                outlet.pass($0)
            })
        self.outlet = outlet
        reconnect = options.reconnect
        pictures = outlet.pictures
        events = outlet.events
    }

    /// Who hears, beside `pictures` and `events`; held weakly.
    public func setDelegate(_ delegate: CrispcastSessionDelegate?) {
        outlet.setDelegate(delegate, of: self)
    }

    /// Connects, and plays until the end, `close()`, or a failure that `events` tell. Throws where
    /// the server cannot be reached or refuses.
    public func play() async throws {
        guard !closed else { throw CrispcastError.closed }
        guard !played else { return }
        played = true
        outlet.setOwner { [weak self] event in await self?.follow(event) }
        if watching.isEmpty { watchBackground() }
        Connection.listenOnly()
        do {
            try await connect(to: client.endpoint)
        } catch {
            played = false
            throw error
        }
    }

    /// The server sends nothing until `resume()`.
    public func pause() async throws {
        pausedByApp = true
        try await core.pause(true)
    }

    /// Goes on after `pause()`; in a channel, where that is by now.
    public func resume() async throws {
        pausedByApp = false
        if !inBackground { try await core.pause(false) }
    }

    /// Goes on at a frame number. Throws outside of the video, and in a channel.
    public func seek(to frame: Int64) async throws { try await core.seek(to: frame) }

    /// Begins again at the end, or not.
    public func loop(_ on: Bool) async throws { try await core.loop(on) }

    /// Plays this rung from the next segment on; nil: whichever the server sees fit.
    public func choose(rung: Int?) async throws { try await core.choose(rung: rung) }

    /// Counts so far.
    public func figures() async throws -> StreamFigures { try await core.figures() }

    /// Says goodbye, ends the connection and frees everything. A second call does nothing.
    public func close() async {
        guard !closed else { return }
        closed = true
        returning?.cancel()
        watching.forEach { $0.cancel() }
        await core.close()
        if let farewell = hangUp(connection) { await farewell.value }
        outlet.finish()
    }

    // MARK: - the connection

    private func connect(to place: URL) async throws {
        let core = self.core
        let client = self.client
        let fresh = Connection(
            client: client, place: place,
            listener: Connection.Listener(
                opened: { connection in
                    guard let endpoint = connection.endpoint else { return }
                    core.connected(endpoint: endpoint, token: client.token(for: endpoint)) {
                        [weak connection] text in connection?.send(text)
                    }
                },
                message: { core.message($0, binary: $1) },
                picture: { core.show($0, rtpTime: $1) },
                lost: { [weak self] connection, why in
                    Task { [weak self] in await self?.lose(connection, why) }
                }))
        connection = fresh
        do {
            answered = try await fresh.open()
        } catch {
            hangUp(fresh)
            throw error
        }
        if connection !== fresh { hangUp(fresh) }  // nobody waits for it any more
    }

    /// Ends a connection; its server hears of it meanwhile.
    @discardableResult
    private func hangUp(_ old: Connection?) -> Task<Void, Never>? {
        if connection === old { connection = nil }
        guard let old else { return nil }
        old.close()
        return Task { await old.farewell() }
    }

    private func lose(_ lost: Connection, _ why: String) {
        if lost === connection { comeBack(why, told: false) }
    }

    private func comeBack(_ why: String, told: Bool) {
        guard !closed, !over, returning == nil else { return }
        returning = Task { [weak self] in await self?.search(why, told: told) }
    }

    /// Looks for the server until it is there again, for as long as the options say: by the address
    /// that the app gave and, where a redirect led elsewhere, in turn by that (docs/protocol.md).
    /// After the last frame there is nothing to look for. `told`: the app knows that it is lost.
    private func search(_ why: String, told: Bool) async {
        defer { returning = nil }
        hangUp(connection)
        if await core.disconnected() { over = true }
        if closed || over { return }
        if !told { outlet.tell(.lost(why)) }
        let deadline = Date().addingTimeInterval(reconnect)
        var places = [client.endpoint, answered]
        var wait = 0.25
        var pause = wait
        var last = CrispcastError.server(why)
        while !closed, !Task.isCancelled, Date().addingTimeInterval(pause) < deadline {
            try? await Task.sleep(nanoseconds: UInt64((pause + .random(in: 0...0.1)) * 1e9))
            if closed || over || Task.isCancelled { return }
            do {
                try await connect(to: places[0])
                return
            } catch CrispcastError.refused(let status, let retryAfter, let sentence) {
                last = .refused(status: status, retryAfter: retryAfter, why: sentence)
                if [400, 401, 403, 404].contains(status) { break }
                pause = Double(retryAfter ?? 0)
            } catch {
                last = error as? CrispcastError ?? .server(error.localizedDescription)
                pause = 0
            }
            places.reverse()
            wait = min(2 * wait, 5)
            pause = max(pause, wait)
        }
        over = true
        if !closed { outlet.tell(.failed(last)) }
    }

    /// What the session tells changes what the connection does. At the end, pictures are on their
    /// way still; the server hangs up.
    private func follow(_ event: StreamEvent) async {
        switch event {
        case .lost(let why): comeBack(why, told: true)
        case .ended: over = true
        case .failed:
            over = true
            hangUp(connection)
            await core.disconnected()
        default: break
        }
    }

    // MARK: - the background

    private func watchBackground() {
        #if os(iOS)
            watching = [
                watch(UIApplication.didEnterBackgroundNotification, true),
                watch(UIApplication.willEnterForegroundNotification, false),
            ]
        #endif
    }

    private func watch(_ name: Notification.Name, _ background: Bool) -> Task<Void, Never> {
        Task { [weak self] in
            for await _ in NotificationCenter.default.notifications(named: name) {
                guard let self else { return }
                await self.background(background)
            }
        }
    }

    /// An app in the background shows nothing, and must not use the GPU.
    private func background(_ hidden: Bool) async {
        inBackground = hidden
        core.hidden(hidden)
        if !pausedByApp { try? await core.pause(hidden) }
    }
}
