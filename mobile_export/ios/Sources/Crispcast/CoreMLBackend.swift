import CCrispcast
import CoreML
import CoreVideo
import Foundation

/// The bundled Core ML models: luma of the patches that have a network. All else the session makes
/// beforehand, chroma with what plates have of it and luma by interpolation, so a model that fails
/// leaves a whole picture.
final class CoreMLBackend: UpscalingBackend {
    let kind = BackendKind.coreML
    private let session: crispcast_session
    private let index: ModelIndex
    private let models: [String: [LoadedModel]]
    private var patches: [crispcast_patch] = []
    private let plate = Scratch()
    private let before = Scratch()
    private var beforeSize: (width: Int, height: Int) = (0, 0)

    init(session: crispcast_session, index: ModelIndex, models: [String: [LoadedModel]]) {
        self.session = session
        self.index = index
        self.models = models
    }

    func upscale(_ frame: StreamFrame, into large: LargePlanes) throws -> Upscaled {
        var record = frame.record(large)
        record.flags |= Int32(bitPattern: CRISPCAST_FRAME_FOR_BACKEND.rawValue)
        var facts = crispcast_session_result()
        try check(crispcast_session_upscale(session, &record, &facts), of: session)
        defer { keep(frame.picture) }
        if facts.shown == 0 || facts.frame < 0 || frame.hurried {
            return Upscaled(facts: facts, superResolved: false)
        }
        do {
            try networks(frame, follows: facts.follows != 0, large)
            return Upscaled(facts: facts, superResolved: facts.super_resolved != 0)
        } catch let error as CrispcastError {
            return Upscaled(facts: facts, superResolved: false, trouble: error)
        }
    }

    /// Runs the networks of all patches that have one here.
    private func networks(_ frame: StreamFrame, follows: Bool, _ large: LargePlanes) throws {
        let count = try readPatches()
        let experts = Set(patches[0..<count].map(\.expert)).filter { $0 > 0 }.sorted()
        var plateHere: crispcast_plane?
        for expert in experts {
            var name = [CChar](repeating: 0, count: Int(CRISPCAST_SHA256_TEXT))
            var here: Int32 = 0
            try check(crispcast_session_expert(session, expert, &name, &here), of: session)
            if here == 0 { continue }
            let plan = String(cString: name)
            guard let known = index.experts[plan], let loaded = models[plan] else {
                throw CrispcastError.model("the app was built without network \(plan.prefix(16))")
            }
            var inputs = ["luma": frame.picture.y]
            let size = (frame.picture.width, frame.picture.height)
            if known.inputs.contains("previous") {
                inputs["previous"] =
                    follows && beforeSize == size
                    ? read(before.plane(width: size.0, height: size.1)) : frame.picture.y
            }
            if known.inputs.contains("plate") {
                let read = try plateHere ?? readPlate(large)
                plateHere = read
                inputs["plate"] = read
            }
            let mine = patches[0..<count].filter { $0.expert == expert }
            for run in try runs(of: mine, known.reach, loaded, size) {
                try predict(run, inputs, scale: known.scale, large)
            }
        }
    }

    private func readPatches() throws -> Int {
        let room = patches.count
        var count = 0
        var status = crispcast_session_patches(session, &patches, room, &count)
        if count > room {
            let wanted = count
            patches = [crispcast_patch](repeating: crispcast_patch(), count: wanted)
            status = crispcast_session_patches(session, &patches, wanted, &count)
        }
        try check(status, of: session)
        return count
    }

    private func readPlate(_ large: LargePlanes) throws -> crispcast_plane {
        let plane = plate.plane(width: large.width, height: large.height)
        var here: Int32 = 0
        try check(
            crispcast_session_plate(session, plane.data, plane.stride, &here), of: session)
        if here == 0 { memset(plane.data, 128, large.width * large.height) }
        return read(plane)
    }

    private func keep(_ picture: I420Picture) {
        let plane = before.plane(width: picture.width, height: picture.height)
        crispcast_planes_copy(
            picture.y.data, picture.y.stride, Int32(picture.width), Int32(picture.height),
            plane.data, plane.stride)
        beforeSize = (picture.width, picture.height)
    }

    // MARK: - windows

    /// One call of a model: where its input lies in the small frame, and which patches it is for.
    private struct Run {
        let model: MLModel
        let window: Window
        let patches: [crispcast_patch]
    }

    /// Windows of the patches, or the whole frame where that is fewer samples.
    private func runs(
        of patches: [crispcast_patch], _ reach: Int, _ loaded: [LoadedModel],
        _ frame: (width: Int, height: Int)
    ) throws -> [Run] {
        let sized = loaded.flatMap { entry in
            entry.shapes.filter { $0.count == 2 }.map { (entry.model, $0[0], $0[1]) }
        }
        var found: [Run] = []
        for patch in patches {
            let needed = Window.around(patch, reach: reach, in: frame)
            let fitting = sized.filter {
                $0.1 >= needed.width && $0.2 >= needed.height && $0.1 <= frame.width
                    && $0.2 <= frame.height
            }
            guard let best = fitting.min(by: { $0.1 * $0.2 < $1.1 * $1.2 }) else {
                throw CrispcastError.model(
                    "no model takes \(needed.width)x\(needed.height): export again")
            }
            let window = needed.widened(to: (best.1, best.2), in: frame)
            found.append(Run(model: best.0, window: window, patches: [patch]))
        }
        let samples = found.reduce(0) { $0 + $1.window.width * $1.window.height }
        let all = sized.first { $0.1 == frame.width && $0.2 == frame.height }
        if let all, samples >= frame.width * frame.height {
            let window = Window(x: 0, y: 0, width: frame.width, height: frame.height)
            return [Run(model: all.0, window: window, patches: patches)]
        }
        return found
    }

    private func predict(
        _ run: Run, _ inputs: [String: crispcast_plane], scale: Int, _ large: LargePlanes
    ) throws {
        let window = run.window
        var features: [String: MLFeatureValue] = [:]
        for (name, plane) in inputs {
            let factor = name == "plate" ? scale : 1
            let part = try wrapped(plane, window.scaled(by: factor))
            features[name] = MLFeatureValue(pixelBuffer: part)
        }
        let made: CVPixelBuffer
        do {
            let provider = try MLDictionaryFeatureProvider(dictionary: features)
            let result = try run.model.prediction(from: provider)
            guard let hr = result.featureValue(for: "hr")?.imageBufferValue else {
                throw CrispcastError.model("a model gave no picture: export again")
            }
            made = hr
        } catch let error as CrispcastError {
            throw error
        } catch {
            throw CrispcastError.model("a model failed: \(error.localizedDescription)")
        }
        CVPixelBufferLockBaseAddress(made, .readOnly)
        defer { CVPixelBufferUnlockBaseAddress(made, .readOnly) }
        guard
            CVPixelBufferGetPixelFormatType(made) == kCVPixelFormatType_OneComponent8,
            CVPixelBufferGetWidth(made) == scale * window.width,
            CVPixelBufferGetHeight(made) == scale * window.height,
            let base = CVPixelBufferGetBaseAddress(made)
        else { throw CrispcastError.model("a model gave a picture of another size or format") }
        let stride = CVPixelBufferGetBytesPerRow(made)
        let samples = base.assumingMemoryBound(to: UInt8.self)
        for patch in run.patches {
            let inside = Window(patch).scaled(by: scale)
            let across = inside.x - scale * window.x
            let down = inside.y - scale * window.y
            crispcast_planes_copy(
                samples + down * stride + across, stride, Int32(inside.width),
                Int32(inside.height), large.y.data + inside.y * large.y.stride + inside.x,
                large.y.stride)
        }
    }

    /// A grey pixel buffer over a part of a plane: nothing is copied.
    private func wrapped(_ plane: crispcast_plane, _ window: Window) throws -> CVPixelBuffer {
        let start = plane.data + window.y * plane.stride + window.x
        var buffer: CVPixelBuffer?
        CVPixelBufferCreateWithBytes(
            nil, window.width, window.height, kCVPixelFormatType_OneComponent8,
            UnsafeMutableRawPointer(mutating: start), plane.stride, nil, nil, nil, &buffer)
        guard let buffer else {
            throw CrispcastError.picture("the system gave no pixel buffer for a model's input")
        }
        return buffer
    }
}
