import AVFoundation
import Crispcast
import Foundation
import WebRTC

/// One connection to a server: WHEP, the data channel, decoded pictures. It never comes back itself.
///
///     POST offer ─► 201 answer ─► ICE, DTLS ─┬─► data channel ─► messages
///                                            └─► RTP, decoded ─► pictures
final class Connection: NSObject, @unchecked Sendable {
    /// Who hears of it, on WebRTC's threads. Nothing is heard of it after `close()`.
    struct Listener: Sendable {
        /// The data channel can be spoken on.
        let opened: @Sendable (Connection) -> Void
        let message: @Sendable (_ data: Data, _ binary: Bool) -> Void
        let picture: @Sendable (DecodedPicture, _ rtpTime: UInt32) -> Void
        /// The connection is over, and nobody asked for that.
        let lost: @Sendable (Connection, _ why: String) -> Void
    }

    static let gatheringLimit = 2.0  // seconds that an offer waits for its candidates

    /// Made once: it has WebRTC's threads and decoders.
    private static let factory: RTCPeerConnectionFactory = {
        RTCInitializeSSL()
        return RTCPeerConnectionFactory(
            encoderFactory: RTCDefaultVideoEncoderFactory(),
            decoderFactory: RTCDefaultVideoDecoderFactory())
    }()

    /// Sound is played as a film's is, and no microphone is asked for.
    static func listenOnly() {
        #if os(iOS)
            let settings = RTCAudioSessionConfiguration.webRTC()
            settings.category = AVAudioSession.Category.playback.rawValue
            settings.mode = AVAudioSession.Mode.moviePlayback.rawValue
            settings.categoryOptions = []
            RTCAudioSessionConfiguration.setWebRTC(settings)
        #endif
    }

    private let client: WhepClient
    private let place: URL
    private let lock = NSLock()
    private var listener: Listener?
    private var peer: RTCPeerConnection?
    private var channel: RTCDataChannel?
    private var renderer: FrameRenderer?
    private var gathered: CheckedContinuation<Void, Never>?
    private var answer: WhepAnswer?

    /// `place`: whom to ask, the client's endpoint or who answered for it before.
    init(client: WhepClient, place: URL, listener: Listener) {
        self.client = client
        self.place = place
        self.listener = listener
    }

    /// Who answered the offer.
    var endpoint: URL? { locked { answer?.endpoint } }

    /// Offers and takes the answer; gives where to ask for another. Throws `CrispcastError.server`,
    /// or `refused`.
    func open() async throws -> URL {
        let settings = RTCConfiguration()
        settings.sdpSemantics = .unifiedPlan
        settings.iceServers = await client.iceServers(at: place).map {
            RTCIceServer(
                urlStrings: [$0.url], username: $0.username, credential: $0.credential)
        }
        let none = RTCMediaConstraints(mandatoryConstraints: nil, optionalConstraints: nil)
        let made: RTCPeerConnection? = Connection.factory.peerConnection(
            with: settings, constraints: none, delegate: self)
        guard let peer = made else {
            throw CrispcastError.server("WebRTC gives no connection: a setting is wrong")
        }
        locked { self.peer = peer }
        prepare(peer)
        do {
            try await peer.setLocalDescription(try await peer.offer(for: none))
            await gatherCandidates(peer)
            let offer = peer.localDescription?.sdp ?? ""
            let answer = try await client.post(offer: offer, to: place)
            locked { self.answer = answer }
            try await peer.setRemoteDescription(
                RTCSessionDescription(type: .answer, sdp: answer.sdp))
            return answer.place
        } catch let error as CrispcastError {
            throw error
        } catch {
            throw CrispcastError.server(
                "the server's answer cannot be used: \(error.localizedDescription)")
        }
    }

    /// The data channel, and one video and one audio to receive.
    private func prepare(_ peer: RTCPeerConnection) {
        let ordered = RTCDataChannelConfiguration()
        ordered.isOrdered = true
        let channel: RTCDataChannel? = peer.dataChannel(
            forLabel: "crispcast", configuration: ordered)
        channel?.delegate = self
        let receive = RTCRtpTransceiverInit()
        receive.direction = .recvOnly
        let video: RTCRtpTransceiver? = peer.addTransceiver(of: .video, init: receive)
        _ = peer.addTransceiver(of: .audio, init: receive)
        let renderer = FrameRenderer { [weak self] picture, rtpTime in
            self?.heard?.picture(picture, rtpTime)
        }
        (video?.receiver.track as? RTCVideoTrack)?.add(renderer)
        locked {
            self.channel = channel
            self.renderer = renderer
        }
    }

    /// Waits until all candidates are in the local description, or for as long as is sensible.
    private func gatherCandidates(_ peer: RTCPeerConnection) async {
        let limit = Task { [weak self] in
            try? await Task.sleep(nanoseconds: UInt64(Connection.gatheringLimit * 1e9))
            self?.gatheringIsOver()
        }
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            locked { gathered = done }
            if peer.iceGatheringState == .complete { gatheringIsOver() }
        }
        limit.cancel()
    }

    private func gatheringIsOver() {
        let waiting = locked { () -> CheckedContinuation<Void, Never>? in
            defer { gathered = nil }
            return gathered
        }
        waiting?.resume()
    }

    /// Sends a text message, where the channel is open.
    func send(_ text: Data) {
        guard let channel = locked({ self.channel }), channel.readyState == .open else { return }
        channel.sendData(RTCDataBuffer(data: text, isBinary: false))
    }

    /// Ends the connection. The session on the server ends with `farewell()`.
    func close() {
        let peer = locked { () -> RTCPeerConnection? in
            listener = nil
            defer {
                self.peer = nil
                channel = nil
                renderer = nil
            }
            return self.peer
        }
        peer?.close()
    }

    /// Ends the session on the server, which may take long; one that is gone already is no error.
    func farewell() async {
        if let session = locked({ answer?.session }) { await client.delete(session) }
    }

    private var heard: Listener? { locked { listener } }

    private func lose(_ why: String) { heard?.lost(self, why) }

    private func locked<Result>(_ body: () -> Result) -> Result {
        lock.lock()
        defer { lock.unlock() }
        return body()
    }
}

extension Connection: RTCDataChannelDelegate {
    func dataChannelDidChangeState(_ dataChannel: RTCDataChannel) {
        switch dataChannel.readyState {
        case .open: heard?.opened(self)
        case .closed: lose("the data channel was closed")
        default: break
        }
    }

    func dataChannel(
        _ dataChannel: RTCDataChannel, didReceiveMessageWith buffer: RTCDataBuffer
    ) {
        heard?.message(buffer.data, buffer.isBinary)
    }
}

extension Connection: RTCPeerConnectionDelegate {
    func peerConnection(
        _ peerConnection: RTCPeerConnection, didChange newState: RTCPeerConnectionState
    ) {
        if newState == .failed { lose("the connection failed") }
    }

    func peerConnection(
        _ peerConnection: RTCPeerConnection, didChange newState: RTCIceGatheringState
    ) {
        if newState == .complete { gatheringIsOver() }
    }

    func peerConnection(
        _ peerConnection: RTCPeerConnection, didChange stateChanged: RTCSignalingState
    ) {}

    func peerConnection(
        _ peerConnection: RTCPeerConnection, didChange newState: RTCIceConnectionState
    ) {}

    func peerConnection(_ peerConnection: RTCPeerConnection, didAdd stream: RTCMediaStream) {}

    func peerConnection(_ peerConnection: RTCPeerConnection, didRemove stream: RTCMediaStream) {}

    func peerConnectionShouldNegotiate(_ peerConnection: RTCPeerConnection) {}

    func peerConnection(
        _ peerConnection: RTCPeerConnection, didGenerate candidate: RTCIceCandidate
    ) {}

    func peerConnection(
        _ peerConnection: RTCPeerConnection, didRemove candidates: [RTCIceCandidate]
    ) {}

    func peerConnection(_ peerConnection: RTCPeerConnection, didOpen dataChannel: RTCDataChannel) {}
}
