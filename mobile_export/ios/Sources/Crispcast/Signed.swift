import CryptoKit
import Foundation

/// Whether a signature of Ed25519 is right, by the bytes of a task VERIFY: a public key, 32; the
/// signature, 64; and the message, the rest.
func isSigned(_ asked: Data) -> Bool {
    guard asked.count > 96,
        let key = try? Curve25519.Signing.PublicKey(rawRepresentation: asked.prefix(32))
    else { return false }
    return key.isValidSignature(asked.dropFirst(32).prefix(64), for: asked.dropFirst(96))
}

/// Keys as the C core reads them, while `body` runs; nil for none.
func withKeys<T>(_ keys: [String], _ body: (UnsafePointer<CChar>?) throws -> T) rethrows -> T {
    if keys.isEmpty { return try body(nil) }
    return try keys.joined(separator: " ").withCString { try body($0) }
}
