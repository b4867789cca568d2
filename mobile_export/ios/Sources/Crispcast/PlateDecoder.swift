import CoreGraphics
import Foundation
import ImageIO

/// Decodes plates: monochrome AVIF of full range, by the system (iOS 16, macOS 13).
enum PlateDecoder {
    /// The samples of exactly width x height, or nil where the bytes are no such picture. The size
    /// is read before anything is decoded.
    static func decode(_ avif: Data, width: Int, height: Int) -> Data? {
        let options = [kCGImageSourceShouldCache: false] as CFDictionary
        guard
            let source = CGImageSourceCreateWithData(avif as CFData, options),
            let facts = CGImageSourceCopyPropertiesAtIndex(source, 0, options) as? [CFString: Any],
            facts[kCGImagePropertyPixelWidth] as? Int == width,
            facts[kCGImagePropertyPixelHeight] as? Int == height,
            let image = CGImageSourceCreateImageAtIndex(source, 0, options)
        else { return nil }
        return samples(of: image, width: width, height: height)
    }

    /// Grey codes as they are stored, not drawn: no colour management may change a code. Where the
    /// system makes three equal components of one, the second byte of a pixel is one of them in every
    /// order of bytes.
    private static func samples(of image: CGImage, width: Int, height: Int) -> Data? {
        let step = image.bitsPerPixel / 8
        let rowBytes = image.bytesPerRow
        guard
            image.bitsPerComponent == 8, [1, 3, 4].contains(step),
            let bytes = image.dataProvider?.data as Data?,
            bytes.count >= (height - 1) * rowBytes + step * width
        else { return nil }
        var samples = Data(count: width * height)
        samples.withUnsafeMutableBytes { large in
            bytes.withUnsafeBytes { stored in
                for row in 0..<height {
                    let start = row * rowBytes + (step == 1 ? 0 : 1)
                    for column in 0..<width {
                        large[row * width + column] = stored[start + column * step]
                    }
                }
            }
        }
        return samples
    }
}
