import AVFoundation
import CoreMedia
import SwiftUI

/// Shows the pictures of a stream as they come.
@MainActor
public final class PictureLayer {
    public let layer = AVSampleBufferDisplayLayer()
    private var showing: Task<Void, Never>?

    public init() { layer.videoGravity = .resizeAspect }

    deinit { showing?.cancel() }

    /// Shows these from now on, in place of others.
    public func show(_ pictures: AsyncStream<StreamPicture>) {
        showing?.cancel()
        showing = Task { [weak self] in
            for await picture in pictures {
                guard let self, !Task.isCancelled else { return }
                self.show(picture.pixelBuffer)
            }
        }
    }

    private func show(_ pixelBuffer: CVPixelBuffer) {
        if layer.status == .failed { layer.flush() }  // as after a time in the background
        var format: CMVideoFormatDescription?
        CMVideoFormatDescriptionCreateForImageBuffer(
            allocator: nil, imageBuffer: pixelBuffer, formatDescriptionOut: &format)
        guard let format else { return }
        var timing = CMSampleTimingInfo(
            duration: .invalid, presentationTimeStamp: .zero, decodeTimeStamp: .invalid)
        var sample: CMSampleBuffer?
        CMSampleBufferCreateReadyWithImageBuffer(
            allocator: nil, imageBuffer: pixelBuffer, formatDescription: format,
            sampleTiming: &timing, sampleBufferOut: &sample)
        guard let sample else { return }
        let all = CMSampleBufferGetSampleAttachmentsArray(sample, createIfNecessary: true)
        if let all = all as? [NSMutableDictionary] {
            all.first?.setValue(true, forKey: kCMSampleAttachmentKey_DisplayImmediately as String)
        }
        layer.enqueue(sample)
    }
}

#if os(iOS)
    /// A SwiftUI view of a stream.
    public struct CrispcastView: UIViewRepresentable {
        private let pictures: AsyncStream<StreamPicture>

        public init(_ pictures: AsyncStream<StreamPicture>) { self.pictures = pictures }

        public final class Surface: UIView {
            let picture = PictureLayer()

            override init(frame: CGRect) {
                super.init(frame: frame)
                backgroundColor = .black
                layer.addSublayer(picture.layer)
            }

            required init?(coder: NSCoder) { return nil }

            public override func layoutSubviews() {
                super.layoutSubviews()
                picture.layer.frame = bounds
            }
        }

        public func makeUIView(context: Context) -> Surface {
            let surface = Surface(frame: .zero)
            surface.picture.show(pictures)
            return surface
        }

        public func updateUIView(_ surface: Surface, context: Context) {}
    }
#endif
