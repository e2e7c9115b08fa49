import Battery
import BridgeEngine
import ChargeControl
import InverterDialects

/// Invariants that compare two bridges. At a random moment the engine, a value, is copied; both copies hear the same next reply of
/// one pack, one of them with a difference that must not raise a limit.
extension World {
    /// What is changed for the second bridge.
    enum Difference: CaseIterable, Sendable {
        /// P9: the reply lacks an item.
        case missingItem
        /// P10: the highest cell is higher.
        case higherCell
        /// P10: the coldest sensor is colder, the hottest hotter.
        case colder, hotter
        /// P10: the reply does not come at all.
        case older
        /// P14: a command comes.
        case command
    }

    /// The limits that a bridge would send now.
    private struct Limits {
        var voltage: Millivolts
        var charge: Milliamps
        var discharge: Milliamps
        var chargeEnabled: Bool
        var dischargeEnabled: Bool

        let reasons: [LimitRule]

        init(_ output: ControlOutput) {
            let report = output.report
            reasons = [output.voltageReason.rule, output.chargeReason.rule, output.dischargeReason.rule]
            voltage = report.chargeVoltageLimit
            charge = report.chargeCurrentLimit
            discharge = report.dischargeCurrentLimit
            chargeEnabled = report.chargeEnabled
            dischargeEnabled = report.dischargeEnabled
        }

        var text: String {
            "CVL \(voltage) mV (\(reasons[0])), CCL \(charge) mA (\(reasons[1])), DCL \(discharge) mA (\(reasons[2])), "
                + "charge \(chargeEnabled), discharge \(dischargeEnabled)"
        }

        /// The first limit that is looser than in `other`.
        func isLooser(than other: Limits) -> Bool {
            voltage > other.voltage || charge > other.charge || discharge > other.discharge
                || (chargeEnabled && !other.chargeEnabled) || (dischargeEnabled && !other.dischargeEnabled)
        }

        /// Takes over what `other` allows beyond this: a reply that is not used leaves the older, perhaps looser, one in force.
        mutating func widen(to other: Limits) {
            voltage = max(voltage, other.voltage)
            charge = max(charge, other.charge)
            discharge = max(discharge, other.discharge)
            chargeEnabled = chargeEnabled || other.chargeEnabled
            dischargeEnabled = dischargeEnabled || other.dischargeEnabled
        }
    }

    /// Compares two bridges once.
    mutating func experiment(_ wanted: Difference? = nil) {
        guard engine.controller.output.mayTransmit, faults.active.isEmpty else { return }
        var random = RandomStream(seed: plan.seed, stream: UInt64(bitPattern: now))
        let pack = random.below(plan.packs.count)
        let drawn = Difference.allCases[random.below(Difference.allCases.count)]
        let difference = wanted ?? drawn
        var measurement = PackMeasurement()
        // A copy measures, so that the experiment leaves no trace in the pack's noise.
        var probe = bank.packs[pack]
        probe.measure(into: &measurement)
        if probe.isStarting { return }
        var changed = measurement
        var body: [UInt8]?
        var command: LinkCommand?
        var invariant = Invariant.p10
        switch difference {
        case .missingItem:
            invariant = .p9
            body = reply(
                measurement, pack: pack, without: [0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x8B, 0x8C][random.below(8)])
        case .higherCell:
            // The lowest falls by as much, so that the sum stays: CVL follows the pack's voltage in some phases.
            if measurement.cellCount < 2 { return }
            var (high, low) = (0, 1)
            for i in 0..<measurement.cellCount {
                if measurement.millivolts[i] > measurement.millivolts[high] { high = i }
                if measurement.millivolts[i] < measurement.millivolts[low] { low = i }
            }
            if high == low { return }
            let more = UInt16(1 + random.below(80))
            changed.millivolts[high] += more
            changed.millivolts[low] -= more
        case .colder:
            guard let t = measurement.temperature1, t < 20 else { return }
            changed.temperature1 = t - 1 - Int32(random.below(8))
        case .hotter:
            guard let t = measurement.temperature2, t > 44 else { return }
            changed.temperature2 = t + 1 + Int32(random.below(8))
        case .older:
            compareAges(random.milliseconds(1_000, 40_000))
            return
        case .command:
            invariant = .p14
            command = .random(random.next())
        }
        countExperiment()
        var plain = Limits(outcome(reply: reply(measurement, pack: pack, without: nil), pack: pack, command: nil))
        var other = Limits(
            outcome(reply: body ?? reply(changed, pack: pack, without: nil), pack: pack, command: command))
        if command == nil {
            plain.widen(to: Limits(engine.controller.output))
            plain.widen(to: Limits(outcome(reply: [], pack: pack, command: nil)))
        }
        // Without the pack voltage the sum of the cells stands in for it: the last step of CVL may differ.
        if difference == .missingItem { plain.voltage += 100 }
        // The lowest cell fell with the highest one's rise.
        if difference == .higherCell { other.discharge = 0 }
        other.charge += tamperExperiments
        if other.isLooser(than: plain) {
            checker.note(
                invariant, at: now, expected: "nothing above \(plain.text)", found: "\(other.text) after \(difference)")
        }
    }

    /// The reply of a pack to read-all, on request without one item.
    private func reply(_ measurement: PackMeasurement, pack: Int, without id: UInt8?) -> [UInt8] {
        var uart = SimulatedJK4E57(
            cells: measurement.cellCount, capacity: Int(bank.packs[pack].design.capacity),
            chemistry: bank.packs[pack].design.chemistry)
        uart.encode(measurement)
        guard let id else { return uart.reply }
        return SimulatedJK4E57.removing(id, from: uart.reply)
    }

    /// P10: once the data are not fresh any more, waiting longer raises nothing.
    private mutating func compareAges(_ more: Milliseconds) {
        countExperiment()
        var copy = engine
        var sink = Wire(ports: plan.packs.count)
        func wait(until end: Milliseconds) -> ControlOutput {
            var at = now
            while at < end {
                at += 1_000
                _ = copy.wake(at: Instant(milliseconds: at), ports: &sink)
            }
            return copy.controller.output
        }
        let early = Limits(wait(until: now + 7_000))
        var late = Limits(wait(until: now + 7_000 + more))
        late.charge += tamperExperiments
        if late.isLooser(than: early) {
            checker.note(
                .p10, at: now, expected: "nothing above \(early.text)",
                found: "\(late.text) \(more) ms later without data")
        }
    }

    /// What a copy of the bridge would say one second after hearing `reply`.
    private func outcome(reply: [UInt8], pack: Int, command: LinkCommand?) -> ControlOutput {
        var copy = engine
        var sink = Wire(ports: plan.packs.count)
        if let command { copy.receivedLink(command.bytes.span, at: Instant(milliseconds: now), ports: &sink) }
        if !reply.isEmpty { copy.received(reply.span, onBMSPort: pack, at: Instant(milliseconds: now), ports: &sink) }
        _ = copy.wake(at: Instant(milliseconds: now + 1_000), ports: &sink)
        return copy.controller.output
    }
}

extension LinkCommand {
    /// An order that tightens, with a time to live of up to ten minutes.
    static func random(_ bits: UInt64) -> LinkCommand {
        let orders: [Order] = [.pauseCharge, .pauseDischarge, .chargeCap, .dischargeCap, .socCeiling]
        let order = orders[Int(bits % 5)]
        let value = order == .socCeiling ? 4_000 + Int32((bits >> 8) % 6_000) : Int32((bits >> 8) % 400_000)
        return LinkCommand(
            identity: UInt32(truncatingIfNeeded: bits), order: order, value: value,
            timeToLive: 5_000 + Int64((bits >> 32) % 600_000))
    }

    /// The message as it comes over the socket.
    var bytes: [UInt8] {
        let writer = message(sequence: identity)
        return (0..<writer.count).map { writer.bytes[$0] }
    }
}

extension SimulatedJK4E57 {
    /// The frame without the item `id`, length and sum made right again.
    static func removing(_ id: UInt8, from frame: [UInt8]) -> [UInt8] {
        let widths: [UInt8: Int] = [0x85: 1, 0x86: 1, 0x89: 4]
        var index = 11 + 2 + Int(frame[12])
        while index < frame.count - 9 {
            let width = widths[frame[index]] ?? 2
            if frame[index] == id {
                var shorter = frame
                shorter.removeSubrange(index...(index + width))
                let length = shorter.count - 2
                (shorter[2], shorter[3]) = (UInt8(length >> 8), UInt8(length & 0xFF))
                seal(&shorter)
                return shorter
            }
            if frame[index] > 0x8C { break }
            index += 1 + width
        }
        return frame
    }
}
