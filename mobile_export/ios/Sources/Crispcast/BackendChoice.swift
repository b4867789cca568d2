import Foundation

/// Which backend makes the frames, found by trying: at the start each makes a few in turn, and the
/// one whose median is the shorter stays. What was found is kept by device, system and networks.
struct BackendChoice {
    /// Frames of each that count, after those that warm it up.
    static let counted = 7
    static let warming = 2

    private(set) var chosen: BackendKind?
    private var times: [BackendKind: [Double]] = [:]
    private let candidates: [BackendKind]

    /// `known`: what was found before, if it is among `candidates`.
    init(_ candidates: [BackendKind], known: BackendKind? = nil) {
        self.candidates = candidates
        if candidates.count < 2 {
            chosen = candidates.first ?? .sparse
        } else if let known, candidates.contains(known) {
            chosen = known
        }
    }

    /// Who makes the next frame.
    var next: BackendKind {
        if let chosen { return chosen }
        let enough = BackendChoice.warming + BackendChoice.counted
        return candidates.first { times[$0, default: []].count < enough } ?? .sparse
    }

    /// A frame with networks took so long. The choice falls with the last that is needed.
    mutating func took(_ kind: BackendKind, milliseconds: Double) {
        guard chosen == nil else { return }
        times[kind, default: []].append(milliseconds)
        let enough = BackendChoice.warming + BackendChoice.counted
        guard candidates.allSatisfy({ times[$0, default: []].count >= enough }) else { return }
        chosen = candidates.min { medianTime($0) < medianTime($1) }
    }

    /// This backend cannot do it: another stays.
    mutating func failed(_ kind: BackendKind) {
        chosen = candidates.first { $0 != kind } ?? .sparse
    }

    /// Of the frames that count; 0 before there are any.
    func medianTime(_ kind: BackendKind) -> Double {
        median(Array(times[kind, default: []].dropFirst(BackendChoice.warming)))
    }
}

func median(_ values: [Double]) -> Double {
    guard !values.isEmpty else { return 0 }
    let sorted = values.sorted()
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/// Where choices are kept: the app's defaults.
enum KeptChoices {
    static func read(_ key: String) -> BackendKind? {
        UserDefaults.standard.string(forKey: key).flatMap(BackendKind.init(rawValue:))
    }

    static func write(_ key: String, _ kind: BackendKind) {
        UserDefaults.standard.set(kind.rawValue, forKey: key)
    }

    /// Of this device and system, for networks with these hashes on frames of this size.
    static func key(plans: [String], width: Int, height: Int) -> String {
        var system = utsname()
        uname(&system)
        let device = text(of: system.machine)
        let build = ProcessInfo.processInfo.operatingSystemVersionString
        let networks = hash(Data(plans.sorted().joined().utf8)).prefix(16)
        return "org.crispcast.backend \(device) \(build) \(networks) \(width)x\(height)"
    }
}

/// The text of a C array of characters, up to its 0.
func text<Characters>(of characters: Characters) -> String {
    withUnsafeBytes(of: characters) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
}
