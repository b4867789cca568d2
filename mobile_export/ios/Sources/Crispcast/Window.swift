import CCrispcast

/// A rectangle of samples.
struct Window: Equatable {
    var x: Int
    var y: Int
    var width: Int
    var height: Int

    init(x: Int, y: Int, width: Int, height: Int) {
        self.x = x
        self.y = y
        self.width = width
        self.height = height
    }

    init(_ patch: crispcast_patch) {
        self.init(
            x: Int(patch.x), y: Int(patch.y), width: Int(patch.width), height: Int(patch.height))
    }

    /// The patch with `reach` true neighbours on each side, cut at the frame's border.
    static func around(
        _ patch: crispcast_patch, reach: Int, in frame: (width: Int, height: Int)
    ) -> Window {
        let inner = Window(patch)
        let left = max(inner.x - reach, 0)
        let top = max(inner.y - reach, 0)
        return Window(
            x: left, y: top,
            width: min(inner.x + inner.width + reach, frame.width) - left,
            height: min(inner.y + inner.height + reach, frame.height) - top)
    }

    /// The same of a model's size, which is no smaller: moved inwards at the frame's border, so that
    /// its edge is the frame's and zeros are added only where they are added to a whole frame.
    func widened(
        to size: (width: Int, height: Int), in frame: (width: Int, height: Int)
    ) -> Window {
        Window(
            x: min(x, frame.width - size.width), y: min(y, frame.height - size.height),
            width: size.width, height: size.height)
    }

    func scaled(by factor: Int) -> Window {
        Window(x: factor * x, y: factor * y, width: factor * width, height: factor * height)
    }
}
