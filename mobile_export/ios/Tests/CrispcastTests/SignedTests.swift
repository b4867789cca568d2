import XCTest

@testable import Crispcast

final class SignedTests: XCTestCase {
    // RFC 8032, section 7.1, test 2.
    private let key = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    private let signature =
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        + "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"

    private func bytes(_ digits: String) -> Data {
        var out = Data()
        var at = digits.startIndex
        while at < digits.endIndex {
            let next = digits.index(at, offsetBy: 2)
            out.append(UInt8(digits[at..<next], radix: 16) ?? 0)
            at = next
        }
        return out
    }

    func testItIsThatOfRfc8032() {
        XCTAssertTrue(isSigned(bytes(key + signature + "72")))
        XCTAssertFalse(isSigned(bytes(key + signature + "73")))
        XCTAssertFalse(isSigned(bytes(key + signature)))
    }

    func testKeysThatAreNoneMakeNoSession() throws {
        var options = StreamOptions()
        options.cache = nil
        options.trust = ["ed25519:" + key]
        _ = try StreamCore(options: options, onPicture: { _ in }, onEvent: { _ in })
        for wrong in ["", key, "ed25519:00"] {
            options.trust = [wrong]
            XCTAssertThrowsError(
                try StreamCore(options: options, onPicture: { _ in }, onEvent: { _ in }))
        }
    }
}
