import LinuxIO
import Testing

@Suite struct CANAddressTests {
    @Test(arguments: [
        ("socketcan:can0", CANAddress.socketCAN(interface: "can0")),
        ("slcan:/dev/ttyACM0", .slcan(path: "/dev/ttyACM0", bitrate: 500_000, baud: 115_200)),
        ("slcan:/dev/ttyACM0@250000", .slcan(path: "/dev/ttyACM0", bitrate: 250_000, baud: 115_200)),
        ("slcan:/dev/ttyUSB1@500000:1000000", .slcan(path: "/dev/ttyUSB1", bitrate: 500_000, baud: 1_000_000)),
        ("slcan:/dev/serial/by-id/usb-a@b@125000", .slcan(path: "/dev/serial/by-id/usb-a@b", bitrate: 125_000)),
        ("candump:logs/night:1.log", .candump(path: "logs/night:1.log", isTimed: true)),
        ("candump-fast:x.log", .candump(path: "x.log", isTimed: false)),
        ("virtual:demo", .virtual(name: "demo")),
    ])
    func `an address is read, and written so that it can be read again`(text: String, address: CANAddress) throws {
        #expect(try CANAddress(text) == address)
        #expect(try CANAddress("\(address)") == address)
    }

    @Test(arguments: [
        ("can0", CANAddressError.noScheme("can0"), "socketcan:can0"),
        ("usb:can0", .unknownScheme("usb"), "\"usb:\""),
        ("socketcan:", .empty(scheme: "socketcan"), "names nothing"),
        ("slcan:@500000", .empty(scheme: "slcan"), "names nothing"),
        ("socketcan:a-very-long-name", .badInterface("a-very-long-name"), "15 characters"),
        ("socketcan:/dev/can0", .badInterface("/dev/can0"), "slash"),
        ("slcan:/dev/ttyACM0@300000", .badBitrate("300000"), "250000, 500000"),
        ("slcan:/dev/ttyACM0@fast", .badBitrate("fast"), "\"fast\""),
        ("slcan:/dev/ttyACM0@500000:0", .badBaud("0"), "above 0"),
        ("slcan:/dev/ttyACM0@500000:9600:1", .badBitrate("500000:9600:1"), "bit rate"),
    ])
    func `an address that is wrong says what is wrong and what would be right`(
        text: String, problem: CANAddressError, hint: String
    ) {
        #expect(throws: problem) { try CANAddress(text) }
        #expect("\(problem)".contains(hint))
    }
}
