// Memory-mapped registers. Only this file imports `_Volatile`: every file that calls its methods must import it itself.
#if hasFeature(Embedded)
    import _Volatile

    public struct Register32 {
        let register: VolatileMappedRegister<UInt32>

        @inline(__always) public init(_ address: UInt) { register = VolatileMappedRegister(unsafeBitPattern: address) }
        @inline(__always) public func load() -> UInt32 { register.load() }
        @inline(__always) public func store(_ value: UInt32) { register.store(value) }
        @inline(__always) public func set(_ bits: UInt32) { register.store(register.load() | bits) }
        @inline(__always) public func clear(_ bits: UInt32) { register.store(register.load() & ~bits) }

        @inline(__always) public func modify(clear: UInt32, set: UInt32) {
            register.store(register.load() & ~clear | set)
        }
    }

    public struct Register16 {
        let register: VolatileMappedRegister<UInt16>

        @inline(__always) public init(_ address: UInt) { register = VolatileMappedRegister(unsafeBitPattern: address) }
        @inline(__always) public func load() -> UInt16 { register.load() }
        @inline(__always) public func store(_ value: UInt16) { register.store(value) }
    }

    public struct Register8 {
        let register: VolatileMappedRegister<UInt8>

        @inline(__always) public init(_ address: UInt) { register = VolatileMappedRegister(unsafeBitPattern: address) }
        @inline(__always) public func load() -> UInt8 { register.load() }
        @inline(__always) public func store(_ value: UInt8) { register.store(value) }
    }

    /// Byte-wide SJA1000 registers `stride` bytes apart: QEMU's mioe3680_pci has 4.
    public struct SJA1000ByteRegisters: SJA1000Registers {
        let base: UInt
        let stride: UInt

        public init(base: UInt, stride: UInt) {
            self.base = base
            self.stride = stride
        }

        @inline(__always) public func load(_ index: UInt32) -> UInt8 { Register8(base &+ UInt(index) &* stride).load() }
        @inline(__always) public func store(_ index: UInt32, _ value: UInt32) {
            Register8(base &+ UInt(index) &* stride).store(UInt8(truncatingIfNeeded: value))
        }
    }

    /// Espressif's TWAI: one 32-bit word for each SJA1000 register.
    public struct TWAIRegisters: SJA1000Registers {
        let base: UInt

        public init(base: UInt) {
            self.base = base
        }

        @inline(__always) public func load(_ index: UInt32) -> UInt8 {
            UInt8(truncatingIfNeeded: Register32(base &+ UInt(index) &* 4).load())
        }
        @inline(__always) public func store(_ index: UInt32, _ value: UInt32) {
            Register32(base &+ UInt(index) &* 4).store(value)
        }
    }
#endif
