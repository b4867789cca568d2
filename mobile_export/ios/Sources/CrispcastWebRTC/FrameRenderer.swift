import Crispcast
import Foundation
import WebRTC

/// Stands where WebRTC expects a view, and hands its decoded pictures on with their RTP times. A
/// picture keeps its memory alive for as long as it is in use, so nothing is copied.
final class FrameRenderer: NSObject, RTCVideoRenderer {
    private let onPicture: @Sendable (DecodedPicture, UInt32) -> Void

    init(_ onPicture: @escaping @Sendable (DecodedPicture, UInt32) -> Void) {
        self.onPicture = onPicture
    }

    func setSize(_ size: CGSize) {}

    func renderFrame(_ frame: RTCVideoFrame?) {
        guard let frame else { return }
        // 90 kHz, 32 bits, as the RTP packets had it (RFC 3550, section 5.1).
        let rtpTime = UInt32(bitPattern: frame.timeStamp)
        if let buffer = frame.buffer as? RTCCVPixelBuffer, !buffer.requiresCropping() {
            return onPicture(.pixelBuffer(buffer.pixelBuffer), rtpTime)
        }
        let planes = frame.buffer.toI420()
        onPicture(
            .i420(
                I420Picture(
                    width: Int(planes.width), height: Int(planes.height),
                    y: planes.dataY, yStride: Int(planes.strideY),
                    u: planes.dataU, uStride: Int(planes.strideU),
                    v: planes.dataV, vStride: Int(planes.strideV), owner: planes)), rtpTime)
    }
}
