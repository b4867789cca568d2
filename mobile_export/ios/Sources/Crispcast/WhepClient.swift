import Foundation

/// A server that helps to get through a NAT.
public struct IceServer: Equatable, Sendable {
    public let url: String
    public let username: String?
    public let credential: String?
}

/// The 201: the answer's SDP, the session's own URL for DELETE, and who answered.
public struct WhepAnswer: Sendable {
    public let sdp: String
    /// Nil where it is said to be of an origin that is not to be contacted.
    public let session: URL?
    public let endpoint: URL
    /// Where to ask for another session with the same server: the endpoint, and of one that a
    /// redirect led to, without what it said of the way there.
    public let place: URL
}

/// The HTTP half of WHEP (draft-ietf-wish-whep-03, sections 4.2 to 4.5).
public struct WhepClient: Sendable {
    static let longestAnswer = 256 << 10
    static let mostRedirects = 3
    /// The address that the app gave.
    public let endpoint: URL
    private let bearer: Bearer

    /// `tokenOrigins`: who else than the endpoint's origin may see the token, as
    /// `https://b.example.org`. Throws where `endpoint` is no http or https address, `token` no
    /// bearer token (RFC 6750), or an origin none.
    public init(endpoint: URL, token: String? = nil, tokenOrigins: [URL] = []) throws {
        guard isWeb(endpoint) else {
            throw CrispcastError.server(
                "\(endpoint) is not an http or https address like https://HOST/whep/NAME")
        }
        self.endpoint = endpoint
        bearer = try Bearer(token: token, given: endpoint, named: tokenOrigins)
    }

    /// The token where `url` is of an origin that may see it, else nil.
    public func token(for url: URL) -> String? { bearer.token(for: url) }

    /// The servers that `place` names; none where it names none or does not answer.
    public func iceServers(at place: URL) async -> [IceServer] {
        guard let (_, response) = try? await send("OPTIONS", place, nil) else { return [] }
        return Links.iceServers(response.value(forHTTPHeaderField: "Link") ?? "")
    }

    /// Posts the offer to `place`, the endpoint or who answered for it before, and takes the answer.
    public func post(offer: String, to place: URL) async throws -> WhepAnswer {
        var url = place
        for hops in 0...WhepClient.mostRedirects {
            let (body, response) = try await send("POST", url, Data(offer.utf8))
            let location = response.value(forHTTPHeaderField: "Location")
            let next = location.flatMap { URL(string: $0, relativeTo: url)?.absoluteURL }
            if response.statusCode == 307, let next {
                url = next
                continue
            }
            guard response.statusCode == 201 else {
                throw WhepClient.refusal(url, response, body)
            }
            guard
                response.mimeType == "application/sdp", let next,
                body.count <= WhepClient.longestAnswer
            else { throw CrispcastError.server("\(url) does not speak WHEP") }
            return WhepAnswer(
                sdp: String(decoding: body, as: UTF8.self), session: session(next, of: url),
                endpoint: url,
                place: hops > 0 ? WhepClient.withoutQuery(url) : url)
        }
        throw CrispcastError.server("\(place): more than \(WhepClient.mostRedirects) redirects")
    }

    /// Where the session is: at the origin that answered, or at one that may see the token. A server
    /// cannot send our requests elsewhere: then nil.
    func session(_ said: URL, of endpoint: URL) -> URL? {
        isWeb(said) && (origin(said) == origin(endpoint) || bearer.trusts(said)) ? said : nil
    }

    /// Ends the session. A server that is gone already is no error.
    public func delete(_ session: URL) async {
        _ = try? await send("DELETE", session, nil)
    }

    private func send(
        _ method: String, _ url: URL, _ body: Data?
    ) async throws -> (Data, HTTPURLResponse) {
        var request = URLRequest(url: url, timeoutInterval: 15)
        request.httpMethod = method
        request.httpBody = body
        if body != nil { request.setValue("application/sdp", forHTTPHeaderField: "Content-Type") }
        if let token = self.token(for: url) {
            request.setValue("Bearer \(token)", forHTTPHeaderField: "Authorization")
        }
        do {
            let (data, response) = try await URLSession.shared.data(
                for: request, delegate: NoRedirect())
            if let answer = response as? HTTPURLResponse { return (data, answer) }
        } catch let error as URLError {
            throw CrispcastError.server(
                "\(url) does not answer: \(error.localizedDescription) Is the server there?")
        }
        throw CrispcastError.server("\(url) does not speak HTTP")
    }

    /// What the server said (RFC 9457 problem or a `detail`), else its status.
    static func refusal(_ url: URL, _ response: HTTPURLResponse, _ body: Data) -> CrispcastError {
        struct Problem: Decodable { let detail: String }
        let said = try? JSONDecoder().decode(Problem.self, from: body.prefix(4096)).detail
        let status = response.statusCode
        let reason = said ?? HTTPURLResponse.localizedString(forStatusCode: status)
        let wait = response.value(forHTTPHeaderField: "Retry-After").flatMap { Int($0) }
        let again = wait.map { "; try again in \($0) s" } ?? ""
        return .refused(
            status: status, retryAfter: wait, why: "\(url): \(reason) (status \(status))\(again)")
    }

    static func withoutQuery(_ url: URL) -> URL {
        var parts = URLComponents(url: url, resolvingAgainstBaseURL: true)
        parts?.query = nil
        return parts?.url ?? url
    }
}

/// Redirects are looked at first: a POST must stay one.
private final class NoRedirect: NSObject, URLSessionTaskDelegate {
    func urlSession(
        _ session: URLSession, task: URLSessionTask,
        willPerformHTTPRedirection response: HTTPURLResponse, newRequest request: URLRequest,
        completionHandler: @escaping (URLRequest?) -> Void
    ) {
        completionHandler(nil)
    }
}

/// Link headers (RFC 8288), as far as WHEP needs them.
enum Links {
    static func iceServers(_ header: String) -> [IceServer] {
        split(header, at: ",").compactMap { link in
            let parts = split(link, at: ";")
            guard
                let target = parts.first, target.hasPrefix("<"), target.hasSuffix(">"),
                parameter("rel", parts) == "ice-server"
            else { return nil }
            return IceServer(
                url: String(target.dropFirst().dropLast()), username: parameter("username", parts),
                credential: parameter("credential", parts))
        }
    }

    private static func parameter(_ name: String, _ parts: [String]) -> String? {
        for part in parts.dropFirst() where part.lowercased().hasPrefix(name + "=") {
            let value = String(part.dropFirst(name.count + 1))
            return value.hasPrefix("\"") ? String(value.dropFirst().dropLast()) : value
        }
        return nil
    }

    /// Parts between separators outside of quotes and angle brackets, without blanks around them.
    private static func split(_ text: String, at separator: Character) -> [String] {
        var parts: [String] = [""]
        var quoted = false
        var bracketed = false
        for character in text {
            if character == "\"" && !bracketed { quoted.toggle() }
            if character == "<" && !quoted { bracketed = true }
            if character == ">" && !quoted { bracketed = false }
            if character == separator && !quoted && !bracketed {
                parts.append("")
            } else {
                parts[parts.count - 1].append(character)
            }
        }
        return parts.map { $0.trimmingCharacters(in: .whitespaces) }
    }
}
