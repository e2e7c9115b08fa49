import Battery

/// BYD Battery-Box Premium LVS/LVL as captured (byd-lv-can.md): the Victron set, eight bytes in every frame, in the order of
/// the capture. 0x359 and 0x35C are never sent.
///
/// One deliberate difference: BYD leaves bytes 4–7 of 0x355 at 0; we send the fine state of charge, because SMA would read the
/// zeros as an empty battery.
public enum BYDLowVoltageCAN: InverterDialect {
    public static func encode(_ report: borrowing BankReport, into frames: inout FrameSet) {
        frames.append(CANFrame(id: 0x35E, length: 8, word: TextFrame.word("BYD", padding: 0)))
        frames.append(CANFrame(id: 0x382, length: 8, word: TextFrame.word("PREMIUM", padding: 0)))
        // "Li", the captured firmware 1.23, and as BYD does it the charge that is left.
        frames.append(InfoFrame.encode(product: 0x694C, firmware: 0x0117, capacity: report.remaining))
        frames.append(CANFrame(id: 0x35A, length: 8, word: AlarmPairs.word(report) | reservedPairs))
        frames.append(CANFrame(id: 0x35B, length: 8))
        frames.append(LimitsFrame.encode(report))
        frames.append(FineStateFrame.encode(report, length: 8))
        frames.append(MeasurementFrame.encode(report, length: 8))
        frames.append(ChargeRequestFrame.encode(report))
        BankFrames.appendPacks(report, &frames)
        BankFrames.appendExtremes(report, &frames)
        // Numbers of the packs, as text.
        frames.append(CANFrame(id: 0x374, length: 8, word: TextFrame.word(pack: report.lowestCellPlace.pack)))
        frames.append(CANFrame(id: 0x375, length: 8, word: TextFrame.word(pack: report.highestCellPlace.pack)))
        frames.append(CANFrame(id: 0x376, length: 8, word: TextFrame.word(pack: report.lowestTemperaturePlace.pack)))
        frames.append(CANFrame(id: 0x377, length: 8, word: TextFrame.word(pack: report.highestTemperaturePlace.pack)))
        frames.append(EnergyFrame.encode(report))
        frames.append(CapacityFrame.encode(report))
    }

    /// A healthy BYD sends `AA` in all eight bytes, the pairs included that SMA reserves.
    private static let reservedPairs: UInt64 = 0xA800_0000_A800_0000

    public static func isHeartbeat(_ frame: CANFrame) -> Bool {
        frame.id == 0x305
    }

    public static func signals(_ visit: (Signal) -> Void) {
        VictronCAN.setSignals(visit)
    }
}
