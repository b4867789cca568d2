import Foundation

/// Fetches assets by `GET ../assets/SHA256` of the endpoint, two at a time, from an offset on where
/// something is there already (RFC 9110, section 14.2).
///
/// A server that answers with anything else than what was asked for is not listened to. The token
/// goes to the endpoint's own origin only. Whether it may go there is for the caller to know: where
/// a redirect led to the endpoint, `WhepClient.token(for:)` says it.
final class AssetFetcher: NSObject, URLSessionDataDelegate, @unchecked Sendable {
    struct Wanted {
        let sha256: String
        var offset: Int
        let total: Int
        /// Bytes from an offset on, in order.
        let piece: @Sendable (Int, Data) -> Void
        /// It is not to be had.
        let failed: @Sendable () -> Void
        var tries = 0
    }

    private let endpoint: URL
    private let token: String?
    private let queue = OperationQueue()
    private var wanted: [Int: Wanted] = [:]  // by task; this and `closed` are touched on `queue` only
    private var closed = false
    private lazy var session: URLSession = {
        let settings = URLSessionConfiguration.ephemeral
        settings.httpMaximumConnectionsPerHost = 2
        settings.timeoutIntervalForRequest = 8
        settings.requestCachePolicy = .reloadIgnoringLocalCacheData
        return URLSession(configuration: settings, delegate: self, delegateQueue: queue)
    }()

    init(endpoint: URL, token: String?) {
        self.endpoint = endpoint
        self.token = token
        super.init()
        queue.maxConcurrentOperationCount = 1
    }

    func fetch(_ asset: Wanted) { queue.addOperation { self.begin(asset) } }

    /// Ends all. Nothing is heard of what is under way, or asked for from now on.
    func close() {
        queue.addOperation {
            self.closed = true
            self.wanted.removeAll()
            self.session.invalidateAndCancel()
        }
    }

    private func begin(_ asset: Wanted) {
        guard !closed else { return }
        guard let url = URL(string: "../assets/\(asset.sha256)", relativeTo: endpoint)?.absoluteURL
        else { return asset.failed() }
        var request = URLRequest(url: url)
        if asset.offset > 0 {
            request.setValue("bytes=\(asset.offset)-", forHTTPHeaderField: "Range")
        }
        authorize(&request)
        let task = session.dataTask(with: request)
        wanted[task.taskIdentifier] = asset
        task.resume()
    }

    /// URLSession may carry the header along to where a redirect leads, or drop it on the way.
    private func authorize(_ request: inout URLRequest) {
        let trusted = request.url.map { origin($0) == origin(endpoint) } ?? false
        let header = trusted ? token.map { "Bearer \($0)" } : nil
        request.setValue(header, forHTTPHeaderField: "Authorization")
    }

    func urlSession(
        _ session: URLSession, task: URLSessionTask,
        willPerformHTTPRedirection response: HTTPURLResponse, newRequest request: URLRequest,
        completionHandler: @escaping (URLRequest?) -> Void
    ) {
        var next = request
        authorize(&next)
        completionHandler(next)
    }

    func urlSession(
        _ session: URLSession, dataTask: URLSessionDataTask, didReceive response: URLResponse,
        completionHandler: @escaping (URLSession.ResponseDisposition) -> Void
    ) {
        let number = dataTask.taskIdentifier
        guard var asset = wanted[number], let answer = response as? HTTPURLResponse else {
            return completionHandler(.cancel)
        }
        let range = answer.value(forHTTPHeaderField: "Content-Range") ?? ""
        if answer.statusCode == 200 {
            asset.offset = 0  // it does not do ranges
            wanted[number] = asset
            return completionHandler(.allow)
        }
        if answer.statusCode == 206, range.hasPrefix("bytes \(asset.offset)-") {
            return completionHandler(.allow)
        }
        if answer.statusCode < 500 {
            wanted[number] = nil
            asset.failed()
        }
        completionHandler(.cancel)
    }

    func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {
        let number = dataTask.taskIdentifier
        guard var asset = wanted[number] else { return }
        guard asset.offset + data.count <= asset.total else {
            wanted[number] = nil
            dataTask.cancel()
            return asset.failed()
        }
        asset.piece(asset.offset, data)
        asset.offset += data.count
        wanted[number] = asset
    }

    func urlSession(
        _ session: URLSession, task: URLSessionTask, didCompleteWithError error: Error?
    ) {
        guard var asset = wanted.removeValue(forKey: task.taskIdentifier) else { return }
        if asset.offset == asset.total { return }
        asset.tries += 1
        if asset.tries < 3 { begin(asset) } else { asset.failed() }
    }
}
