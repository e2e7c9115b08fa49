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
        /// The most packs in one bank: each has a line of its own, and a board has two. A pack takes 2.3 KB.
        public let maximumPacks = 2
        public typealias PerPack<Element> = InlineArray<2, Element>
        public typealias PackList<Element: BitwiseCopyable & Sendable> = FixedArray<2, Element>
    #endif

    /// The most lines towards packs: one UART, and one more (CAN, or readings over Link).
    public let maximumBMSPorts = 2
    public typealias PerBMSPort<Element> = InlineArray<2, Element>
    public typealias BMSPortList<Element: BitwiseCopyable & Sendable> = FixedArray<2, Element>
#else
    /// The most packs in one bank.
    public let maximumPacks = 16
    /// Something for each pack in its place.
    public typealias PerPack<Element> = InlineArray<16, Element>
    /// At most as many as packs.
    public typealias PackList<Element: BitwiseCopyable & Sendable> = FixedArray<16, Element>

    /// The most lines towards packs.
    public let maximumBMSPorts = 16
    public typealias PerBMSPort<Element> = InlineArray<16, Element>
    public typealias BMSPortList<Element: BitwiseCopyable & Sendable> = FixedArray<16, Element>
#endif
