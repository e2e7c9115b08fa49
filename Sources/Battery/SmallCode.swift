// What makes the image for a microcontroller small without a word in the sources that use it. It gives and traps as the standard library
// does; a name of this module goes before one of the standard library's.

#if MICROCONTROLLER
    extension Int64 {
        // On 32 bits the compiler writes the check for overflow out in place, for a product some 100 bytes. Here it is a call.

        @inline(never)
        public static func * (a: Int64, b: Int64) -> Int64 {
            let (value, isTooMuch) = a.multipliedReportingOverflow(by: b)
            precondition(!isTooMuch)
            return value
        }

        @inline(never)
        public static func / (a: Int64, b: Int64) -> Int64 {
            let (value, isTooMuch) = a.dividedReportingOverflow(by: b)
            precondition(!isTooMuch)
            return value
        }

        @inline(never)
        public static func + (a: Int64, b: Int64) -> Int64 {
            let (value, isTooMuch) = a.addingReportingOverflow(b)
            precondition(!isTooMuch)
            return value
        }

        @inline(never)
        public static func - (a: Int64, b: Int64) -> Int64 {
            let (value, isTooMuch) = a.subtractingReportingOverflow(b)
            precondition(!isTooMuch)
            return value
        }
    }

    extension Int {
        /// The range of a loop.
        @_transparent
        public static func ..< (start: Int, end: Int) -> Counting { Counting(from: start, to: end) }
    }

    /// Counts in place, where the iterator of a `Range` is a function of its own whose result is an optional. With a constant end, as
    /// that of the packs where there is room for one, nothing of the loop is left.
    public struct Counting: Sequence, IteratorProtocol, Sendable {
        @usableFromInline var position: Int
        @usableFromInline let end: Int

        @_transparent
        @usableFromInline
        init(from start: Int, to end: Int) {
            precondition(start <= end)
            position = start
            self.end = end
        }

        @_transparent
        public mutating func next() -> Int? {
            if position == end { return nil }
            defer { position += 1 }
            return position
        }

        @_transparent
        public func makeIterator() -> Counting { self }
    }
#endif
