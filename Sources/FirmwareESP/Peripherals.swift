import BoardESP
import FirmwareHAL

// What both chips have alike, at the addresses of `Chip`.

/// A UART with 128 bytes in each direction, polled.
struct UART {
    let base: UInt

    /// 115200 baud from 40 MHz: 347 and 3/16.
    func start() { Chip.startUART(base, divider: 347 | 3 << 20) }

    /// - Returns: false when the FIFO is full.
    func write(_ byte: UInt8) -> Bool {
        if Register32(base + 0x1C).load() >> 16 & 0xFF >= 126 { return false }
        Register32(base).store(UInt32(byte))
        return true
    }

    func read() -> UInt8? {
        Register32(base + 0x1C).load() & 0xFF == 0 ? nil : UInt8(truncatingIfNeeded: Register32(base).load())
    }

    /// Waits until the ROM's last words are out, at most as long as a full FIFO takes.
    func drain() {
        for _ in 0..<400_000 where Register32(base + 0x1C).load() >> 16 & 0xFF != 0 {}
    }
}

/// The USB port that the chip is itself. Its 64 bytes go out when they are full, or when asked to.
struct USBConsole {
    func write(_ byte: UInt8) {
        // Nobody has the port open: the FIFO stays full and the byte is lost.
        if Register32(Chip.usb + 4).load() & 2 != 0 { Register32(Chip.usb).store(UInt32(byte)) }
    }

    func read() -> UInt8? {
        Register32(Chip.usb + 4).load() & 4 == 0 ? nil : UInt8(truncatingIfNeeded: Register32(Chip.usb).load())
    }

    func flush() { Register32(Chip.usb + 4).store(1) }
}

/// The watchdog of timer group 0, in milliseconds of the crystal. What is not fed resets the chip.
enum HardwareWatchdog {
    static var timeout: UInt32 { 3000 }

    static func start() {
        unlocked {
            Register32(Chip.timerGroup0 + 0x4C).store(40_000 << 16)
            Register32(Chip.timerGroup0 + 0x50).store(timeout)
            Register32(Chip.timerGroup0 + 0x48).store(1 << 31 | 3 << 29 | 1 << 22 | 1 << 21 | 7 << 18 | 7 << 15)
            Register32(Chip.timerGroup0 + 0x60).store(1)
        }
    }

    static func feed() {
        unlocked { Register32(Chip.timerGroup0 + 0x60).store(1) }
    }

    private static func unlocked(_ body: () -> Void) {
        Register32(Chip.timerGroup0 + 0x64).store(0x50D8_3AA1)
        body()
        Register32(Chip.timerGroup0 + 0x64).store(0)
    }
}

/// The matrix between pins and peripherals.
enum Pins {
    static func output(_ signal: UInt32, to pin: UInt) {
        Register32(Chip.gpio + 0x554 + 4 * pin).store(signal | 1 << 9)
        Register32(Chip.gpio + 0x24).store(1 << UInt32(pin))
        Register32(Chip.ioMux + 4 + 4 * pin).store(1 << 12 | 2 << 10)
    }

    /// With a pull-up, so that an open wire is an idle line.
    static func input(_ signal: UInt32, from pin: UInt) {
        Register32(Chip.ioMux + 4 + 4 * pin).store(1 << 12 | 1 << 9 | 1 << 8)
        Register32(Chip.gpio + 0x154 + 4 * UInt(signal)).store(UInt32(pin) | Chip.signalFromMatrix)
    }

    /// Signal 128 is the register of the pins itself.
    static func startLED() { output(128, to: Chip.pinLED) }

    static func setLED(_ isOn: Bool) {
        Register32(Chip.gpio + (isOn ? 0x08 : 0x0C)).store(1 << UInt32(Chip.pinLED))
    }
}

/// The end of the flash chip, through the functions of the ROM.
struct ROMFlash: FlashMemory {
    var sectorSize: Int { 4096 }

    func read(at address: Int) -> UInt8 { board_flash_byte(UInt32(address)) }
    func erase(sector: Int) -> Bool { board_flash_erase(UInt32(sector)) != 0 }

    func write(_ bytes: Span<UInt8>, at address: Int) -> Bool {
        bytes.withUnsafeBufferPointer { board_flash_write(UInt32(address), $0.baseAddress, UInt32($0.count)) != 0 }
    }
}
