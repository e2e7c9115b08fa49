import Battery

/// Modbus RTU of the JK "inverter BMS" (PB) series and newer units (jk-modbus.md §2): functions 03 and 10, 115200 8N1, CRC-16 low
/// byte first. A register's address is its block's base plus its byte offset, a count is in 16-bit words, and consecutive words follow
/// without gaps: a 32-bit field at `o` takes `o` and `o + 2`.
public enum JKModbus {
    /// 120 words work, 128 fail (field report); the Modbus maximum is 125.
    public static let maximumWords = 120

    /// The longest request: a write of 120 words.
    public typealias Request = FrameBytes<250>

    /// Two firmware generations place the control registers differently, and they collide: a current calibration for V1.0 shuts a V1.1
    /// unit down (§2.5).
    public enum Generation: Sendable {
        case v10
        case v11
    }

    /// What can be written to the control block. PackBridge does not; the addresses are here so that nobody has to guess.
    public enum Control: Sendable {
        case shutDown
        case emergencyStart
        case setTime

        public func register(_ generation: Generation) -> UInt16 {
            switch (self, generation) {
            case (.shutDown, .v10): 0x1602
            case (.shutDown, .v11): 0x1604
            case (.emergencyStart, .v10): 0x160C
            case (.emergencyStart, .v11): 0x1610
            case (.setTime, .v10): 0x160E
            case (.setTime, .v11): 0x1612
            }
        }
    }

    /// `A 03 regHi regLo cntHi cntLo crc`
    public static func encodeRead(address: UInt8, register: UInt16, words: Int, into request: inout Request) {
        precondition(words > 0 && words <= maximumWords)
        request.removeAll()
        request.append(address)
        request.append(0x03)
        request.append(bigEndian: UInt32(register), width: 2)
        request.append(bigEndian: UInt32(words), width: 2)
        appendCRC(&request)
    }

    /// `A 10 regHi regLo cntHi cntLo bytes data crc`, for a settings register.
    ///
    /// - Returns: false, and an empty request, for the control block 0x1600...0x161B, where the meaning of an address depends on the
    ///   firmware: that is what `encodeControl` is for.
    public static func encodeWrite(
        address: UInt8, register: UInt16, data: Span<UInt8>, into request: inout Request
    ) -> Bool {
        request.removeAll()
        if register >= 0x1600 && register < 0x161C { return false }
        append(address, register, data, to: &request)
        return true
    }

    /// A write to the control block, for a unit whose generation is known.
    public static func encodeControl(
        _ control: Control, value: UInt16, generation: Generation, address: UInt8, into request: inout Request
    ) {
        request.removeAll()
        let data: InlineArray<2, UInt8> = [UInt8(value >> 8), UInt8(value & 0xFF)]
        append(address, control.register(generation), data.span, to: &request)
    }

    private static func append(_ address: UInt8, _ register: UInt16, _ data: Span<UInt8>, to request: inout Request) {
        precondition(data.count > 0 && data.count % 2 == 0 && data.count <= 2 * maximumWords)
        request.append(address)
        request.append(0x10)
        request.append(bigEndian: UInt32(register), width: 2)
        request.append(bigEndian: UInt32(data.count / 2), width: 2)
        request.append(UInt8(data.count))
        request.append(data)
        appendCRC(&request)
    }

    /// A reply as a unit sends it, for the simulator: `A 03 bytes data crc`.
    public static func encodeReadReply(address: UInt8, data: Span<UInt8>, into reply: inout Request) {
        reply.removeAll()
        reply.append(address)
        reply.append(0x03)
        reply.append(UInt8(data.count))
        reply.append(data)
        appendCRC(&reply)
    }

    private static func appendCRC(_ frame: inout Request) {
        let crc = frame.withSpan { CRC16.of($0) }
        frame.append(littleEndian: UInt32(crc), width: 2)
    }
}
