import CryptoKit
import Foundation

/// Plans, plates and maps on disk, by hash: what was fetched once is there the next time.
///
/// Files are written beside and renamed. What is read is hashed by the session before it is used, so
/// a damaged file costs another fetch and no more. A disk that fails costs the cache and no more.
public actor AssetCache {
    private let folder: URL
    private let limit: Int
    private var held: Int?

    /// `folder` nil: `org.crispcast.assets` in the app's caches. `limit`: bytes it may hold; the
    /// least recently used go first.
    public init(folder: URL? = nil, limit: Int = 256 << 20) {
        self.folder = folder ?? AssetCache.standardFolder
        self.limit = limit
    }

    static var standardFolder: URL {
        let caches = FileManager.default.urls(for: .cachesDirectory, in: .userDomainMask).first
        return (caches ?? FileManager.default.temporaryDirectory)
            .appendingPathComponent("org.crispcast.assets", isDirectory: true)
    }

    /// The asset, or nil. `sha256`: 64 lower-case hexadecimal digits.
    public func read(_ sha256: String) -> Data? {
        guard let file = file(sha256), let data = try? Data(contentsOf: file) else { return nil }
        try? FileManager.default.setAttributes([.modificationDate: Date()], ofItemAtPath: file.path)
        return data
    }

    /// Keeps an asset. Larger than the limit, or not of that hash: it is not kept.
    public func write(_ sha256: String, _ data: Data) {
        guard let file = file(sha256), data.count <= limit, hash(data) == sha256 else { return }
        do {
            try FileManager.default.createDirectory(
                at: folder, withIntermediateDirectories: true)
            try data.write(to: file, options: .atomic)
        } catch {
            return
        }
        held = (held ?? measured()) + data.count
        if held ?? 0 > limit { evict() }
    }

    private func file(_ sha256: String) -> URL? {
        let digits = sha256.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
        return sha256.utf8.count == 64 && digits ? folder.appendingPathComponent(sha256) : nil
    }

    private func measured() -> Int { entries().reduce(0) { $0 + $1.bytes } }

    private func evict() {
        let oldestFirst = entries().sorted { $0.used < $1.used }
        var left = oldestFirst.reduce(0) { $0 + $1.bytes }
        for entry in oldestFirst where left > limit {
            guard (try? FileManager.default.removeItem(at: entry.url)) != nil else { continue }
            left -= entry.bytes
        }
        held = left
    }

    private func entries() -> [(url: URL, bytes: Int, used: Date)] {
        let keys: Set<URLResourceKey> = [.fileSizeKey, .contentModificationDateKey]
        let urls = try? FileManager.default.contentsOfDirectory(
            at: folder, includingPropertiesForKeys: Array(keys))
        return (urls ?? []).compactMap { url in
            guard
                let values = try? url.resourceValues(forKeys: keys), let bytes = values.fileSize,
                let used = values.contentModificationDate
            else { return nil }
            return (url, bytes, used)
        }
    }
}

/// SHA-256 as 64 lower-case hexadecimal digits.
func hash(_ data: Data) -> String {
    SHA256.hash(data: data).map { String(format: "%02x", $0) }.joined()
}
