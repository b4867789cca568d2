"""What an export says of itself: the facts in its models, its index, its README."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from client_sdk.contract import Package
from mobile_export.selection import Expert, reach


def model_facts(package: Package) -> dict[str, str]:
    """What stands in the metadata of every model."""
    return {
        "version": version("crispcast"),
        "package": package.manifest.id,
        "name": package.manifest.name,
    }


def index_of(
    package: Package, target: str, features: str, experts: tuple[Expert, ...]
) -> dict[str, Any]:
    """The index without `models`; `write_index` adds its format and the files' hashes.

    `features`: "image" or "array". Sizes are of LR samples, segments first and last of each run.
    """
    return {
        "crispcast": version("crispcast"),
        "package": package.manifest.id,
        "target": target,
        "features": features,
        "experts": {
            expert.sha256: {
                "scale": expert.plan.scale,
                "inputs": list(expert.plan.inputs),
                "reach": reach(expert.plan),
                "density": round(expert.plan.density, 4),
                "uses": [
                    {
                        "rung": use.rung,
                        "segments": use.segments,
                        "frame": use.frame,
                        "windows": use.windows,
                    }
                    for use in expert.uses
                ],
            }
            for expert in experts
        },
    }


def readme_of(package: Package, target: str, features: str) -> str:
    """The README.md of an export."""
    title = package.manifest.name
    if target == "ios":
        return f"# {title}, as a Swift package\n\n{_SWIFT}"
    if target == "android":
        return f"# {title}, as a Gradle project\n\n{_GRADLE}"
    return "\n".join((f"# {title}, for {_TITLES[target]}", "", _COMMON, _LOADING[target, features]))


_TITLES = {"coreml": "Core ML", "nnapi": "NNAPI"}

_SWIFT = """\
Crispcast's engine, its session and the networks of one video, for iOS 16 and macOS 13.

1. In Xcode, File ▸ Add Package Dependencies ▸ Add Local…, and choose this folder.
2. Add the product `CrispcastWebRTC` to the app, or `Crispcast` for the engine without WebRTC.
3. `Example/StreamApp.swift` is a whole app that shows a stream.

`Sources/CrispcastModels/Resources` holds the networks, twice: as Core ML models and as plans for
the engine. A video that is encoded anew has others; an app still plays it, by the plans that come
with the stream. `export.json` is the index: files with the SHA-256 of each. The guide is
docs/embed-ios.md of Crispcast.
"""

_GRADLE = """\
Crispcast's engine, its session and the networks of one video, for Android 8 and later.

1. Open this folder in Android Studio and run `example`, with your server's address in
   `example/src/main/kotlin/org/crispcast/example/PlayerActivity.kt`; or
2. copy `crispcast/` into an app's own project, add `include(":crispcast")` to its
   `settings.gradle.kts`, and `implementation(project(":crispcast"))` and a build of WebRTC, as in
   `example/build.gradle.kts`, to the app's dependencies.

`crispcast/src/main/assets/crispcast` holds the networks of this video for NNAPI. Without ONNX
Runtime in the app it may be left out but for `bases`; another video plays too, by the plans that
come with the stream. `export.json` is the index: files with the SHA-256 of each. The guide is
docs/embed-android.md of Crispcast.
"""

_COMMON = """\
The networks of one Crispcast package. `export.json` is the index: `experts` by the SHA-256 of their
plans, with scale, inputs in order and the segments of each rung that use them; `models` with the
shapes of each; `files` with the SHA-256 of each. The package's manifest and patch maps say which
patch of which frame gets which expert; patches of expert 0 are interpolated, and so is chroma, with
what plates have of it (docs/chroma.md of Crispcast). The SDKs of the targets `ios` and `android` do
all of that.

Inputs are luma planes of codes 0 to 255: `luma` of the decoded frame; `previous`, of the frame
before it in the same segment, else `luma` again; `plate`, the segment's plate, or 128 everywhere
where there is none. `hr` is the large luma.

A model takes a whole frame, or the window of one patch. The window of a patch at (x, y) begins at
min(max(x - reach, 0), frame width - window width), and likewise down; the plate's part is the same,
scale times as large. What comes out for the patch's own samples is then what a whole frame gives;
the rest of the window is thrown away.
"""

_SHAPES = """\
Files for iOS 16 have one shape each where a plan has several inputs (`functions[].shapes`); files
for iOS 18 have all shapes of a plan, and `shared-…` files a function for each expert: set
`MLModelConfiguration.functionName` to `functions[].name`.
"""

_LOADING = {
    (
        "coreml",
        "image",
    ): f"""\
## Loading
Add the files of `models/` to an Xcode target, or compile them on the phone with
`MLModel.compileModel(at:)`. All features are one-component 8-bit pixel buffers
(`kCVPixelFormatType_OneComponent8`), the plate one of the HR size, and `hr` comes out rounded.

{_SHAPES}""",
    (
        "coreml",
        "array",
    ): f"""\
## Loading
Add the files of `models/` to an Xcode target, or compile them on the phone with
`MLModel.compileModel(at:)`. All features are `MLMultiArray`s of Float16, [1, 1, rows, columns], the
plate one of the HR size. `hr` is neither rounded nor clamped: store floor(v + 0.5), at least 0 and
at most 255.

{_SHAPES}""",
    (
        "nnapi",
        "array",
    ): """\
## Loading
`com.microsoft.onnxruntime:onnxruntime-android` reads `.onnx` and `.ort`; call `addNnapi()` on the
session's options before opening one, and keep the CPU as what is left. Inputs are [1, 1, rows,
columns], float32 in `fp32` models and uint8 in `int8` ones. The plate is [1, scale², rows, columns]
of LR rows and columns: channel dy·scale + dx holds its samples at (scale·x + dx, scale·y + dy).
`hr` is float32, neither rounded nor clamped: store floor(v + 0.5), at least 0 and at most 255.
""",
}
