import CCrispcast
import CrispcastModels
import XCTest

@testable import Crispcast

final class StreamTests: XCTestCase {
    private func makeCore(
        onPicture: @escaping @Sendable (StreamPicture) -> Void = { _ in },
        onEvent: @escaping @Sendable (StreamEvent) -> Void = { _ in }
    ) throws -> StreamCore {
        var options = StreamOptions()
        options.threads = 1
        options.cache = nil
        return try StreamCore(options: options, onPicture: onPicture, onEvent: onEvent)
    }

    func testUseAfterCloseIsAnError() async throws {
        let core = try makeCore()
        await core.close()
        await core.close()
        do {
            try await core.seek(to: 3)
            XCTFail("a closed session sought")
        } catch {
            XCTAssertEqual(error as? CrispcastError, .closed)
        }
        core.message(Data("{}".utf8), binary: false)
    }

    func testAPictureWithoutAManifestIsShownAsItCame() throws {
        let shown = expectation(description: "shown")
        let core = try makeCore(onPicture: { picture in
            XCTAssertFalse(picture.superResolved)
            XCTAssertEqual(CVPixelBufferGetWidth(picture.pixelBuffer), 32)
            shown.fulfill()
        })
        let buffer = try pixelBuffer(
            width: 32, height: 18, fullRange: true, luma: { _, _ in 9 },
            chroma: { _, _ in (128, 128) })
        core.show(.pixelBuffer(buffer), rtpTime: 90_000)
        wait(for: [shown], timeout: 5)
    }

    func testPicturesInTheBackgroundAreThrownAway() throws {
        let shown = expectation(description: "shown")
        shown.isInverted = true
        let core = try makeCore(onPicture: { _ in shown.fulfill() })
        core.hidden(true)
        let buffer = try pixelBuffer(
            width: 32, height: 18, fullRange: true, luma: { _, _ in 9 },
            chroma: { _, _ in (128, 128) })
        core.show(.pixelBuffer(buffer), rtpTime: 1)
        core.queue.sync {}
        wait(for: [shown], timeout: 0.1)
    }

    func testAConnectedSessionSaysHello() throws {
        let said = expectation(description: "said")
        let core = try makeCore()
        let endpoint = try XCTUnwrap(URL(string: "http://127.0.0.1:1/whep/x"))
        core.connected(endpoint: endpoint, token: nil) { text in
            XCTAssertTrue(String(decoding: text, as: UTF8.self).contains("hello"))
            said.fulfill()
        }
        wait(for: [said], timeout: 5)
    }

    func testALossBeforeTheLastFrameIsNoEnd() async throws {
        let core = try makeCore(onEvent: { XCTFail("told \($0)") })
        let endpoint = try XCTUnwrap(URL(string: "http://127.0.0.1:1/whep/x"))
        core.connected(endpoint: endpoint, token: nil) { _ in }
        let over = await core.disconnected()
        XCTAssertFalse(over)
        await core.close()
        let closed = await core.disconnected()
        XCTAssertFalse(closed)
    }

    func testTasksThatATaskBringsAreDoneByTheSameLoop() throws {
        let core = try makeCore()
        let depth = Depth()
        let endpoint = try XCTUnwrap(URL(string: "http://127.0.0.1:1/whep/x"))
        core.connected(endpoint: endpoint, token: nil) { [weak core] _ in
            depth.enter()
            core?.doTasks()
            depth.leave()
        }
        core.queue.sync {
            for _ in 0..<3 { XCTAssertEqual(crispcast_session_connected(core.session), 0) }
            core.doTasks()
        }
        XCTAssertEqual(depth.entered, 4)
        XCTAssertEqual(depth.deepest, 1)
    }

    func testTheBundledNetworksAreWhole() throws {
        let models = try ModelBundle(resources: try XCTUnwrap(CrispcastModels.resources))
        XCTAssertFalse(models.index.experts.isEmpty)
        for sha256 in models.index.experts.keys { XCTAssertNotNil(models.plan(sha256)) }
        XCTAssertNil(models.plan(String(repeating: "0", count: 64)))
    }

    func testCoreMLTakesTheBundledModels() async throws {
        let models = try ModelBundle(resources: try XCTUnwrap(CrispcastModels.resources))
        let loaded = try await models.load()
        XCTAssertEqual(Set(loaded.keys), Set(models.index.experts.keys))
    }
}

/// How deep calls are nested, on the core's queue.
private final class Depth: @unchecked Sendable {
    private(set) var entered = 0
    private(set) var deepest = 0
    private var now = 0

    func enter() {
        entered += 1
        now += 1
        deepest = max(deepest, now)
    }

    func leave() { now -= 1 }
}

final class AssetCacheTests: XCTestCase {
    private let folder = FileManager.default.temporaryDirectory
        .appendingPathComponent(UUID().uuidString)

    override func tearDown() { try? FileManager.default.removeItem(at: folder) }

    func testAssetsAreKeptByTheirHash() async {
        let cache = AssetCache(folder: folder, limit: 100)
        let data = Data("plan".utf8)
        await cache.write(hash(data), data)
        let back = await AssetCache(folder: folder).read(hash(data))
        XCTAssertEqual(back, data)
        await cache.write(String(repeating: "a", count: 64), data)
        let wrong = await cache.read(String(repeating: "a", count: 64))
        XCTAssertNil(wrong)
        let outside = await cache.read("../../etc/passwd")
        XCTAssertNil(outside)
    }

    func testTheLimitHolds() async throws {
        let cache = AssetCache(folder: folder, limit: 100)
        for number in 0..<5 {
            let data = Data(repeating: UInt8(number), count: 40)
            await cache.write(hash(data), data)
        }
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        XCTAssertLessThanOrEqual(files.count, 2)
    }
}

final class WhepTests: XCTestCase {
    func testIceServersOfALinkHeader() {
        let header = """
            </packages/x/manifest.json>; rel="urn:crispcast:whep-ext:super-resolution", \
            <stun:s.example:3478>; rel="ice-server", \
            <turn:t.example:3478?transport=udp>; rel="ice-server"; username="1,a;b"; credential="c"
            """
        XCTAssertEqual(
            Links.iceServers(header),
            [
                IceServer(url: "stun:s.example:3478", username: nil, credential: nil),
                IceServer(
                    url: "turn:t.example:3478?transport=udp", username: "1,a;b", credential: "c"),
            ])
        XCTAssertEqual(Links.iceServers("<;\",<"), [])
    }

    func testAddressesAndTokensThatCannotBe() throws {
        let file = try XCTUnwrap(URL(string: "file:///etc/passwd"))
        XCTAssertThrowsError(try WhepClient(endpoint: file))
        let good = try XCTUnwrap(URL(string: "https://h/whep/x"))
        XCTAssertThrowsError(try WhepClient(endpoint: good, token: "a b"))
        XCTAssertNoThrow(try WhepClient(endpoint: good, token: "abc.def=="))
        XCTAssertThrowsError(try WhepClient(endpoint: good, token: "abc", tokenOrigins: [file]))
    }

    func testOriginsThatTheAppNamesSeeTheTokenToo() throws {
        let given = try XCTUnwrap(URL(string: "HTTPS://A.example/whep/x"))
        let named = try XCTUnwrap(URL(string: "https://B.example:443"))
        let client = try WhepClient(endpoint: given, token: "secret", tokenOrigins: [named])
        for friend in ["https://a.example/whep/x", "https://b.example/whep/x"] {
            XCTAssertEqual(client.token(for: try XCTUnwrap(URL(string: friend))), "secret")
        }
        XCTAssertNil(client.token(for: try XCTUnwrap(URL(string: "https://c.example/whep/x"))))
    }

    func testASessionOfAnotherOriginIsNotContacted() throws {
        let given = try XCTUnwrap(URL(string: "https://a.example/whep/x"))
        let named = try XCTUnwrap(URL(string: "https://b.example"))
        let client = try WhepClient(endpoint: given, tokenOrigins: [named])
        let answered = try XCTUnwrap(URL(string: "https://c.example/whep/x"))
        for friend in ["https://a.example/s", "https://b.example:443/s", "https://C.example/s"] {
            let said = try XCTUnwrap(URL(string: friend))
            XCTAssertEqual(client.session(said, of: answered), said)
        }
        for other in ["https://d.example/s", "http://c.example/s", "https://c.example:22/s", "c:/s"] {
            XCTAssertNil(client.session(try XCTUnwrap(URL(string: other)), of: answered))
        }
    }

    func testARefusalSaysWhenToComeAgain() throws {
        let url = try XCTUnwrap(URL(string: "https://a.example/whep/x"))
        let response = try XCTUnwrap(
            HTTPURLResponse(
                url: url, statusCode: 503, httpVersion: nil, headerFields: ["Retry-After": "7"]))
        XCTAssertEqual(
            WhepClient.refusal(url, response, Data("{\"detail\": \"full\"}".utf8)),
            .refused(
                status: 503, retryAfter: 7,
                why: "https://a.example/whep/x: full (status 503); try again in 7 s"))
    }

    func testTheWayToAServerIsNotAskedForAgain() throws {
        let url = try XCTUnwrap(URL(string: "https://b.example/whep/x?hops=1"))
        XCTAssertEqual(
            WhepClient.withoutQuery(url).absoluteString, "https://b.example/whep/x")
    }

    func testNothingIsHeardOfAssetsWhoseConnectionIsOver() throws {
        let endpoint = try XCTUnwrap(URL(string: "http://127.0.0.1:1/whep/x"))
        let fetcher = AssetFetcher(endpoint: endpoint, token: nil)
        fetcher.close()
        let failed = expectation(description: "failed")
        failed.isInverted = true
        let asset = AssetFetcher.Wanted(
            sha256: String(repeating: "a", count: 64), offset: 0, total: 10,
            piece: { _, _ in }, failed: { failed.fulfill() })
        fetcher.fetch(asset)
        wait(for: [failed], timeout: 0.1)
    }

    func testARedirectToAnotherOriginDoesNotGetTheToken() throws {
        let given = try XCTUnwrap(URL(string: "https://a.example/whep/x"))
        let client = try WhepClient(endpoint: given, token: "secret")
        for same in ["https://a.example/whep/y?from=x", "https://a.example:443/whep/x"] {
            XCTAssertEqual(client.token(for: try XCTUnwrap(URL(string: same))), "secret")
        }
        for other in [
            "https://b.example/whep/x", "http://a.example/whep/x", "https://a.example:8443/whep/x",
            "https://a.example@b.example/whep/x", "https://a.example.b.example/whep/x",
        ] {
            XCTAssertNil(client.token(for: try XCTUnwrap(URL(string: other))))
        }
    }

    func testAssetsOfAnotherOriginAreAskedForWithoutTheToken() throws {
        let endpoint = try XCTUnwrap(URL(string: "https://a.example/whep/x"))
        let fetcher = AssetFetcher(endpoint: endpoint, token: "secret")
        defer { fetcher.close() }
        XCTAssertEqual(try header(of: fetcher, movedTo: "https://a.example/old/1"), "Bearer secret")
        XCTAssertNil(try header(of: fetcher, movedTo: "https://b.example/assets/1"))
        XCTAssertNil(try header(of: fetcher, movedTo: "http://a.example/assets/1"))
        let without = AssetFetcher(endpoint: endpoint, token: nil)
        defer { without.close() }
        XCTAssertNil(try header(of: without, movedTo: "https://a.example/old/1"))
    }

    /// What `Authorization` goes to where a redirect leads, if URLSession carries one along.
    private func header(of fetcher: AssetFetcher, movedTo place: String) throws -> String? {
        let first = try XCTUnwrap(URL(string: "https://a.example/assets/1"))
        let moved = try XCTUnwrap(
            HTTPURLResponse(url: first, statusCode: 302, httpVersion: nil, headerFields: nil))
        var carried = URLRequest(url: try XCTUnwrap(URL(string: place)))
        carried.setValue("Bearer carried", forHTTPHeaderField: "Authorization")
        var next: URLRequest?
        fetcher.urlSession(
            .shared, task: URLSession.shared.dataTask(with: first),
            willPerformHTTPRedirection: moved, newRequest: carried
        ) { next = $0 }
        return try XCTUnwrap(next).value(forHTTPHeaderField: "Authorization")
    }

    func testOriginsHaveTheirPort() throws {
        XCTAssertEqual(
            origin(try XCTUnwrap(URL(string: "https://h/a"))),
            origin(try XCTUnwrap(URL(string: "https://h:443/b"))))
        XCTAssertNotEqual(
            origin(try XCTUnwrap(URL(string: "https://h/a"))),
            origin(try XCTUnwrap(URL(string: "http://h/a"))))
    }
}
