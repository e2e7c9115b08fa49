import LinuxIO

/// A JK unit that is read over Bluetooth.
struct BluetoothPack: Equatable {
    /// `C8:47:8C:E0:12:34`.
    var device: String
    /// Its pack, from 1.
    var pack: UInt8
}

/// How `packbridge-ble`, which reads one unit over Bluetooth, is started.
enum RadioProcess {
    static let program = "packbridge-ble"

    static func arguments(_ pack: BluetoothPack, link: String?) -> [String] {
        ["--device", pack.device, "--pack", "\(pack.pack)", "--link", link ?? FileEntry().link ?? ""]
    }

    /// One for each unit.
    /// - Parameter link: the socket of the control process.
    static func supervisors(of packs: [BluetoothPack], link: String?, say: @escaping (String) -> Void) -> [ProcessSupervisor] {
        packs.map { pack in
            ProcessSupervisor(program, loss: "pack \(pack.pack) is not heard", say: say) {
                try ChildProcess(program, arguments(pack, link: link), variables: $0, neverWaits: true)
            }
        }
    }
}
