import BridgeEngine
import LinuxIO
import ServicesTesting
import Testing

@testable import Services

/// `--from /dev/tty…`: a board with the firmware, on a pseudo-terminal.
@Suite struct SerialLineTests {
    @Test func `a board on a serial line is heard and takes orders`() async throws {
        let line = try PseudoTerminal()
        try await withServe(line: line) { serve in
            #expect(await serve.hub.linkSource.hasPrefix("/dev/pts/"))
            #expect(await serve.hub.snapshot?.packs.count == 2)
            let order = CommandRequest(order: "charge_cap", value: 20_000, time_to_live_s: 600)
            let result = try await serve.hub.execute(order, by: "test")
            #expect(result.until_ms != nil)
            #expect(serve.control.commands.map(\.value) == [20_000])
            #expect(await serve.hub.configurationImage == FakeSnapshot.configurationImage)
        }
    }

    @Test func `what the board prints for people between its messages costs nothing`() async throws {
        let line = try PseudoTerminal()
        try await withServe(line: line) { serve in
            for second in Int64(2)...6 {
                serve.control.send(raw: Array("PackBridge firmware\r\n? for status\r\n".utf8))
                serve.control.send(FakeSnapshot(second: second))
                let arrived = await eventually { await serve.hub.snapshot?.snapshot == UInt32(second) }
                #expect(arrived)
            }
            #expect(await serve.hub.linkStatistics.incompleteSnapshots == 0)
        }
    }

    @Test func `a board that is pulled out is said to be gone, with the name of its port`() async throws {
        let line = try PseudoTerminal()
        try await withServe(line: line) { serve in
            let path = line.path
            line.unplug()
            await serve.control.disconnectReaders()
            let noticed = await eventually {
                let link = await serve.hub.linkStatistics
                return !link.isConnected && link.problem?.contains(path) == true
            }
            #expect(noticed)
            #expect(await serve.getStatus("/api/v1/snapshot") == 200)
        }
    }
}
