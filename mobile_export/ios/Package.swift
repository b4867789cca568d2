// swift-tools-version:5.9
// Crispcast for iOS 16 and macOS 13, with the networks of one video: docs/embed-ios.md.
//
// unsafeFlags: the engine is of use only when it is optimised, in debug builds too, and multiplies
// and adds are fused where it says so and nowhere else. A package that is added to a project as a
// folder may have such flags.
import PackageDescription

let package = Package(
    name: "Crispcast",
    platforms: [.iOS(.v16), .macOS(.v13)],
    products: [
        // The engine, the session and the models, without WebRTC.
        .library(name: "Crispcast", targets: ["Crispcast", "CrispcastModels"]),
        // The same with a player of streams.
        .library(
            name: "CrispcastWebRTC", targets: ["CrispcastWebRTC", "Crispcast", "CrispcastModels"]),
    ],
    dependencies: [
        .package(url: "https://github.com/stasel/WebRTC.git", "125.0.0"..<"200.0.0")
    ],
    targets: [
        .target(
            name: "CCrispcast",
            exclude: ["isa"],
            cxxSettings: [
                .headerSearchPath("core"),
                .headerSearchPath("isa"),
                .headerSearchPath("runtime"),
                .unsafeFlags(["-O3", "-ffp-contract=off", "-fvisibility=hidden"]),
            ]
        ),
        .target(name: "CrispcastModels", resources: [.copy("Resources")]),
        .target(name: "Crispcast", dependencies: ["CCrispcast"]),
        .target(
            name: "CrispcastWebRTC",
            dependencies: ["Crispcast", .product(name: "WebRTC", package: "WebRTC")]
        ),
        .testTarget(name: "CrispcastTests", dependencies: ["Crispcast", "CCrispcast", "CrispcastModels"]),
    ],
    cxxLanguageStandard: .cxx17
)
