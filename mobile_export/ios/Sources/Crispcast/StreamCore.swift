import CCrispcast
import CoreVideo
import Foundation

/// One play of a stream without its transport: `crispcast_session` on a queue of its own, and what it
/// asks an app to do. `CrispcastSession` brings WebRTC to it; another transport can.
///
///     messages, pieces, decoded pictures ─► session ─► large pictures
///                                             └─► tasks: send, look, fetch, decode, keep
///
/// May be called from any thread; all is done on `queue`, in order. After `close()`, calls that
/// throw throw `CrispcastError.closed`, and the others do nothing.
public final class StreamCore: @unchecked Sendable {
    /// Pictures that may wait: beyond the first, one is interpolated, and beyond the second, shown
    /// not at all.
    static let hurry = 4
    static let most = 16

    let queue = DispatchQueue(label: "org.crispcast.session", qos: .userInteractive)
    let options: StreamOptions
    private let onPicture: @Sendable (StreamPicture) -> Void
    let onEvent: @Sendable (StreamEvent) -> Void
    private let waiting = Waiting()

    // All below is touched on `queue` only.
    private(set) var session: crispcast_session = 0
    private(set) var send: (@Sendable (Data) -> Void)?
    private(set) var fetcher: AssetFetcher?
    private var timer: DispatchSourceTimer?
    private let inputs = InputPlanes()
    private let outputs = OutputPictures()
    private var info: StreamInfo?
    private var rungs: [crispcast_rung_info] = []
    private var lastRung: Int32 = -1
    private let sparse: SparseBackend
    private var coreML: CoreMLBackend?
    private var choice = BackendChoice([.sparse])
    private var choiceKey = ""
    private var pace = Pace(frameMilliseconds: 40)
    private var meter = ShownMeter()
    private var lastTrouble: CrispcastError?
    /// Why pictures are shown small for now.
    var noManifest = CrispcastError.refused(CRISPCAST_ERROR_NO_MANIFEST)
    private var doing = false
    private var silence = Silence()
    private var ended = false

    public init(
        options: StreamOptions, onPicture: @escaping @Sendable (StreamPicture) -> Void,
        onEvent: @escaping @Sendable (StreamEvent) -> Void
    ) throws {
        self.options = options
        self.onPicture = onPicture
        self.onEvent = onEvent
        var wanted = crispcast_session_options()
        wanted.threads = engineThreads(options.threads)
        wanted.delivery = Int32(bitPattern: CRISPCAST_DELIVERY_AUTO.rawValue)
        wanted.cache = options.cache == nil && options.models == nil ? 0 : 1
        wanted.plain = options.superResolution ? 0 : 1
        wanted.loops = options.loops ? 1 : 0
        wanted.memory_limit = options.memoryLimit
        var made: crispcast_session = 0
        let status = withKeys(options.trust) { keys in
            wanted.trust = keys
            return crispcast_session_create(&wanted, &made)
        }
        sparse = SparseBackend(session: made)
        session = made
        if status != 0 { throw CrispcastError.core(status: status, why: "") }
        let timer = DispatchSource.makeTimerSource(queue: queue)
        timer.schedule(deadline: .now(), repeating: .milliseconds(500))
        timer.setEventHandler { [weak self] in self?.tick() }
        timer.resume()
        self.timer = timer
    }

    deinit {
        timer?.cancel()
        fetcher?.close()
        crispcast_session_destroy(session)
    }

    // MARK: - what comes

    /// A data channel is open; `send` sends text on it, assets are fetched beside `endpoint` with
    /// `token`, which is nil where a redirect led to an origin that may not see it.
    public func connected(
        endpoint: URL, token: String?, send: @escaping @Sendable (Data) -> Void
    ) {
        queue.async {
            self.send = send
            self.fetcher?.close()
            self.fetcher = AssetFetcher(endpoint: endpoint, token: token)
            self.silence.begin(at: now())
            self.told(crispcast_session_connected(self.session))
        }
    }

    /// The connection is gone, and all pictures that came by it were given. Whether the video is over,
    /// so that there is nothing to connect again for: the server said so, or its last frame was shown.
    @discardableResult
    public func disconnected() async -> Bool {
        await withCheckedContinuation { (done: CheckedContinuation<Bool, Never>) in
            queue.async {
                self.send = nil
                self.fetcher?.close()
                self.fetcher = nil
                self.silence.end()
                var over: Int32 = 0
                if self.session != 0 { crispcast_session_disconnected(self.session, &over) }
                if over != 0, !self.ended { self.end(frames: nil) }
                done.resume(returning: self.ended)
            }
        }
    }

    /// A text or a binary message of the data channel. What is wrong in it is counted and passed
    /// over.
    public func message(_ data: Data, binary: Bool) {
        queue.async {
            self.told(
                data.withUnsafeBytes { bytes in
                    binary
                        ? crispcast_session_frame_bytes(
                            self.session, bytes.baseAddress, bytes.count)
                        : crispcast_session_message(self.session, bytes.baseAddress, bytes.count)
                })
        }
    }

    /// A decoded picture, in the order in which they are shown.
    public func show(_ picture: DecodedPicture, rtpTime: UInt32) {
        guard let before = waiting.enter(most: StreamCore.most) else { return }
        queue.async {
            defer { self.waiting.leave() }
            self.present(picture, rtpTime, hurried: before >= StreamCore.hurry)
        }
    }

    /// While nobody sees them, pictures are thrown away: an app in the background must not use the
    /// GPU. The session finds its place again by the RTP times.
    public func hidden(_ on: Bool) { waiting.refuse(on) }

    // MARK: - what the app wants

    public func seek(to frame: Int64) async throws {
        try await ask { session in
            self.ended = false
            return crispcast_session_seek(session, frame)
        }
    }

    public func pause(_ on: Bool) async throws {
        try await ask { session in
            self.silence.hold(on, at: now())
            return crispcast_session_pause(session, on ? 1 : 0)
        }
    }

    public func loop(_ on: Bool) async throws {
        try await ask { crispcast_session_loop($0, on ? 1 : 0) }
    }

    public func choose(rung: Int?) async throws {
        try await ask { crispcast_session_choose_rung($0, Int32(clamping: rung ?? -1)) }
    }

    public func figures() async throws -> StreamFigures {
        var figures = crispcast_session_figures()
        try await ask { crispcast_session_get_figures($0, &figures) }
        return StreamFigures(figures)
    }

    /// Says goodbye and frees everything. A second call does nothing.
    public func close() async {
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            queue.async {
                if self.session != 0 {
                    crispcast_session_leave(self.session)
                    self.doTasks()
                    crispcast_session_destroy(self.session)
                }
                self.session = 0
                self.timer?.cancel()
                self.fetcher?.close()
                self.fetcher = nil
                self.coreML = nil
                self.send = nil
                done.resume()
            }
        }
    }

    private func ask(_ call: @escaping (crispcast_session) -> Int32) async throws {
        try await withCheckedThrowingContinuation { (done: CheckedContinuation<Void, Error>) in
            queue.async {
                do {
                    if self.session == 0 { throw CrispcastError.closed }
                    try check(call(self.session), of: self.session)
                    self.doTasks()
                    done.resume()
                } catch {
                    done.resume(throwing: error)
                }
            }
        }
    }

    // MARK: - pictures

    private func present(_ picture: DecodedPicture, _ rtpTime: UInt32, hurried: Bool) {
        guard session != 0 else { return }
        let begun = now()
        do {
            guard let info else { throw noManifest }
            let size = picture.size
            guard
                let rung = rungs.first(where: { (rung: crispcast_rung_info) in
                    Int(rung.width) == size.width && Int(rung.height) == size.height
                })
            else { throw CrispcastError.refused(CRISPCAST_ERROR_FRAME_SIZE) }
            let rests = !pace.mayRun(at: begun)
            var backend: any UpscalingBackend = sparse
            if choice.next == .coreML, let coreML { backend = coreML }
            let (buffer, made) = try inputs.with(picture, fullRange: info.fullRange) { planes in
                try outputs.make(
                    info.form, paddedWidth: Int(rung.padded_width),
                    paddedHeight: Int(rung.padded_height)
                ) { large in
                    let frame = StreamFrame(
                        picture: planes, rtpTime: rtpTime, hurried: hurried || rests)
                    return try backend.upscale(frame, into: large)
                }
            }
            let spent = 1000 * (now() - begun)
            judge(made, backend.kind, spent)
            if made.shown {
                meter.shown(at: begun)
                onPicture(
                    StreamPicture(
                        pixelBuffer: buffer, frame: made.facts.frame < 0 ? nil : made.facts.frame,
                        rtpTime: rtpTime, superResolved: made.superResolved,
                        landed: made.facts.landed != 0, backend: backend.kind, milliseconds: spent))
            }
        } catch {
            showSmall(picture, rtpTime, error)
        }
        doTasks()
    }

    /// After a frame: keeps time, and gives up a backend that cannot do it.
    private func judge(_ made: Upscaled, _ kind: BackendKind, _ milliseconds: Double) {
        if made.facts.rung != lastRung {
            lastRung = made.facts.rung
            pace.otherNetworks()
        }
        if let trouble = made.trouble {
            choice.failed(kind)
            onEvent(.withoutCoreML(trouble))
        }
        guard made.superResolved else { return }
        pace.took(milliseconds, at: now())
        let open = choice.chosen == nil
        choice.took(kind, milliseconds: milliseconds)
        if open, let chosen = choice.chosen {
            KeptChoices.write(choiceKey, chosen)
            onEvent(
                .chose(
                    chosen, sparse: choice.medianTime(.sparse),
                    coreML: choice.medianTime(.coreML)))
        }
    }

    /// The picture as it came: the video goes on, whatever happens to the networks.
    private func showSmall(_ picture: DecodedPicture, _ rtpTime: UInt32, _ error: Error) {
        let why = error as? CrispcastError ?? .picture(error.localizedDescription)
        if why != lastTrouble { onEvent(.shownSmall(why)) }
        lastTrouble = why
        let (width, height) = picture.size
        let form = OutputForm(width: width, height: height, fullRange: info?.fullRange ?? false)
        var buffer: CVPixelBuffer?
        if case .pixelBuffer(let own) = picture {
            buffer = own
        } else {
            buffer = try? inputs.with(picture, fullRange: form.fullRange) { planes in
                try outputs.make(form, paddedWidth: width, paddedHeight: height) { large in
                    copy(planes, large)
                }.0
            }
        }
        guard let buffer else { return }
        onPicture(
            StreamPicture(
                pixelBuffer: buffer, frame: nil, rtpTime: rtpTime, superResolved: false,
                landed: false, backend: .sparse, milliseconds: 0))
    }

    private func copy(_ small: I420Picture, _ large: LargePlanes) {
        let planes = [(small.y, large.y, 1), (small.u, large.u, 2), (small.v, large.v, 2)]
        for (from, to, part) in planes {
            crispcast_planes_copy(
                from.data, from.stride, Int32((small.width + part - 1) / part),
                Int32((small.height + part - 1) / part), to.data, to.stride)
        }
    }

    // MARK: - the session's wishes

    private func tick() {
        guard session != 0 else { return }
        if silence.lasts(since: waiting.last, at: now()) {
            silence.end()  // it is told once
            onEvent(.lost("nothing came for \(Int(Silence.patience)) s; the server is gone"))
        }
        if info != nil {
            crispcast_session_report(
                session, pace.networkMilliseconds, meter.framesPerSecond(at: now()),
                pace.resting ? 1 : 0)
        }
        doTasks()
    }

    /// The video is over.
    func end(frames: Int64?) {
        ended = true
        silence.end()
        onEvent(.ended(frames: frames))
    }

    /// What a call gave is told by tasks and figures; what follows from it is done.
    func told(_ status: Int32) {
        guard session != 0 else { return }
        doTasks()
    }

    /// A task that is answered at once brings more, which the loop that runs does: a loop in a loop
    /// for each would take more stack than the queue has.
    func doTasks() {
        guard !doing else { return }
        doing = true
        defer { doing = false }
        var task = crispcast_task()
        while session != 0,
            crispcast_session_next_task(session, Int64(1000 * now()), &task) == 0,
            task.kind != 0
        {
            perform(task)
        }
    }

    // MARK: - the manifest

    func opened() {
        var facts = crispcast_session_info()
        guard crispcast_session_get_info(session, &facts) == 0 else { return }
        let info = StreamInfo(facts)
        self.info = info
        rungs = (0..<facts.rungs).compactMap { rung in
            var facts = crispcast_rung_info()
            return crispcast_session_get_rung(session, rung, &facts) == 0 ? facts : nil
        }
        pace = Pace(frameMilliseconds: info.frameMilliseconds)
        onEvent(.opened(info))
        offerCoreML(info)
    }

    /// Compiles and loads the models beside the play; until they are here the sparse backend runs.
    private func offerCoreML(_ info: StreamInfo) {
        guard
            coreML == nil, options.superResolution, options.backends.contains(.coreML),
            let models = options.models, models.offersCoreML(for: info.package)
        else { return }
        let plans = Array(models.index.experts.keys)
        choiceKey = KeptChoices.key(plans: plans, width: info.width, height: info.height)
        if KeptChoices.read(choiceKey) == .sparse { return }
        Task { [weak self] in
            do {
                let loaded = try await models.load()
                guard let self else { return }
                self.queue.async { self.begin(models, loaded) }
            } catch {
                let why = error as? CrispcastError ?? .model(error.localizedDescription)
                self?.onEvent(.withoutCoreML(why))
            }
        }
    }

    private func begin(_ models: ModelBundle, _ loaded: [String: [LoadedModel]]) {
        guard session != 0 else { return }
        coreML = CoreMLBackend(session: session, index: models.index, models: loaded)
        let among = BackendKind.allCases.filter { options.backends.contains($0) }
        choice = BackendChoice(among, known: KeptChoices.read(choiceKey))
    }
}

/// Seconds of a clock that does not jump.
func now() -> Double { Double(DispatchTime.now().uptimeNanoseconds) / 1e9 }
