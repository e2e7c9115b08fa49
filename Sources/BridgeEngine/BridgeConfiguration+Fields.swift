import Battery
import ChargeControl
import InverterDialects
import JKBMS

/// The compact form of the configuration: what `packbridge control` hands to the control process and what the firmware keeps in
/// flash. One list of fields for both directions.
extension BridgeConfiguration {
    /// Counts up when the layout changes; another version is refused, never guessed.
    static let layout: UInt16 = 2

    /// More than all packs and lines need.
    public typealias Image = LinkBuffer

    /// The layout version, the fields and a CRC-32.
    public func image() -> Image {
        var image = Image()
        var copy = self
        copy.append(to: &image)
        return image
    }

    /// `mutating`, because the fields are visited where they are.
    mutating func append(to image: inout Image) {
        let start = image.count
        var layout = Self.layout
        image.field(&layout)
        visitFields(&image)
        var checksum = image.checksum(from: start)
        image.field(&checksum)
        precondition(!image.overflowed)
    }

    public enum ImageProblem: Error, Equatable, Sendable {
        case tooLong, checksum, layout(UInt16), content
        /// More packs, lines or ports than this build has room for.
        case noRoom
        /// A BMS protocol that this build leaves out.
        case notInThisBuild(BMSProtocolName)
    }

    /// Reads an image back. - Throws: what is wrong with it; a damaged image is never partly used.
    public init(image: Span<UInt8>) throws(ImageProblem) {
        if image.count > LinkFraming.maximumPayload { throw .tooLong }
        if image.count < 6 { throw .checksum }
        if CRC32.of(image) != CRC32.ofGoodBlock { throw .checksum }
        var reader = Image(reading: image.extracting(0..<(image.count - 4)))
        var layout: UInt16 = 0
        reader.field(&layout)
        if layout != Self.layout { throw .layout(layout) }
        self.init(control: ControlConfiguration(chemistry: .lfp))
        visitFields(&reader)
        if reader.lacksRoom { throw .noRoom }
        if !reader.isValid || reader.position != image.count - 4 { throw .content }
        for port in 0..<bmsPorts.count where !bmsPorts[port].bmsProtocol.isInThisBuild {
            throw .notInThisBuild(bmsPorts[port].bmsProtocol)
        }
    }

    mutating func visitFields<let room: Int>(_ coder: inout FieldBuffer<room>) {
        coder.field(&generation)
        control.visitFields(&coder)
        coder.array(&bmsPorts, filler: BMSPortConfiguration()) { coder, port in port.visitFields(&coder) }
        coder.array(&inverterPorts, filler: InverterPortConfiguration()) { coder, port in port.visitFields(&coder) }
    }
}

extension BMSPortConfiguration {
    mutating func visitFields<let room: Int>(_ coder: inout FieldBuffer<room>) {
        coder.field(choice: &bmsProtocol)
        coder.field(&pace.interval)
        coder.field(&pace.gap)
        coder.field(&pace.replyTimeout)
        coder.field(&pace.retries)
        coder.field(&firstPack)
        coder.array(&addresses, filler: 0) { coder, address in coder.field(&address) }
        coder.field(&listenOnly)
        coder.field(&dischargeIsPositive)
        coder.field(&trustsUnconfirmed)
    }
}

extension InverterPortConfiguration {
    mutating func visitFields<let room: Int>(_ coder: inout FieldBuffer<room>) {
        coder.field(choice: &dialect)
        coder.field(&cycle)
        coder.field(&sharePerMille)
        coder.field(&options.name)
        coder.field(&options.isVoltageInTenths)
        var isRS485 = rs485 != nil
        coder.field(&isRS485)
        var settings = rs485 ?? PylontechRS485Settings()
        coder.field(&settings.address)
        coder.field(&settings.answersEveryAddress)
        coder.field(choice: &settings.limitStep)
        coder.field(&settings.hasNegativeDischargeLimit)
        rs485 = isRS485 ? settings : nil
    }
}

extension ControlConfiguration {
    mutating func visitFields<let room: Int>(_ coder: inout FieldBuffer<room>) {
        coder.field(choice: &chemistry)
        coder.field(&cellsInSeries)
        coder.array(&packs, filler: PackConfiguration()) { coder, pack in pack.visitFields(&coder) }
        coder.field(&bulk)
        coder.field(&float)
        coder.field(&rebulk)
        coder.field(&dischargeZeroFloor)
        coder.field(&userDischargeVoltage)
        coder.field(&userCharge)
        coder.field(&userDischarge)
        coder.field(&chargeRateMaximum)
        coder.field(&bmsMarginPercent)
        coder.field(&rebulkSoC)
        coder.field(&fullEveryDays)
        coder.field(&absorbMaximum)
        coder.field(&inverterOffset)
        coder.field(&coldZero)
        coder.field(&coldReallow)
        coder.field(choice: &floatMode)
        coder.field(&followGap)
        coder.field(choice: &fullPolicy)
        coder.field(choice: &taper)
        coder.field(&runnerGainTenths)
        coder.field(&socCeiling)
        coder.field(&socReserve)
        coder.field(&socTaper)
        coder.field(&rebulkOnImbalance)
        coder.field(&socCapBeforeFull)
        coder.field(&coulombCounter)
        coder.field(&forceChargeRequests)
        coder.field(&fullChargeRequest)
        coder.field(choice: &obeyDischargeAction)
        coder.field(&obeyProtectsByBit)
        coder.field(&wireResistanceStops)
        coder.field(&hold)
        coder.field(&zero)
        inverter.visitFields(&coder)
    }
}

extension PackConfiguration {
    mutating func visitFields<let room: Int>(_ coder: inout FieldBuffer<room>) {
        coder.field(&chargeLimit)
        coder.field(&dischargeLimit)
        coder.field(&capacity)
        coder.field(&chargeOverCurrent)
        coder.field(&dischargeOverCurrent)
        coder.field(&isEnabled)
        coder.field(&disabledSensors)
        coder.field(&extendedHold)
        coder.field(&pollInterval)
    }
}

extension InverterTraits {
    mutating func visitFields<let room: Int>(_ coder: inout FieldBuffer<room>) {
        coder.field(&zeroCurrent)
        coder.field(&lowersVoltageWhenBlocked)
        coder.field(&protectionCutsOutput)
        coder.field(&hasSoCCutOff)
        coder.field(&disablesChargeInRest)
        coder.field(&fullRequestReleasesAt97)
        coder.field(&silentWhenLost)
    }
}
