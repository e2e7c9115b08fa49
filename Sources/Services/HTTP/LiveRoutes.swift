import Foundation
import HTTPTypes
import Hummingbird
import NIOConcurrencyHelpers
import NIOCore

/// `/api/v1/snapshot`, `stream`, `status`, `commands`, `explain.json`.
struct LiveRoutes: Sendable {
    let hub: Hub
    let status: StatusSource
    let maximumStreams: Int
    let streams: NIOLockedValueBox<Int>

    func add(to router: RouterGroup<WebContext>) {
        router.get("snapshot") { request, _ in try await snapshot(request) }
        router.get("stream") { request, _ in try await stream(request) }
        router.get("status") { request, _ in
            _ = try QueryReader(request, allowed: [])
            return json(await status.document())
        }
        router.get("commands") { request, _ in
            _ = try QueryReader(request, allowed: [])
            return json(CommandList(commands: await hub.activeCommands))
        }
        router.post("commands") { request, context in try await command(request, context) }
        router.get("explain.json") { request, _ in try await explain(request) }
    }

    private struct CommandList: Encodable {
        var commands: [SnapshotDocument.ActiveCommand]
    }

    private static let nothingYet = Refusal(
        .serviceUnavailable, "no snapshot of the control process has arrived yet; /api/v1/status says why")

    private func snapshot(_ request: Request) async throws -> Response {
        _ = try QueryReader(request, allowed: [])
        guard let body = await hub.snapshotJSON else { throw Self.nothingYet }
        return json(body)
    }

    // MARK: Stream

    private func stream(_ request: Request) async throws -> Response {
        _ = try QueryReader(request, allowed: [])
        if streams.withLockedValue({ $0 }) >= maximumStreams {
            throw Refusal(.serviceUnavailable, "there are already \(maximumStreams) live streams")
        }
        let missed = await missedEvents(request)
        let (hub, streams) = (hub, streams)
        var headers: HTTPFields = [.contentType: "text/event-stream", .cacheControl: "no-store"]
        // nginx would collect the events.
        headers[HTTPField.Name("X-Accel-Buffering")!] = "no"
        let body = ResponseBody { writer in
            // Counted here: the answer to a HEAD has no body, and a client may be gone before it begins.
            streams.withLockedValue { $0 += 1 }
            defer { streams.withLockedValue { $0 -= 1 } }
            let subscription = await hub.subscribe(capacity: 16, dropsWhenSlow: true)
            do {
                var opening = ByteBuffer(string: "retry: 2000\n\n")
                for event in missed {
                    opening.writeImmutableBuffer(HubNews(.event(event), json: encodeJSON(event)).frame)
                }
                try await writer.write(opening)
                for await news in subscription.news { try await writer.write(news.frame) }
                try await writer.finish(nil)
            } catch {
                await hub.unsubscribe(subscription.id)
                throw error
            }
            await hub.unsubscribe(subscription.id)
        }
        return Response(status: .ok, headers: headers, body: body)
    }

    /// What a browser that comes back has not seen, by the number that it sends by itself.
    private func missedEvents(_ request: Request) async -> [EventDocument] {
        guard let text = request.headers[HTTPField.Name("Last-Event-ID")!], let last = Int64(text) else { return [] }
        return await hub.recentEvents.filter { $0.id > last }.suffix(200)
    }

    // MARK: Commands

    private func command(_ request: Request, _ context: WebContext) async throws -> Response {
        try AccessMiddleware.requireOwner(context)
        _ = try QueryReader(request, allowed: [])
        let command = try await request.decoded(CommandRequest.self, keys: ["order", "value", "time_to_live_s"])
        do {
            return json(try await hub.execute(command, by: context.visitor.name))
        } catch {
            switch error {
            case .senseless(let text): throw Refusal(.badRequest, text)
            case .refused(let text): throw Refusal(.conflict, text)
            case .unreachable(let text): throw Refusal(.serviceUnavailable, text)
            }
        }
    }

    private func explain(_ request: Request) async throws -> Response {
        _ = try QueryReader(request, allowed: [])
        guard let line = await hub.explainLine() else { throw Self.nothingYet }
        var headers: HTTPFields = [:]
        headers[.contentDisposition] = "attachment; filename=\"explain.json\""
        return json(line, headers: headers)
    }
}
