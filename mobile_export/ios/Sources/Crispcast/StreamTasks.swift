import CCrispcast
import Foundation

/// What the session asks an app to do: crispcast_session.h says how each task is answered.
extension StreamCore {
    func perform(_ task: crispcast_task) {
        let sha256 = text(of: task.sha256)
        let bytes = task.bytes.map { Data(bytes: $0, count: task.size) } ?? Data()
        switch crispcast_task_kind(UInt32(bitPattern: task.kind)) {
        case CRISPCAST_TASK_SEND: send?(bytes)
        case CRISPCAST_TASK_LOOK: look(sha256)
        case CRISPCAST_TASK_FETCH:
            fetch(sha256, from: Int(clamping: task.offset), total: Int(clamping: task.total))
        case CRISPCAST_TASK_STORE: store(sha256, bytes)
        case CRISPCAST_TASK_DECODE: decode(sha256, bytes, Int(task.width), Int(task.height))
        case CRISPCAST_TASK_BASE: base(text(of: task.id))
        case CRISPCAST_TASK_VERIFY: verify(task.count, bytes)
        case CRISPCAST_TASK_MANIFEST: opened()
        case CRISPCAST_TASK_JOINED: break  // an app hears of `ready`, which follows
        default: tell(task, sha256)
        }
    }

    private func tell(_ task: crispcast_task, _ sha256: String) {
        let why = String(cString: task.text)
        let error = CrispcastError.core(status: task.status, why: why)
        let (rung, segment) = (Int(task.rung), Int(task.segment))
        switch crispcast_task_kind(UInt32(bitPattern: task.kind)) {
        case CRISPCAST_TASK_READY: onEvent(.ready(rung: rung, segment: segment))
        case CRISPCAST_TASK_LATE:
            onEvent(.late(rung: rung, segment: segment, assets: Int(task.count)))
        case CRISPCAST_TASK_REFUSED: onEvent(.refused(asset: sha256, error))
        case CRISPCAST_TASK_NOT_DONE: onEvent(.notDone(why))
        case CRISPCAST_TASK_ENDED: end(frames: task.count < 0 ? nil : task.count)
        case CRISPCAST_TASK_LOST: onEvent(.lost(why))
        case CRISPCAST_TASK_FAILED: failed(task.status, error)
        case CRISPCAST_TASK_UNTRUSTED: onEvent(.untrusted(error))
        default: break
        }
    }

    /// What cannot be used of what the server says ends the conversation and not the video, which is
    /// shown as it comes.
    private func failed(_ status: Int32, _ error: CrispcastError) {
        let useless = [CRISPCAST_ERROR_MANIFEST, CRISPCAST_ERROR_RUNG]
        if useless.contains(where: { status == Int32(bitPattern: $0.rawValue) }) {
            noManifest = error
        } else {
            onEvent(.failed(error))
        }
    }

    private func look(_ sha256: String) {
        if let plan = options.models?.plan(sha256) { return answer(sha256, plan) }
        guard let cache = options.cache else { return lacks(sha256) }
        Task { [weak self] in
            let data = await cache.read(sha256)
            guard let self else { return }
            self.queue.async {
                if let data { self.answer(sha256, data) } else { self.lacks(sha256) }
            }
        }
    }

    private func answer(_ sha256: String, _ data: Data) {
        told(
            data.withUnsafeBytes {
                crispcast_session_asset(session, sha256, $0.baseAddress, $0.count)
            })
    }

    private func lacks(_ sha256: String) { told(crispcast_session_lacks(session, sha256)) }

    /// Where there is no connection nothing is said: the next one is asked for the same assets, and
    /// what the fetcher of one before has to say would be taken for its own.
    private func fetch(_ sha256: String, from offset: Int, total: Int) {
        guard let fetcher else { return }
        fetcher.fetch(
            AssetFetcher.Wanted(
                sha256: sha256, offset: offset, total: total,
                piece: { [weak self, weak fetcher] offset, data in
                    self?.hear(fetcher) { $0.piece(sha256, offset, data) }
                },
                failed: { [weak self, weak fetcher] in
                    self?.hear(fetcher) { $0.lacks(sha256) }
                }))
    }

    private func hear(
        _ fetcher: AssetFetcher?, _ answer: @escaping @Sendable (StreamCore) -> Void
    ) {
        queue.async { if let fetcher, fetcher === self.fetcher { answer(self) } }
    }

    private func piece(_ sha256: String, _ offset: Int, _ data: Data) {
        told(
            data.withUnsafeBytes {
                crispcast_session_piece(
                    session, sha256, UInt64(offset), $0.baseAddress, $0.count)
            })
    }

    private func store(_ sha256: String, _ data: Data) {
        guard let cache = options.cache else { return }
        Task { await cache.write(sha256, data) }
    }

    private func decode(_ sha256: String, _ avif: Data, _ width: Int, _ height: Int) {
        DispatchQueue.global(qos: .userInitiated).async { [weak self] in
            let samples = PlateDecoder.decode(avif, width: width, height: height)
            guard let self else { return }
            self.queue.async { self.decoded(sha256, samples, width, height) }
        }
    }

    private func decoded(_ sha256: String, _ samples: Data?, _ width: Int, _ height: Int) {
        guard let samples else {
            return told(crispcast_session_picture(session, sha256, nil, 0, 0, 0))
        }
        told(
            samples.withUnsafeBytes {
                crispcast_session_picture(
                    session, sha256, $0.bindMemory(to: UInt8.self).baseAddress, width,
                    Int32(width), Int32(height))
            })
    }

    private func verify(_ question: Int64, _ asked: Data) {
        told(crispcast_session_verified(session, question, isSigned(asked) ? 1 : 0))
    }

    private func base(_ id: String) {
        let wire = options.models?.base(id) ?? Data()
        told(
            wire.withUnsafeBytes {
                crispcast_session_base(session, id, wire.isEmpty ? nil : $0.baseAddress, $0.count)
            })
    }
}
