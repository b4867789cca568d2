import Foundation

/// The networks of one video, as `crispcast export` wrote them.
public enum CrispcastModels {
    /// The folder with `index.json`, `models/`, `plans/` and `bases/`.
    public static var resources: URL? {
        Bundle.module.url(forResource: "Resources", withExtension: nil)
    }
}
