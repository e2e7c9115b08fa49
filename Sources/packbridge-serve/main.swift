import Foundation
import Services

/// `packbridge-serve`: the process that shows everything. `packbridge serve` and `packbridge run` start it.
let usage = """
    usage: packbridge-serve --from SOCKET|TTY [--config FILE | --config-fd N]
           packbridge-serve hash < PASSWORD            prints the hash of a password, for web.access
           packbridge-serve token NAME                 makes a token for a program: prints it, then its hash

    The configuration is one JSON object (docs/serve.md). Without it: 127.0.0.1:8080, no history, no MQTT.
    Example: packbridge-serve --from /run/packbridge/link --config serve.json
    Exit codes: 0 ended as asked, 1 failed, 2 usage, 78 configuration refused.
    """

func fail(_ text: String, code: Int32) -> Never {
    FileHandle.standardError.write(Data("packbridge-serve: \(text)\n".utf8))
    exit(code)
}

struct Arguments {
    var source: LinkSource?
    var configuration = ServeConfiguration()

    init(_ words: [String]) {
        var rest = words[...]
        while let option = rest.popFirst() {
            if option == "--help" || option == "-h" {
                print(usage)
                exit(0)
            }
            guard let value = rest.popFirst() else { fail("\(option) needs a value\n\(usage)", code: 2) }
            switch option {
            case "--from": source = LinkSource(value)
            case "--config": read(FileHandle(forReadingAtPath: value), name: value)
            case "--config-fd":
                guard let number = Int32(value) else { fail("--config-fd needs a number", code: 2) }
                read(FileHandle(fileDescriptor: number, closeOnDealloc: true), name: "descriptor \(number)")
            default: fail("there is no option \(option)\n\(usage)", code: 2)
            }
        }
    }

    private mutating func read(_ file: FileHandle?, name: String) {
        guard let data = try? file?.readToEnd() else { fail("cannot read the configuration (\(name))", code: 78) }
        do {
            configuration = try ServeConfiguration(json: data)
        } catch {
            fail("configuration: \(error)", code: 78)
        }
    }
}

func printHash() -> Never {
    guard let password = readLine(strippingNewline: true), let hash = Passwords.hash(password) else {
        fail("a password has \(Passwords.shortest) to \(Passwords.longest) bytes", code: 1)
    }
    print(hash)
    exit(0)
}

func printToken(_ name: String) -> Never {
    guard !name.isEmpty, name.utf8.allSatisfy({ $0 > 32 && $0 < 127 && $0 != UInt8(ascii: ".") }),
        let (token, hash) = Passwords.makeToken(name: name)
    else { fail("the name of a token has letters, digits and dashes", code: 1) }
    print(token)
    print(hash)
    exit(0)
}

MemoryKeeper.bound()
let words = Array(CommandLine.arguments.dropFirst())
if words == ["hash"] { printHash() }
if words.count == 2 && words[0] == "token" { printToken(words[1]) }
let arguments = Arguments(words)
guard let source = arguments.source else { fail("--from is missing\n\(usage)", code: 2) }
let web = arguments.configuration.web
let scheme = web.tls == nil ? "http" : "https"
let application = ServeApplication(
    arguments.configuration, source: source,
    onRunning: { port in
        let host = web.bind.contains(":") ? "[\(web.bind)]" : web.bind
        // Not `print`: nobody would see it while the output is a pipe.
        FileHandle.standardOutput.write(Data("packbridge-serve: \(scheme)://\(host):\(port)\n".utf8))
    })
do {
    try await application.run()
} catch {
    fail("\(error)", code: 1)
}
