import CServices
import ServiceLifecycle

/// Keeps this process small: what a moment needed, five hundred streams or the chart of a year, is given back afterwards.
public struct MemoryKeeper: Service {
    static let interval = Duration.seconds(20)

    /// Once, at the start of the process, before there are threads.
    public static func bound() {
        packbridge_bound_memory()
    }

    public func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                try? await Task.sleep(for: Self.interval)
                packbridge_return_memory()
            }
        }
    }
}
