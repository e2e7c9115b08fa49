// swift-tools-version: 6.2
import PackageDescription

// One package for the gateway and the firmware. "Embedded" comes from a toolset, not from here, so that the five core
// targets are the same for both worlds (docs/architecture.md).
let core: [Target] = [
    .target(name: "Battery"),
    .target(name: "JKBMS", dependencies: ["Battery"]),
    .target(name: "InverterDialects", dependencies: ["Battery"]),
    .target(name: "ChargeControl", dependencies: ["Battery"]),
    .target(name: "BridgeEngine", dependencies: ["Battery", "JKBMS", "InverterDialects", "ChargeControl"]),
]

let gateway: [Target] = [
    .target(name: "CLinux"),
    .target(name: "FirmwareHAL", dependencies: ["BridgeEngine"]),
    .target(name: "Firmware", dependencies: ["FirmwareHAL"]),
    .target(name: "LinuxIO", dependencies: ["BridgeEngine", "CLinux"]),
    .target(name: "LinkClient", dependencies: ["BridgeEngine"]),
    // Archives for those who help, without what is nobody's business.
    .target(name: "SupportArchive"),
]

let host: [Target] = [
    .target(name: "Simulation", dependencies: ["BridgeEngine"]),
    .target(name: "FirmwareTrial", dependencies: ["BridgeEngine"]),
    .executableTarget(
        name: "firmware-trial-host", dependencies: ["FirmwareTrial", "Simulation"], path: "Sources/FirmwareTrialHost"),
    .executableTarget(name: "packbridge-control", dependencies: ["LinuxIO"]),
    // The profiles of inverters, inside the binary: Sources/packbridge/Profiles by way of `#embed`.
    .target(name: "ProfileFiles"),
    .executableTarget(
        name: "packbridge",
        dependencies: [
            "CLinux", "LinuxIO", "Simulation", "LinkClient", "ProfileFiles", "SupportArchive", "Yams",
            .product(name: "ArgumentParser", package: "swift-argument-parser"),
        ],
        exclude: ["Profiles"]),
]

let bench: [Target] = [
    .target(name: "AllocationCounter"),
    .executableTarget(name: "packbridge-bench", dependencies: ["LinuxIO", "AllocationCounter"]),
]

// FUZZ=1 builds the fuzz targets instead of the rest (`make fuzz`). The fuzzer's library owns `main`.
let fuzz = Context.environment["FUZZ"] != nil

let fuzzing: [Target] = [
    .executableTarget(
        name: "packbridge-fuzz", dependencies: ["LinuxIO", "LinkClient"], path: "Sources/Fuzzing",
        swiftSettings: [.unsafeFlags(["-parse-as-library"])])
]

let tests: [Target] = [
    .testTarget(name: "BatteryTests", dependencies: ["Battery"]),
    .testTarget(name: "JKBMSTests", dependencies: ["JKBMS"]),
    .testTarget(name: "InverterDialectsTests", dependencies: ["InverterDialects", "FirmwareTrial"]),
    .testTarget(name: "ChargeControlTests", dependencies: ["ChargeControl"]),
    .testTarget(name: "BridgeEngineTests", dependencies: ["BridgeEngine"]),
    .testTarget(name: "FirmwareHALTests", dependencies: ["FirmwareHAL"]),
    .testTarget(name: "FirmwareTests", dependencies: ["Firmware"]),
    .testTarget(name: "LinuxIOTests", dependencies: ["LinuxIO"]),
    .testTarget(name: "SimulationTests", dependencies: ["Simulation"]),
    .testTarget(name: "LinkClientTests", dependencies: ["LinkClient"]),
    .testTarget(name: "CommandTests", dependencies: ["packbridge", "Simulation"]),
]

// THREADS=1 leaves out what shares nothing with another thread (`scripts/sanitize thread`).
let threads = Context.environment["THREADS"] != nil
let threaded = tests.filter { ["LinuxIOTests", "LinkClientTests"].contains($0.name) }

// EMBEDDED=1 builds the core alone for riscv32 and links it without an allocator (`make embedded-check`).
let embedded = Context.environment["EMBEDDED"] != nil

let probes: [Target] = [
    .target(name: "Runtime"),
    .target(name: "ProbeBoard"),
    .executableTarget(name: "LinkProbe", dependencies: ["BridgeEngine", "Runtime", "ProbeBoard"]),
    .executableTarget(name: "DialectProbe", dependencies: ["InverterDialects", "Runtime", "ProbeBoard"]),
    .executableTarget(name: "AllocationProbe", dependencies: ["Runtime", "ProbeBoard"]),
]

// FIRMWARE=virt, esp32c3 or esp32c6 adds the firmware of one board (`make firmware`).
let board = Context.environment["FIRMWARE"]
let firmware: [Target] =
    board == nil
    ? []
    : [
        .target(name: "Runtime"),
        .target(name: "FirmwareStart"),
        .target(name: "FirmwareHAL", dependencies: ["BridgeEngine"]),
        .target(name: "Firmware", dependencies: ["FirmwareHAL"]),
    ]
        + (board == "virt"
            ? [
                .target(name: "BoardVirt", dependencies: ["FirmwareStart"]),
                .executableTarget(
                    name: "FirmwareVirt", dependencies: ["Firmware", "FirmwareStart", "Runtime", "BoardVirt"]),
                .target(name: "FirmwareTrial", dependencies: ["BridgeEngine"]),
                .executableTarget(
                    name: "FirmwareTrialVirt",
                    dependencies: ["FirmwareTrial", "FirmwareHAL", "FirmwareStart", "Runtime", "BoardVirt"]),
            ]
            : [
                .target(name: "BoardESP", dependencies: ["FirmwareStart"]),
                .executableTarget(
                    name: "FirmwareESP", dependencies: ["Firmware", "FirmwareStart", "Runtime", "BoardESP"]),
            ])

// What makes the image for a microcontroller small; `scripts/firmware-size` shows what it comes to.
let microcontroller = embedded || board != nil
let sizeSettings: [SwiftSetting] =
    [
        // Capacities: `Sources/Battery/Capacity.swift`. Protocols: `Sources/BridgeEngine/BuildContents.swift`.
        .define("MICROCONTROLLER")
    ] + (Context.environment["PACKBRIDGE_BMS"] ?? "").split(separator: " ").map { .define("BMS_\($0.uppercased())") } + [
        .unsafeFlags([
            // Elements of an InlineArray are read as if they had no alignment; without this a word is read byte by byte.
            "-Xcc", "-mno-strict-align",
            // One trap for all checks of a function.
            "-Xfrontend", "-mergeable-traps",
            // Registers are saved by the functions of Sources/Runtime/save.S.
            "-Xcc", "-msave-restore",
            // A loop stays one, and what both branches do is not done twice.
            "-Xllvm", "-sil-disable-pass=loop-unroll", "-Xllvm", "-sil-disable-pass=early-codemotion",
        ])
    ]

// The optimizer of Swift inlines for speed even with -Osize. Here what pays in bytes is left to the linker, which sees the whole image.
// Elsewhere it has to inline, or closures would be allocated.
let inlinedByLinker: Set = ["ChargeControl", "InverterDialects"]

let package = Package(
    name: "packbridge",
    dependencies: embedded || fuzz || threads || board != nil
        ? []
        : [
            .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
            .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        ],
    targets: core
        + (board != nil
            ? firmware
            : embedded ? probes : fuzz ? gateway + fuzzing : threads ? gateway + threaded : gateway + host + bench + tests)
)

// `packbridge serve` and what only it needs: a build of the core, the control process or the fuzz targets stays without a web
// server and a database. PACKBRIDGE_SERVICES=1 adds it.
if Context.environment["PACKBRIDGE_SERVICES"] == "1" && !embedded {
    package.dependencies += [
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ]
    package.targets += [
        .systemLibrary(name: "CZlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CMosquitto", pkgConfig: "libmosquitto", providers: [.apt(["libmosquitto-dev"])]),
        .target(name: "CServices", linkerSettings: [.linkedLibrary("crypt")]),
        // The page itself, inside the binary: Sources/Services/Web by way of `#embed`, so that there is no step to forget.
        .target(name: "WebFiles"),
        .target(
            name: "Services",
            dependencies: [
                "BridgeEngine", "LinkClient", "LinuxIO", "SupportArchive", "CMosquitto", "CServices", "CZlib", "WebFiles",
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "HummingbirdTLS", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            exclude: ["Web"]),
        .executableTarget(name: "packbridge-serve", dependencies: ["Services"]),
        // A control process without a battery, for tests and measurements.
        .target(
            name: "ServicesTesting",
            dependencies: [
                "BridgeEngine", .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
                .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
            ]),
        .executableTarget(name: "packbridge-serve-bench", dependencies: ["Services", "ServicesTesting"]),
        .testTarget(
            name: "MQTTTests", dependencies: ["Services", .product(name: "Logging", package: "swift-log")]),
        .testTarget(
            name: "ServicesTests",
            dependencies: [
                "Services", "ServicesTesting", .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"), .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            exclude: ["Schemas"]),
    ]
}

// `packbridge-ble` reads a JK unit over Bluetooth, through BlueZ and sd-bus. A build of the rest stays without libsystemd.
// PACKBRIDGE_BLE=1 adds it.
if Context.environment["PACKBRIDGE_BLE"] == "1" && !embedded {
    package.targets += [
        .target(name: "CBlueZ", linkerSettings: [.linkedLibrary("systemd")]),
        .executableTarget(name: "packbridge-ble", dependencies: ["LinuxIO", "CLinux", "CBlueZ"]),
    ]
}

if microcontroller {
    for target in package.targets {
        target.swiftSettings = (target.swiftSettings ?? []) + sizeSettings
        if inlinedByLinker.contains(target.name) {
            target.swiftSettings?.append(.unsafeFlags(["-Xllvm", "-sil-disable-pass=inline"]))
        }
        if target.type == .executable {
            target.linkerSettings = (target.linkerSettings ?? []) + [.unsafeFlags(["-Xlinker", "--icf=all"])]
        }
    }
}
