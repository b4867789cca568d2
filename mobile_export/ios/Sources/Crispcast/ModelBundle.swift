import CoreML
import Foundation

/// `index.json` of the bundled networks, as far as it is read here.
struct ModelIndex: Decodable {
    struct Expert: Decodable {
        let scale: Int
        /// "luma", and some of "previous" and "plate".
        let inputs: [String]
        /// True neighbours that a window has on each side of its patch.
        let reach: Int
    }

    struct Function: Decodable {
        let name: String
        let plan: String
        /// [width, height] in LR samples.
        let shapes: [[Int]]
    }

    struct Model: Decodable {
        let file: String
        let target: String
        let functions: [Function]
    }

    struct File: Decodable {
        let bytes: Int
        let sha256: String
    }

    let package: String
    /// By the SHA-256 of their plans.
    let experts: [String: Expert]
    let models: [Model]
    /// By path in the bundle.
    let files: [String: File]
}

/// A Core ML model of one plan, for some sizes.
struct LoadedModel {
    let model: MLModel
    let shapes: [[Int]]
}

/// The networks that came with the app: plans and bases as bytes, Core ML models compiled on the
/// device once. Everything is checked against the index before it is used.
public final class ModelBundle: Sendable {
    let index: ModelIndex
    private let folder: URL

    /// Core ML is offered up to this many networks: each is a model that the device compiles and
    /// holds.
    static let mostModels = 8

    /// `resources`: `CrispcastModels.resources`. Throws where there is no index, or it is none.
    public init(resources: URL) throws {
        folder = resources
        let file = resources.appendingPathComponent("index.json")
        do {
            index = try JSONDecoder().decode(ModelIndex.self, from: Data(contentsOf: file))
        } catch {
            throw CrispcastError.model("\(file.path) cannot be read: export the package again")
        }
    }

    /// A wire plan; nil where it is not here.
    func plan(_ sha256: String) -> Data? { checked("plans/\(sha256).plan") }

    /// The wire plan of a shipped base; nil where it is not here.
    func base(_ id: String) -> Data? { checked("bases/\(id).plan") }

    private func checked(_ path: String) -> Data? {
        guard
            let known = index.files[path],
            let data = try? Data(contentsOf: folder.appendingPathComponent(path)),
            data.count == known.bytes, hash(data) == known.sha256
        else { return nil }
        return data
    }

    /// Whether Core ML can be tried for this package: it is the one that was exported, and small.
    func offersCoreML(for package: String) -> Bool {
        index.package == package && (1...ModelBundle.mostModels).contains(index.experts.count)
    }

    /// The models of all experts by plan, compiled and loaded. Slow the first time.
    ///
    /// Throws `CrispcastError.model` where a file is damaged or Core ML refuses a model.
    func load() async throws -> [String: [LoadedModel]] {
        let newest = ModelBundle.newestTarget
        let oldest = "iOS16"
        let target = index.models.contains { $0.target == newest } ? newest : oldest
        var found: [String: [LoadedModel]] = [:]
        for model in index.models where model.target == target {
            let compiled = try await compile(model.file)
            for function in model.functions {
                let settings = MLModelConfiguration()
                if #available(iOS 18, macOS 15, *), function.name != "main" {
                    settings.functionName = function.name
                }
                do {
                    let loaded = try await MLModel.load(
                        contentsOf: compiled, configuration: settings)
                    found[function.plan, default: []].append(
                        LoadedModel(model: loaded, shapes: function.shapes))
                } catch {
                    throw CrispcastError.model(
                        "Core ML refuses \(model.file): \(error.localizedDescription)")
                }
            }
        }
        for plan in index.experts.keys where found[plan] == nil {
            throw CrispcastError.model("no model of plan \(plan.prefix(16)): export again")
        }
        return found
    }

    static var newestTarget: String {
        if #available(iOS 18, macOS 15, *) { return "iOS18" }
        return "iOS16"
    }

    /// The compiled form of a model, kept in the app's caches by the hashes of its files.
    private func compile(_ path: String) async throws -> URL {
        let parts = index.files.filter { $0.key.hasPrefix(path + "/") }
        guard !parts.isEmpty else {
            throw CrispcastError.model("\(path) is not in the index: export the package again")
        }
        for part in parts.keys where checked(part) == nil {
            throw CrispcastError.model("\(part) is damaged: export the package again")
        }
        let identity = hash(Data(parts.map { $0.key + $0.value.sha256 }.sorted().joined().utf8))
        let caches = AssetCache.standardFolder.deletingLastPathComponent()
            .appendingPathComponent("org.crispcast.models", isDirectory: true)
        let kept = caches.appendingPathComponent("\(identity).mlmodelc", isDirectory: true)
        if FileManager.default.fileExists(atPath: kept.path) { return kept }
        do {
            let made = try await MLModel.compileModel(at: folder.appendingPathComponent(path))
            try FileManager.default.createDirectory(at: caches, withIntermediateDirectories: true)
            try FileManager.default.moveItem(at: made, to: kept)
            return kept
        } catch {
            throw CrispcastError.model("Core ML refuses \(path): \(error.localizedDescription)")
        }
    }
}
