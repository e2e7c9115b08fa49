# Every task of the project. `make` or `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

# Targets that ask for a length of time or a place take it as a variable, for example `make fuzz SECONDS=600`.
RELEASE := .build-release
PYTHON := .build-venv/bin/python
RELEASE_BUILD := scripts/forget-stale $(RELEASE) && PACKBRIDGE_SERVICES=1 swift build -c release --static-swift-stdlib --scratch-path $(RELEASE)

.PHONY: help
help: ## list the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: demo
demo: release ## watch the bridge work in the terminal and on http://127.0.0.1:8080, with nothing to plug in
	$(RELEASE)/release/packbridge demo

.PHONY: build
build: ## debug build of everything
	swift build

.PHONY: bridge
bridge: ## release binaries of the bridge alone, without the page
	scripts/bootstrap demo serve
	$(RELEASE_BUILD) --product packbridge
	$(RELEASE_BUILD) --product packbridge-control

.PHONY: release
release: bridge ## release binaries with the Swift runtime inside, in .build-release/release
	$(RELEASE_BUILD) --product packbridge-serve

.PHONY: deb
deb: release ## Debian package for this machine's architecture, in .build-deb
	scripts/bootstrap deb ble
	export PACKBRIDGE_BLE=1; $(RELEASE_BUILD) --product packbridge-ble
	scripts/deb $(RELEASE)/release .build-deb

.PHONY: test
test: ## unit, golden, capture and property tests, then those against the Python peers
	scripts/bootstrap test
	swift test
	scripts/peers .build/debug

.PHONY: firmware-size
firmware-size: ## how big the image for a microcontroller is and where the bytes are; PACKBRIDGE_BMS="modbus 55aa can" for more protocols
	FIRMWARE=virt swift build -c release --experimental-lto-mode full --triple riscv32-none-none-eabi --toolset toolsets/virt.json \
	    --scratch-path .build-firmware/size --product FirmwareVirt
	scripts/firmware-size .build-firmware/size/riscv32-none-none-eabi/release/FirmwareVirt --most $(FIRMWARE_MOST)

# Bytes of flash that the default image may take: a little more than it does.
FIRMWARE_MOST ?= 97000

.PHONY: embedded-check
embedded-check: ## the core builds for riscv32 in Embedded Swift and links without an allocator
	scripts/embedded-check

.PHONY: firmware
firmware: ## the firmware of every board: .build-firmware/*.elf, and *.bin to flash
	scripts/bootstrap firmware
	scripts/firmware virt esp32c3 esp32c6

# BOARD=esp32c3 PORT=/dev/ttyACM0
.PHONY: flash
flash: ## build the firmware for BOARD=esp32c3 or esp32c6 and write it over PORT=/dev/ttyACM0
	scripts/bootstrap firmware
	scripts/firmware $(BOARD)
	.build-venv/bin/esptool --chip $(BOARD) --port $(PORT) write-flash 0x0 .build-firmware/$(BOARD).bin

.PHONY: firmware-test
firmware-test: ## the firmware in QEMU between a BMS and an inverter, serve in front of it; vectors and soak on the target; images
	scripts/bootstrap firmware serve
	swift build --product packbridge
	swift build --product firmware-trial-host
	PACKBRIDGE_SERVICES=1 swift build --product packbridge --scratch-path $(SERVICES)
	PACKBRIDGE_SERVICES=1 swift build --product packbridge-serve --scratch-path $(SERVICES)
	scripts/firmware virt esp32c3 esp32c6
	scripts/firmware-test .build/debug $(SERVICES)/debug

.PHONY: verify
verify: bridge firmware-test ## everything that needs heavy peers: the firmware in QEMU, real SocketCAN in a throw-away Linux
	scripts/bootstrap verify
	swift build --build-tests
	NO_COLOR=1 scripts/run-in-vm .build/debug/packbridgePackageTests.xctest --testing-library swift-testing --filter SocketCANPortTests
	scripts/run-in-vm $(PYTHON) Tests/vm/real_socketcan.py $(RELEASE)/release

# With the web server and the database, apart from the build of the rest.
SERVICES := .build-services

.PHONY: verify-serve
verify-serve: ## what people see: its tests, then schemathesis, kill -9, full disk, Chromium, mosquitto, Home Assistant, the bus, times
	scripts/bootstrap serve verify
	PACKBRIDGE_SERVICES=1 swift build --build-tests --scratch-path $(SERVICES)
	$(SERVICES)/debug/packbridgePackageTests.xctest --testing-library swift-testing --filter 'ServicesTests|MQTTTests'
	scripts/verify-serve $(SERVICES)/debug

.PHONY: times
times: release ## how long everything takes when something dies, for docs/what-happens-when.md: two minutes, tab-separated as in bench
	@scripts/bootstrap verify
	@$(PYTHON) Tests/peers/times.py $(RELEASE)/release

.PHONY: tutorials
tutorials: ## docs/add-an-inverter.md and docs/add-a-bms.md, followed to the letter in a copy
	scripts/bootstrap test
	$(PYTHON) Tests/peers/tutorials.py

.PHONY: verify-ble
verify-ble: ## Bluetooth: packbridge-ble against a BlueZ that is played in Python
	scripts/bootstrap ble
	PACKBRIDGE_BLE=1 swift build --product packbridge
	PACKBRIDGE_BLE=1 swift build --product packbridge-control
	PACKBRIDGE_BLE=1 swift build --product packbridge-ble
	$(PYTHON) Tests/peers/bluetooth.py .build/debug

.PHONY: verify-deb
verify-deb: deb ## the package in a throw-away Debian: install, upgrade, remove, purge, its services under systemd
	scripts/bootstrap deb verify
	$(PYTHON) Tests/peers/debian_package.py .build-deb

.PHONY: bench-programs
bench-programs:
	@scripts/bootstrap demo serve verify bench firmware >&2
	@for product in packbridge packbridge-control packbridge-serve packbridge-bench packbridge-serve-bench; do \
	    $(RELEASE_BUILD) --product $$product >&2; done
	@scripts/firmware virt >&2

.PHONY: bench
bench: bench-programs ## measure everything; one tab-separated line per figure: name, value, unit, target, ok or short
	@$(PYTHON) scripts/bench $(RELEASE)/release

.PHONY: performance
performance: bench-programs ## the same with curves over packs and browsers, written to docs/performance.md
	@scripts/bootstrap performance
	$(PYTHON) scripts/performance $(RELEASE)/release

DAYS := 1
SEEDS := 50
.PHONY: soak
soak: ## simulated worlds with faults, checked against the invariants: DAYS=1 in each of SEEDS=50; with DURATION=12h soak-processes
ifeq ($(origin DURATION),command line)
soak: soak-processes
else
soak: bridge
	$(RELEASE)/release/packbridge simulate soak --days $(DAYS) --seeds $(SEEDS) --progress
endif

.PHONY: hardware
hardware: ## the converter: board placed and routed, rules, gerbers, bill of materials, calculation, ngspice, case
	scripts/bootstrap hardware
	hardware/build

DURATION := 10m
.PHONY: soak-processes
soak-processes: release ## the real processes with web clients and a broker for DURATION=10m: what grows, histograms, a report
	scripts/bootstrap verify
	$(PYTHON) scripts/soak-processes $(RELEASE)/release $(DURATION) .build-soak

SECONDS := 60
.PHONY: fuzz
fuzz: ## every decoder under libFuzzer and AddressSanitizer, SECONDS=60 for each
	scripts/bootstrap fuzz
	scripts/fuzz $(SECONDS)

SANITIZERS := address thread
.PHONY: sanitize
sanitize: ## the Swift tests under the address sanitizer, and what has threads under the thread sanitizer
	scripts/bootstrap serve verify
	for kind in $(SANITIZERS); do scripts/sanitize $$kind; done

.PHONY: documentation
documentation: ## DocC archives of the libraries, in .build-documentation; what DocC warns of is an error
	swift build
	scripts/documentation

.PHONY: coverage
coverage: ## line coverage of each module by the Swift tests
	scripts/bootstrap test
	scripts/coverage

.PHONY: lint
lint: ## layout, purity of the core, scripts
	scripts/lint

.PHONY: format
format: ## let swift format lay out the sources
	swift format --in-place --recursive --parallel Package.swift Sources Tests

.PHONY: clean
clean: ## remove everything that was built
	rm -rf .build .build-*
