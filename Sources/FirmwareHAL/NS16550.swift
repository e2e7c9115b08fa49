#if hasFeature(Embedded)
    /// 16550 UART with byte-wide, byte-spaced registers: QEMU's own console and every port of its pci-serial cards.
    public struct NS16550 {
        let base: UInt

        /// 115200 baud 8N1 from 1.8432 MHz, FIFOs on and cleared, polled.
        public init(base: UInt) {
            self.base = base
            Register8(base + 1).store(0)
            Register8(base + 3).store(0x80)
            Register8(base + 0).store(1)
            Register8(base + 1).store(0)
            Register8(base + 3).store(0x03)
            Register8(base + 2).store(0x07)
        }

        /// - Returns: false when the transmitter is busy.
        public func write(_ byte: UInt8) -> Bool {
            if Register8(base + 5).load() & 0x20 == 0 { return false }
            Register8(base + 0).store(byte)
            return true
        }

        public func read() -> UInt8? {
            Register8(base + 5).load() & 0x01 == 0 ? nil : Register8(base + 0).load()
        }
    }
#endif
