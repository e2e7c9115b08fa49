import FirmwareHAL

/// The generic PCIe host of QEMU `-M virt`. Without a BIOS nothing has enumerated the bus before us.
enum PCI {
    static var configurationSpace: UInt { 0x3000_0000 }
    /// 64 KiB; PCI I/O address 0 is at its start.
    static var ioWindow: UInt { 0x0300_0000 }

    struct Function {
        let configuration: UInt

        /// Gives an I/O region its address and returns where the CPU sees it. The card cannot tell an address of 0 from none.
        func mapIO(region: UInt, at address: UInt) -> UInt {
            Register32(configuration + 0x10 + region * 4).store(UInt32(truncatingIfNeeded: address))
            return PCI.ioWindow + address
        }

        /// I/O and memory decoding on.
        func enable() {
            Register16(configuration + 4).store(0x0003)
        }
    }

    /// The first card with this device and vendor number.
    static func find(_ identity: UInt32) -> Function? {
        for device in 0..<32 as Range<UInt> {
            let function = Function(configuration: configurationSpace + device << 15)
            if Register32(function.configuration).load() == identity { return function }
        }
        return nil
    }
}
