import ProbeBoard

/// A program that allocates. It must not link: that shows that the link of `LinkProbe` would notice an allocation.
@main
struct AllocationProbe {
    static func main() {
        var words: [UInt32] = []
        while probe_read() != 0 { words.append(probe_read()) }
        for word in words { probe_write(word) }
    }
}
