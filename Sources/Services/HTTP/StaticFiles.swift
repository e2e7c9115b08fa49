import Battery
import HTTPTypes
import Hummingbird
import NIOCore
import WebFiles

/// The files of the page, from inside the binary. Nothing else can be asked for: there is no path to the disk.
struct StaticFiles: Sendable {
    private struct File: Sendable {
        var type: String
        var plain: ByteBuffer
        /// Nil when it would not be smaller.
        var zipped: ByteBuffer?
        var tag: String
    }

    private let files: [String: File]

    init() {
        var files: [String: File] = [:]
        for index in 0..<packbridge_web_file_count() {
            let file = packbridge_web_file_at(index)
            let content = UnsafeRawBufferPointer(start: file.bytes, count: file.size)
            var crc = CRC32()
            for byte in content { crc.update(byte) }
            let name = String(cString: file.name)
            let type = Self.type(of: name)
            let zipped = type.hasPrefix("image/png") ? nil : Gzip.compress(content)
            files[name] = File(
                type: type, plain: ByteBuffer(bytes: content),
                zipped: zipped.flatMap { $0.count < content.count ? ByteBuffer(bytes: $0) : nil },
                tag: "\"\(String(crc.value, radix: 16))-\(content.count)\"")
        }
        files[""] = files["index.html"]
        self.files = files
    }

    var names: [String] { files.keys.sorted() }

    /// Bytes that travel to a browser that understands gzip.
    func size(of name: String) -> Int {
        files[name].map { ($0.zipped ?? $0.plain).readableBytes } ?? 0
    }

    func response(_ name: String, _ request: Request) -> Response? {
        guard let file = files[name] else { return nil }
        var headers: HTTPFields = [.eTag: file.tag, .cacheControl: "no-cache", .vary: "Accept-Encoding"]
        if let known = request.headers[.ifNoneMatch], known == "*" || known.contains(file.tag) {
            return Response(status: .notModified, headers: headers)
        }
        var body = file.plain
        if let zipped = file.zipped, Gzip.isAccepted(by: request) {
            headers[.contentEncoding] = "gzip"
            body = zipped
        }
        return bytes(body, type: file.type, headers: headers)
    }

    private static func type(of name: String) -> String {
        switch name.split(separator: ".").last {
        case "html": "text/html; charset=utf-8"
        case "js": "text/javascript; charset=utf-8"
        case "css": "text/css; charset=utf-8"
        case "svg": "image/svg+xml"
        case "png": "image/png"
        case "ico": "image/x-icon"
        case "json", "webmanifest": "application/json"
        case "yaml": "application/yaml"
        default: "application/octet-stream"
        }
    }
}
