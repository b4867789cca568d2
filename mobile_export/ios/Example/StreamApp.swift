// A whole app that shows a stream, super-resolved. See docs/embed-ios.md.
import Crispcast
import CrispcastModels
import CrispcastWebRTC
import SwiftUI

@main
struct StreamApp: App {
    var body: some Scene {
        WindowGroup { StreamScreen(url: URL(string: "https://video.example/whep/holiday")!) }
    }
}

struct StreamScreen: View {
    let url: URL
    @State private var session: CrispcastSession?
    @State private var message = "Connecting …"

    var body: some View {
        ZStack {
            if let session { CrispcastView(session.pictures) }
            Text(message).foregroundStyle(.white)
        }
        .background(.black)
        .task { await play() }
    }

    private func play() async {
        do {
            var options = StreamOptions()
            options.models = try CrispcastModels.resources.map { try ModelBundle(resources: $0) }
            let session = try CrispcastSession(url: url, options: options)
            self.session = session
            try await session.play()
            for await event in session.events {
                if case .opened = event { message = "" }
                if case .failed(let error) = event { message = error.localizedDescription }
            }
            await session.close()
        } catch {
            message = error.localizedDescription
        }
    }
}
