import Foundation

/// A bearer token (RFC 6750) and who may see it: the origin that the app gave, and those that it
/// named. A redirect names nobody.
struct Bearer: Sendable {
    private let token: String?
    private let trusted: Set<String>

    /// Throws where `token` is none, or one of `named` has no origin of http or https.
    init(token: String?, given: URL, named: [URL]) throws {
        if let token, token.range(of: "^[A-Za-z0-9._~+/-]+=*$", options: .regularExpression) == nil {
            throw CrispcastError.server(
                "the token is no bearer token: letters, digits and -._~+/ only")
        }
        for url in named where !isWeb(url) {
            throw CrispcastError.server("\(url) is no origin like https://b.example.org")
        }
        self.token = token
        trusted = Set(([given] + named).map(origin))
    }

    /// Whether `url` is of an origin that may see the token, be there one or not.
    func trusts(_ url: URL) -> Bool { trusted.contains(origin(url)) }

    /// The token for a request to `url`; nil where it may not be seen there.
    func token(for url: URL) -> String? { trusts(url) ? token : nil }
}

/// Scheme, host and port (RFC 6454, section 4), whose letters have no case.
func origin(_ url: URL) -> String {
    let scheme = (url.scheme ?? "").lowercased()
    let port = url.port ?? (scheme == "https" ? 443 : 80)
    return "\(scheme)://\((url.host ?? "").lowercased()):\(port)"
}

/// Whether it is an address of http or https.
func isWeb(_ url: URL) -> Bool {
    ["http", "https"].contains((url.scheme ?? "").lowercased()) && !(url.host ?? "").isEmpty
}
