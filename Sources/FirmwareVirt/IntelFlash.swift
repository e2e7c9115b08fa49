import FirmwareHAL

/// The second pflash bank of QEMU `-M virt`: Intel command set, two 16-bit chips side by side, so every command is given twice.
struct IntelFlash: FlashMemory {
    static var base: UInt { 0x2200_0000 }
    /// Of each 256 KiB that are erased together the first 4 KiB are used, as much as the boards have: looking through all of it at the
    /// start would take longer than on any of them.
    var sectorSize: Int { 4096 }

    @inline(never)
    private func place(_ address: Int) -> UInt {
        let address = UInt(bitPattern: address)
        return Self.base + ((address >> 12) << 18 | address & 4095)
    }

    func read(at address: Int) -> UInt8 {
        Register8(place(address)).load()
    }

    func erase(sector: Int) -> Bool {
        let register = Register32(place(sector * sectorSize))
        register.store(0x0020_0020)
        register.store(0x00D0_00D0)
        return finish(register)
    }

    func write(_ bytes: Span<UInt8>, at address: Int) -> Bool {
        var i = 0
        while i + 3 < bytes.count {
            let word =
                UInt32(bytes[i]) | UInt32(bytes[i + 1]) << 8 | UInt32(bytes[i + 2]) << 16 | UInt32(bytes[i + 3]) << 24
            let register = Register32(place(address + i))
            register.store(0x0040_0040)
            register.store(word)
            if !finish(register) { return false }
            i += 4
        }
        return true
    }

    /// Waits for both chips, looks at their error bits and returns to reading.
    private func finish(_ register: Register32) -> Bool {
        var status: UInt32 = 0
        repeat { status = register.load() } while status & 0x0080_0080 != 0x0080_0080
        register.store(0x0050_0050)
        register.store(0x00FF_00FF)
        return status & 0x007F_007F == 0
    }
}
