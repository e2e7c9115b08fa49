import Battery

extension Controller {
    /// Begins anew as `init` does, part by part where the controller is: on a microcontroller's stack a new one would need its room
    /// twice more. A test looks that no stored property is forgotten.
    @inline(never)
    public mutating func begin(
        configuration: ControlConfiguration, record: ControlRecord?, recentBoots: Int32, at now: Instant
    ) {
        configure(configuration, record: record, recentBoots: recentBoots)
        for i in packs.indices { beginPack(i) }
        beginOutput()
        beginLimits()
        beginOrders()
        beginCounters()
        restore(at: now)
    }

    @inline(never)
    private mutating func beginPack(_ i: Int) {
        packs[i] = PackTracker()
        views[i] = PackView()
    }

    @inline(never)
    private mutating func beginOutput() {
        output = ControlOutput()
        listsLimiters = false
        chargeListing = LimiterListing()
        dischargeListing = LimiterListing()
    }

    @inline(never)
    private mutating func beginLimits() {
        bank = BankView()
        band = CellBand(configuration, table: table, overVoltage: nil, underVoltage: nil)
        share = ShareMeter()
        chargeCorrection = MeasuredCorrection()
        dischargeCorrection = MeasuredCorrection()
        chargeSlew = Slew()
        dischargeSlew = Slew()
        chargeEnable = Enable()
        dischargeEnable = Enable()
        dischargeVoltage = DischargeVoltage()
        chargeObedience = Obedience()
        dischargeObedience = Obedience()
        isInconsistent = false
        unknownPack = 0
    }

    @inline(never)
    private mutating func beginOrders() {
        overrides = Overrides()
        ceiling = SoCMark()
        reserve = SoCMark()
        force1 = ForceCharge()
        force2 = ForceCharge()
        fullRequest = FullChargeRequest()
    }

    @inline(never)
    private mutating func beginCounters() {
        phase = PhaseMachine()
        soc = SoCReport()
        counter = CoulombCounter()
        energy = EnergyMeter()
        limitedTime = LimitedTime()
        shunt = nil
        shuntAt = never
        isShuntDropped = false
        lastTick = never
        countedPacks = 0
        lostPacks = 0
        firstReadyAt = never
        wasLive = false
        cameToLife = false
        lastVoltage = 0
        isRecordUrgent = false
    }
}
