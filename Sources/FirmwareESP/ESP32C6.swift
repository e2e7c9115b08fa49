#if ESP32C6
    import FirmwareHAL

    /// The ESP32-C6: its pins, its registers and what has to be switched on (ESP-IDF, components/soc/esp32c6, and its reference
    /// manual). No emulator has this chip.
    enum Chip {
        static var name: StaticString { "ESP32-C6" }

        // Pins. Not straps (4, 5, 8, 9, 15), USB (12, 13), the console (16, 17) or flash (24...30).
        static var pinBMSTransmit: UInt { 18 }
        static var pinBMSReceive: UInt { 19 }
        static var pinCANTransmit: UInt { 20 }
        static var pinCANReceive: UInt { 21 }
        static var pinLED: UInt { 22 }

        static var uart0: UInt { 0x6000_0000 }
        static var uart1: UInt { 0x6000_1000 }
        static var usb: UInt { 0x6000_F000 }
        static var gpio: UInt { 0x6009_1000 }
        static var ioMux: UInt { 0x6009_0000 }
        static var timerGroup0: UInt { 0x6000_8000 }
        static var systemTimer: UInt { 0x6000_A000 }
        static var twai: UInt { 0x6000_B000 }
        static var signalUART1: UInt32 { 9 }
        static var signalTWAI: UInt32 { 73 }
        static var signalFromMatrix: UInt32 { 1 << 7 }
        private static var clocks: UInt { 0x6009_6000 }
        private static var lowPowerWatchdog: UInt { 0x600B_1C00 }

        /// The ROM leaves the low-power watchdog running, and the super watchdog unfed.
        static func stopBootWatchdogs() {
            Register32(lowPowerWatchdog + 0x18).store(0x50D8_3AA1)
            Register32(lowPowerWatchdog + 0x00).store(0)
            Register32(lowPowerWatchdog + 0x18).store(0)
            Register32(lowPowerWatchdog + 0x20).store(0x50D8_3AA1)
            Register32(lowPowerWatchdog + 0x1C).set(1 << 18)
            Register32(lowPowerWatchdog + 0x20).store(0)
        }

        /// The ROM leaves the CPU on the 40 MHz crystal. UART1 and TWAI get it, too.
        static func startClocks() {
            Register32(clocks + 0x0C).set(1 << 0)
            Register32(clocks + 0x0C).set(1 << 1)
            Register32(clocks + 0x0C).clear(1 << 1)
            Register32(clocks + 0x10).store(3 << 20 | 1 << 22)
            // TWAI
            Register32(clocks + 0x5C).set(1 << 0)
            Register32(clocks + 0x5C).set(1 << 1)
            Register32(clocks + 0x5C).clear(1 << 1)
            Register32(clocks + 0x60).store(1 << 22)
        }

        /// 8N1 from the crystal. What is written counts only after `update`.
        static func startUART(_ base: UInt, divider: UInt32) {
            let format: UInt32 = 3 << 2 | 1 << 4 | 1 << 20
            Register32(base + 0x88).store(1 << 24 | 1 << 25)
            Register32(base + 0x14).store(divider)
            Register32(base + 0x20).store(format | 1 << 22 | 1 << 23)
            update(base)
            Register32(base + 0x20).store(format)
            update(base)
        }

        private static func update(_ base: UInt) {
            Register32(base + 0x98).store(1)
            while Register32(base + 0x98).load() & 1 != 0 {}
        }
    }
#endif
