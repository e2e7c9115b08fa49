#if !ESP32C6
    import FirmwareHAL

    /// The ESP32-C3: its pins, its registers and what has to be switched on (ESP-IDF, components/soc/esp32c3, and its reference
    /// manual).
    enum Chip {
        static var name: StaticString { "ESP32-C3" }

        // Pins. Not straps (2, 8, 9), flash (11...17), USB (18, 19) or the console (20, 21).
        static var pinBMSTransmit: UInt { 4 }
        static var pinBMSReceive: UInt { 5 }
        static var pinCANTransmit: UInt { 6 }
        static var pinCANReceive: UInt { 7 }
        static var pinLED: UInt { 10 }

        static var uart0: UInt { 0x6000_0000 }
        static var uart1: UInt { 0x6001_0000 }
        static var usb: UInt { 0x6004_3000 }
        static var gpio: UInt { 0x6000_4000 }
        static var ioMux: UInt { 0x6000_9000 }
        static var timerGroup0: UInt { 0x6001_F000 }
        static var systemTimer: UInt { 0x6002_3000 }
        static var twai: UInt { 0x6002_B000 }
        static var signalUART1: UInt32 { 9 }
        static var signalTWAI: UInt32 { 74 }
        static var signalFromMatrix: UInt32 { 1 << 6 }
        private static var rtc: UInt { 0x6000_8000 }
        private static var system: UInt { 0x600C_0000 }

        /// The ROM leaves the watchdog of the RTC running, and the super watchdog unfed.
        static func stopBootWatchdogs() {
            Register32(rtc + 0xA8).store(0x50D8_3AA1)
            Register32(rtc + 0x90).store(0)
            Register32(rtc + 0xA8).store(0)
            Register32(rtc + 0xB0).store(0x8F1D_312A)
            Register32(rtc + 0xAC).set(1 << 31)
            Register32(rtc + 0xB0).store(0)
        }

        /// CPU and APB from the 40 MHz crystal, undivided: no PLL has to be set up.
        static func startClocks() {
            Register32(system + 0x58).modify(clear: 0x3FF, set: 0)
            Register32(system + 0x58).modify(clear: 3 << 10, set: 0)
            // UART1 and the memory of the UARTs; the core is held in reset meanwhile.
            Register32(system + 0x10).set(1 << 5 | 1 << 24)
            Register32(system + 0x18).clear(1 << 5)
            Register32(uart1 + 0x78).set(1 << 23)
            Register32(system + 0x18).set(1 << 5)
            Register32(system + 0x18).clear(1 << 5)
            Register32(uart1 + 0x78).clear(1 << 23)
            // TWAI
            Register32(system + 0x10).set(1 << 19)
            Register32(system + 0x18).set(1 << 19)
            Register32(system + 0x18).clear(1 << 19)
        }

        /// 8N1 from the crystal.
        static func startUART(_ base: UInt, divider: UInt32) {
            let format: UInt32 = 3 << 2 | 1 << 4 | 1 << 28
            Register32(base + 0x78).store(3 << 20 | 1 << 22 | 1 << 24 | 1 << 25)
            Register32(base + 0x14).store(divider)
            Register32(base + 0x20).store(format | 1 << 17 | 1 << 18)
            Register32(base + 0x20).store(format)
        }
    }
#endif
