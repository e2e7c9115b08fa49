import CZlib
import Hummingbird

/// Compression for files, tables and curves; a phone at the edge of the house is grateful.
enum Gzip {
    static func compress(_ content: UnsafeRawBufferPointer, level: Int32 = 9) -> [UInt8]? {
        var stream = z_stream()
        // 15 bits of window, 16 = with the header of gzip.
        guard
            deflateInit2_(
                &stream, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
                == Z_OK
        else { return nil }
        defer { deflateEnd(&stream) }
        var result = [UInt8](repeating: 0, count: Int(deflateBound(&stream, UInt(content.count))))
        let ended = result.withUnsafeMutableBufferPointer { output in
            stream.next_in = UnsafeMutablePointer(mutating: content.bindMemory(to: UInt8.self).baseAddress)
            stream.avail_in = UInt32(content.count)
            stream.next_out = output.baseAddress
            stream.avail_out = UInt32(output.count)
            return deflate(&stream, Z_FINISH) == Z_STREAM_END
        }
        if !ended { return nil }
        result.removeLast(Int(stream.avail_out))
        return result
    }

    static func isAccepted(by request: Request) -> Bool {
        request.headers[.acceptEncoding]?.contains("gzip") ?? false
    }
}
