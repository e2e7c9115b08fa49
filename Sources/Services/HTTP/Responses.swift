import Foundation
import HTTPTypes
import Hummingbird
import NIOCore

/// Keys in a stable order, so that two answers can be compared.
func encodeJSON(_ value: some Encodable) -> ByteBuffer {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return ByteBuffer(bytes: (try? encoder.encode(value)) ?? Data("{}".utf8))
}

func json(_ value: some Encodable, status: HTTPResponse.Status = .ok, headers: HTTPFields = [:]) -> Response {
    json(encodeJSON(value), status: status, headers: headers)
}

func json(_ body: ByteBuffer, status: HTTPResponse.Status = .ok, headers: HTTPFields = [:]) -> Response {
    bytes(body, type: "application/json", status: status, headers: headers)
}

func bytes(
    _ body: ByteBuffer, type: String, status: HTTPResponse.Status = .ok, headers: HTTPFields = [:]
) -> Response {
    var headers = headers
    headers[.contentType] = type
    if headers[.cacheControl] == nil { headers[.cacheControl] = "no-store" }
    return Response(status: status, headers: headers, body: ResponseBody(byteBuffer: body))
}

extension Request {
    /// The JSON object in the body. - Throws: `Refusal` that says what is wrong with it.
    /// - Parameter keys: all that the object may have.
    func decoded<T: Decodable>(_ result: T.Type, keys: Set<String>) async throws -> T {
        guard let type = headers[.contentType], type.split(separator: ";").first.map({ $0.lowercased() }) == "application/json"
        else { throw Refusal(.unsupportedMediaType, "the body must be application/json") }
        let body: ByteBuffer
        do {
            body = try await self.body.collect(upTo: WebContext.maximumBody)
        } catch {
            throw Refusal(.contentTooLarge, "the body must be at most \(WebContext.maximumBody) bytes")
        }
        do {
            let given = try JSONDecoder().decode([String: Ignored].self, from: Data(body.readableBytesView))
            if let unknown = given.keys.sorted().first(where: { !keys.contains($0) }) {
                throw Refusal(.badRequest, "there is no key '\(unknown.prefix(40))' here")
            }
            return try JSONDecoder().decode(T.self, from: Data(body.readableBytesView))
        } catch let refusal as Refusal {
            throw refusal
        } catch let error as DecodingError {
            throw Refusal(.badRequest, "the body is not what is expected: \(error.sentence)")
        } catch {
            throw Refusal(.badRequest, "the body is not JSON")
        }
    }
}

/// Any JSON value, whatever it is.
private struct Ignored: Decodable {
    init(from decoder: any Decoder) {}
}

extension DecodingError {
    /// Short, without types of the implementation.
    var sentence: String {
        switch self {
        case .keyNotFound(let key, _): "\(key.stringValue) is missing"
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            context.codingPath.isEmpty
                ? "it must be an object" : "\(context.codingPath.map(\.stringValue).joined(separator: ".")) has the wrong type"
        case .dataCorrupted(let context): context.codingPath.isEmpty ? "it is no JSON" : context.debugDescription
        @unknown default: "unreadable"
        }
    }
}
