import Glibc
import LinuxIO
import Testing

@Suite struct SerialPortTests {
    @Test(arguments: [1200, 9600, 115_200, 123_456, 250_000, 921_600] as [UInt32])
    func `a line works in both directions at any baud rate`(baud: UInt32) throws {
        let bms = try Peer()
        let port = SerialPort(path: bms.path, baud: baud)
        try port.open()
        let sent = port.transmit(([0x4E, 0x57, 0x0D] as [3 of UInt8]).span)
        #expect(sent == 3)
        let heard = bms.hears("NW\r")
        #expect(heard)

        // A terminal that is not raw would change CR to LF and wait for the end of the line.
        bms.terminal.transmit([0x0D, 0x11, 0xFF, 0x03])
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 16, alignment: 1)
        defer { buffer.deallocate() }
        var got: [UInt8] = []
        let arrived = eventually {
            got += buffer[..<port.receive(into: buffer)]
            return got.count >= 4
        }
        #expect(arrived)
        #expect(got == [0x0D, 0x11, 0xFF, 0x03])
    }

    @Test func `a line that somebody uses is refused with the way to find out who`() throws {
        let bms = try Peer()
        let first = SerialPort(path: bms.path)
        try first.open()
        let failure = #expect(throws: PortFailure.self) { try SerialPort(path: bms.path).open() }
        #expect(failure == PortFailure(bms.path, .busy))
        #expect("\(failure!)".contains("fuser -v \(bms.path)"))
        first.close()
        try SerialPort(path: bms.path).open()
    }

    @Test func `an adapter that is pulled out closes the port, and it opens again when it is back`() throws {
        let folder = TemporaryFolder()
        let device = folder.file("ttyUSB0")
        let before = try Peer()
        symlink(before.path, device)
        let port = SerialPort(path: device)
        try port.open()

        before.terminal.unplug()
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 16, alignment: 1)
        defer { buffer.deallocate() }
        let noticed = eventually {
            _ = port.receive(into: buffer)
            return !port.isOpen
        }
        #expect(noticed)
        unlink(device)
        #expect(throws: PortFailure(device, .notFound)) { try port.open() }

        let after = try Peer()
        symlink(after.path, device)
        try port.open()
        port.transmit(([0x41] as [1 of UInt8]).span)
        let heard = after.hears("A")
        #expect(heard)
    }

    @Test func `what a stuck device does not take is counted and does not stop the caller`() throws {
        let bms = try Peer()
        let port = SerialPort(path: bms.path)
        try port.open()
        let kilobyte = [1024 of UInt8](repeating: 0x55)
        for _ in 0..<256 { port.transmit(kilobyte.span) }
        #expect(port.isOpen)
        #expect(port.discardedBytes > 0)
    }

    @Test func `a missing device and one that is no serial line are named with the reason`() {
        #expect(throws: PortFailure("/dev/ttyUSB99", .notFound)) { try SerialPort(path: "/dev/ttyUSB99").open() }
        #expect(throws: PortFailure("/dev/null", .notATerminal)) { try SerialPort(path: "/dev/null").open() }
        let text = "\(PortFailure("/dev/ttyUSB99", .notFound))"
        #expect(text.hasPrefix("/dev/ttyUSB99: no such device"))
    }

    @Test func `a refused permission names the group to join`() throws {
        let group = try #require(getgrnam("dialout"))
        let text = "\(PortFailure("/dev/ttyUSB0", .permission(group: group.pointee.gr_gid)))"
        #expect(text.contains("usermod -aG dialout"))
    }

    @Test func `a baud rate that the driver changed is named beside the one asked for`() {
        let text = "\(PortFailure("/dev/ttyS1", .baudRefused(asked: 250_000, got: 9600)))"
        #expect(text.contains("250000") && text.contains("9600"))
    }
}
