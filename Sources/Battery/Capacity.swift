// How much the values of the core have room for. A value lives in its owner, there is no heap, so on a microcontroller, whose memory is
// small, this is less.

#if MICROCONTROLLER
    #if BMS_MODBUS || BMS_55AA
        /// The most packs in one bank. A pack takes 2.3 KB.
        public let maximumPacks = 4
        /// Something for each pack in its place.
        public typealias PerPack<Element> = InlineArray<4, Element>
        /// At most as many as packs.
        public typealias PackList<Element: BitwiseCopyable & Sendable> = FixedArray<4, Element>
    #else
        /// The most packs in one bank: a board has one line towards packs, and without a bus protocol one pack is on it.
        public let maximumPacks = 1
        public typealias PerPack<Element> = InlineArray<1, Element>
        public typealias PackList<Element: BitwiseCopyable & Sendable> = FixedArray<1, Element>
    #endif

    /// Lines towards packs, and ports towards inverters.
    public typealias PerBMSPort<Element> = InlineArray<1, Element>
    public typealias BMSPortList<Element: BitwiseCopyable & Sendable> = FixedArray<1, Element>
    public typealias PerInverterPort<Element> = InlineArray<1, Element>
    public typealias InverterPortList<Element: BitwiseCopyable & Sendable> = FixedArray<1, Element>
#else
    /// The most packs in one bank.
    public let maximumPacks = 16
    /// Something for each pack in its place.
    public typealias PerPack<Element> = InlineArray<16, Element>
    /// At most as many as packs.
    public typealias PackList<Element: BitwiseCopyable & Sendable> = FixedArray<16, Element>

    /// Something for each line towards packs in its place.
    public typealias PerBMSPort<Element> = InlineArray<16, Element>
    /// At most as many as lines towards packs.
    public typealias BMSPortList<Element: BitwiseCopyable & Sendable> = FixedArray<16, Element>
    /// Something for each port towards an inverter in its place.
    public typealias PerInverterPort<Element> = InlineArray<2, Element>
    /// At most as many as ports towards inverters.
    public typealias InverterPortList<Element: BitwiseCopyable & Sendable> = FixedArray<2, Element>
#endif
