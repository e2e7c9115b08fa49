/// The protocol on the 4-pin "GPS" (or "RS485-TTL") connector of a JK BMS: frames that start with `4E 57`, 115200 8N1,
/// big-endian, host asks and BMS answers (specs: jk-4e57.md; vendor protocol V2.5 of 2020-12-17).
///
/// ```
/// 0  4E 57            4  terminal number     11     information: id [value], or many id value pairs
/// 2  LENGTH           8  command             11+n   record number (4), 68, CRC16 (unused, 0000), SUM16
///                     9  source             total = 20 + n = LENGTH + 2
///                    10  transport type
/// ```
public enum JK4E57 {
    /// First two bytes, "NW".
    static let start: (UInt8, UInt8) = (0x4E, 0x57)
    static let endMark: UInt8 = 0x68

    /// Where the information begins, and how many bytes of a frame are not information.
    static let informationOffset = 11
    static let overhead = 20

    /// LENGTH counts everything but the start bytes. A frame without information has 18; the largest plausible reply (32 cells)
    /// has 337, and 1024 leaves room for later firmware without letting a damaged length hold up the line.
    static let lengthRange = 18...1024
    public static let maximumFrame = 1026

    /// One frame, built in place.
    public typealias Frame = FrameBytes<1026>

    public enum Command: UInt8, Sendable, CaseIterable {
        /// Wakes a sleeping BMS. Vendor text only, never captured.
        case activate = 0x01
        case write = 0x02
        /// Reads one id. With id 00 the BMS sends the whole table.
        case read = 0x03
        case password = 0x05
        case readAll = 0x06
    }

    /// Who built the frame.
    public enum Source: UInt8, Sendable, CaseIterable {
        case bms = 0
        case bluetooth = 1
        case gps = 2
        case pc = 3
    }

    public enum Transport: UInt8, Sendable, CaseIterable {
        case request = 0
        case reply = 1
        /// Sent by the BMS on its own. The vendor foresees it; no capture contains one.
        case upload = 2
    }
}
