#!/usr/bin/env python3
"""A real Home Assistant and a real mosquitto judge what PackBridge tells over MQTT, and a command from Home Assistant is followed
down to the CAN bus.

    home_assistant.py BINARY_DIRECTORY HOME_ASSISTANT_ENVIRONMENT

The environment is what scripts/home-assistant prints. The last line counts the checks: `N passed, N failed`.
"""

import pathlib
import re
import signal
import sys
import tempfile
import time

from end_to_end import ROOT, Bridge, healthy_pack
from home_assistant_process import Broker, HomeAssistant
from judging import Report, conclude, wait_until
from serve_process import Serve

# What may have no value while nothing is ordered and nothing has happened.
WITHOUT_VALUE = re.compile(
    r"button\.|event\.|sensor\.packbridge_(last_command|time_to_full|time_to_empty|pack_1_state_of_health)$|number\.packbridge_(charge_cap|discharge_cap|state_of_charge_ceiling)$")


def expected(pack):
    """entity → (state, unit, device class, state class), for what the BMS was told to measure."""
    measurement, rising = "measurement", "total_increasing"
    volts = f"{pack.voltage_mV / 1000:.2f}"
    table = {
        "sensor.packbridge_state_of_charge": (pack.soc_pct, "%", "battery", measurement),
        "sensor.packbridge_voltage": (volts, "V", "voltage", measurement),
        "sensor.packbridge_current": (pack.current_mA / 1000, "A", "current", measurement),
        "sensor.packbridge_power": (int(pack.voltage_mV * pack.current_mA / 1e6), "W", "power", measurement),
        "sensor.packbridge_energy_charged": (None, "kWh", "energy", rising),
        "sensor.packbridge_energy_discharged": (None, "kWh", "energy", rising),
        "sensor.packbridge_remaining_charge": (pack.capacity_Ah * pack.soc_pct / 100, "Ah", None, measurement),
        "sensor.packbridge_highest_cell": (max(pack.cells_mV) / 1000, "V", "voltage", measurement),
        "sensor.packbridge_lowest_cell": (min(pack.cells_mV) / 1000, "V", "voltage", measurement),
        "sensor.packbridge_cell_delta": (max(pack.cells_mV) - min(pack.cells_mV), "mV", "voltage", measurement),
        "sensor.packbridge_highest_temperature": (max(pack.box_C, pack.battery_C), "°C", "temperature", measurement),
        "sensor.packbridge_charge_voltage_limit": (55.2, "V", "voltage", measurement),
        "sensor.packbridge_charge_current_limit": (120, "A", "current", measurement),
        "sensor.packbridge_discharge_current_limit": (130, "A", "current", measurement),
        "sensor.packbridge_charge_phase": ("bulk", None, "enum", None),
        "sensor.packbridge_frames_sent": (None, None, None, rising),
        "binary_sensor.packbridge_charging": ("off", None, "battery_charging", None),
        "binary_sensor.packbridge_charge_enabled": ("on", None, None, None),
        "binary_sensor.packbridge_alarm": (None, None, "problem", None),
        "binary_sensor.packbridge_control_process": ("on", None, "connectivity", None),
        "binary_sensor.packbridge_bms": ("on", None, "connectivity", None),
        "binary_sensor.packbridge_inverter_bus": ("on", None, "connectivity", None),
        "number.packbridge_duration_of_commands": (None, "min", "duration", None),
        "switch.packbridge_pause_charge": ("off", None, None, None),
        "sensor.packbridge_pack_1_voltage": (volts, "V", "voltage", measurement),
        "sensor.packbridge_pack_1_state_of_charge": (pack.soc_pct, "%", "battery", measurement),
        "sensor.packbridge_pack_1_mosfet_temperature": (pack.mosfet_C, "°C", "temperature", measurement),
        "sensor.packbridge_pack_1_cycles": (pack.cycles, None, None, rising),
        "binary_sensor.packbridge_pack_1_bms_connected": ("on", None, "connectivity", None),
        "binary_sensor.packbridge_pack_1_charge_switch": ("on", None, None, None),
    }
    for i, cell in enumerate(pack.cells_mV):
        table[f"sensor.packbridge_pack_1_cell_{i + 1:02d}"] = (cell / 1000, "V", "voltage", measurement)
    return table


def same(state, value):
    if value is None:
        return state not in ("unknown", "unavailable", None)
    if isinstance(value, str) and not re.fullmatch(r"-?[\d.]+", value):
        return state == value
    try:
        return abs(float(state) - float(value)) < 1e-6
    except (TypeError, ValueError):
        return False


class House:
    """Broker, battery, bridge and Home Assistant."""

    def __init__(self, binaries, environment, folder):
        self.folder = pathlib.Path(folder)
        self.broker = Broker(folder).start()
        self.pack = healthy_pack()
        self.bridge = Bridge(binaries, "control", "pylontech", self.pack)
        self.serve = Serve(binaries, f"{self.bridge.folder.name}/link", folder)
        (self.folder / "ha").mkdir()
        self.ha = HomeAssistant(environment, self.folder / "ha", self.broker.port)
        self.knows_devices = "2024" not in pathlib.Path(environment).name
        if self.knows_devices:
            self._automations()

    def mqtt(self, form):
        return {"host": "127.0.0.1", "port": self.broker.port, "discovery": form, "commands": True, "interval": 2}

    def _automations(self):
        """The blueprints of the project, in use."""
        blueprints = self.ha.folder / "blueprints/automation/packbridge"
        blueprints.mkdir(parents=True)
        for file in (ROOT / "docs/home-assistant/blueprints").glob("*.yaml"):
            (blueprints / file.name).write_text(file.read_text())
        (self.ha.folder / "automations.yaml").write_text("""
- id: lost
  alias: lost
  use_blueprint:
    path: packbridge/bms_lost.yaml
    input: {connected: [binary_sensor.packbridge_pack_1_bms_connected], duration: {seconds: 1}}
- id: delta
  alias: delta
  use_blueprint:
    path: packbridge/cell_delta_too_high.yaml
    input: {cell_delta: sensor.packbridge_pack_1_cell_delta, limit: 60, duration: {seconds: 1}}
""")

    def stop(self):
        self.serve.stop()
        self.ha.stop()
        self.bridge.stop()
        self.broker.stop()

    def has_values(self, seconds=60):
        """True when everything that must have a value has one."""
        def complete():
            states = self.ha.states("packbridge")
            missing = [e for e, s in states.items() if s["state"] in ("unknown", "unavailable") and not WITHOUT_VALUE.match(e)]
            return len(states) > 80 and not missing
        return wait_until(complete, seconds, 0.5)


def entities(house, form):
    """Every entity with the right class, unit and value, and not one complaint in Home Assistant's log."""
    report = Report(f"entities in {form} form")
    report.check("the bridge reaches its configured limits", house.bridge.bus.wait(0x351, lambda s: s["ChargeCurrentLimit"] == 120.0, 90))
    report.check("every entity has a value", house.has_values(), {
        e: s["state"] for e, s in house.ha.states("packbridge").items() if s["state"] in ("unknown", "unavailable") and not WITHOUT_VALUE.match(e)})
    wanted = expected(house.pack)
    wait_until(lambda: same(house.ha.state("sensor.packbridge_charge_current_limit"), 120), 20)
    states = house.ha.states("packbridge")
    for entity, (value, unit, device_class, state_class) in wanted.items():
        one = states.get(entity)
        report.check(f"{entity} exists", one)
        if one:
            attributes = one["attributes"]
            report.check(f"value of {entity}", same(one["state"], value), f"(got {one['state']}, expected {value})")
            got = tuple(attributes.get(key) for key in ("unit_of_measurement", "device_class", "state_class"))
            report.check(f"class of {entity}", got == (unit, device_class, state_class), got)
    device = house.ha.template("{{ device_attr('sensor.packbridge_pack_1_voltage', 'name') }}|{{ device_attr('sensor.packbridge_voltage', 'name') }}")
    report.equal("one device for each pack beside the bank", device, "PackBridge Pack 1|PackBridge")
    dashboard = (ROOT / "docs/home-assistant/dashboard.yaml").read_text()
    used = set(re.findall(r"\b(?:sensor|binary_sensor|number|switch|button)\.packbridge_\w+", dashboard))
    report.check("the dashboard names only entities that exist", used <= set(states), used - set(states))
    report.equal("complaints in the log", house.ha.complaints(), [])
    return report


def command(house):
    """A cap set in Home Assistant lowers the limit on the bus, shows, and ends by itself; a refusal is visible."""
    report = Report("command")
    ha, bus = house.ha, house.bridge.bus
    ha.call("number.set_value", entity_id="number.packbridge_duration_of_commands", value=1)
    report.check("the duration is taken over", wait_until(lambda: ha.state("number.packbridge_duration_of_commands") == "1", 10))
    ha.call("number.set_value", entity_id="number.packbridge_charge_cap", value=20)
    began = time.monotonic()
    report.check("the limit on the bus falls to 20 A", bus.wait(0x351, lambda s: s["ChargeCurrentLimit"] <= 20.0, 20), bus.latest.get(0x351))
    report.check("the entity shows 20 A", wait_until(lambda: same(ha.state("sensor.packbridge_charge_current_limit"), 20), 15))
    report.check("the cap shows 20 A", wait_until(lambda: same(ha.state("number.packbridge_charge_cap"), 20), 10))
    report.equal("the last command", ha.state("sensor.packbridge_last_command"), "charge_cap accepted")
    why = ha.state("sensor.packbridge_charge_current_reason") or ""
    report.check("the reason says that it was ordered", "order" in why or "command" in why, why)
    ha.call("mqtt.publish", topic="packbridge/command/charge_cap", payload="a lot")
    report.check("a refusal is visible", wait_until(lambda: "expected a number" in (ha.state("sensor.packbridge_last_command") or ""), 10),
                 ha.state("sensor.packbridge_last_command"))
    ha.call("switch.turn_on", entity_id="switch.packbridge_pause_discharge")
    report.check("the pause reaches the bus", bus.wait(0x351, lambda s: s["DischargeCurrentLimit"] == 0, 20))
    report.check("the switch is on", wait_until(lambda: ha.state("switch.packbridge_pause_discharge") == "on", 10))
    ha.call("switch.turn_off", entity_id="switch.packbridge_pause_discharge")
    report.check("switched off, the limit comes back", bus.wait(0x351, lambda s: s["DischargeCurrentLimit"] > 0, 60))
    report.check("the switch is off", wait_until(lambda: ha.state("switch.packbridge_pause_discharge") == "off", 10))
    held = time.monotonic() - began
    if held < 58:
        report.check("the cap still holds", bus.latest[0x351]["ChargeCurrentLimit"] <= 20.0)
    report.check("the cap ends by itself", bus.wait(0x351, lambda s: s["ChargeCurrentLimit"] > 20.0, 75 - min(held, 60)))
    report.check("it held for its minute", time.monotonic() - began >= 58)
    report.check("the cap shows nothing again", wait_until(lambda: ha.state("number.packbridge_charge_cap") == "unknown", 15))
    return report


def recovery(house):
    """The broker, Home Assistant and serve go away and come back."""
    report = Report("recovery")
    house.broker.stop()
    time.sleep(4)
    house.broker.start()
    report.check("after a restart of the broker everything has values", house.has_values(90))
    house.ha.stop()
    house.ha.start()
    report.check("after a restart of Home Assistant everything has values", house.has_values(60))
    house.serve.stop(signal.SIGKILL)
    report.check("a killed serve makes everything unavailable, by last will", wait_until(
        lambda: house.ha.state("sensor.packbridge_voltage") == "unavailable" and house.ha.state("binary_sensor.packbridge_health") == "unavailable", 45))
    house.serve.start()
    report.check("started again, everything has values", house.has_values(60))
    report.check("the frames on the bus went on", house.bridge.bus.latest[0x351]["ChargeCurrentLimit"] > 0)
    return report


def blueprints(house):
    """The blueprints act: cells differ, then the BMS is unplugged."""
    report = Report("blueprints")
    ha = house.ha
    report.check("both automations are on", all(wait_until(lambda: ha.state(f"automation.{name}") == "on", 10) for name in ("lost", "delta")))
    triggered = lambda name: ha.ask(f"states/automation.{name}")["attributes"].get("last_triggered")
    report.check("nothing has been triggered yet", not triggered("delta"))
    house.pack.cells_mV[6] = min(house.pack.cells_mV) + 90
    report.check("a large cell delta acts", wait_until(lambda: triggered("delta"), 25))
    house.bridge.bms.unplug()
    report.check("the lost BMS shows as not connected", wait_until(lambda: ha.state("binary_sensor.packbridge_pack_1_bms_connected") == "off", 60))
    report.check("its values are unavailable", wait_until(lambda: ha.state("sensor.packbridge_pack_1_voltage") == "unavailable", 10))
    report.check("a lost BMS acts", wait_until(lambda: triggered("lost"), 15))
    report.check("the bank says it", ha.state("binary_sensor.packbridge_bms") == "off" and ha.state("binary_sensor.packbridge_health") == "on")
    return report


def main():
    binaries, environment = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]
    reports = []
    with tempfile.TemporaryDirectory(prefix="packbridge-home-assistant-") as folder:
        house = House(binaries, environment, folder)
        try:
            house.ha.start()
            if house.knows_devices:
                house.serve.start(mqtt=house.mqtt("entity"))
                reports.append(entities(house, "entity"))
                # The same broker and the same Home Assistant: the old form must make room for the new one.
                house.serve.stop()
                house.serve.start(mqtt=house.mqtt("device"))
                reports.append(entities(house, "device"))
            else:
                house.serve.start(mqtt=house.mqtt("entity"))
                reports.append(entities(house, "entity"))
            reports.append(command(house))
            reports.append(recovery(house))
            if house.knows_devices:
                reports.append(blueprints(house))
            if any(report.failed for report in reports):
                print(house.serve.log[-3000:])
        finally:
            house.stop()
    return conclude(reports)


if __name__ == "__main__":
    sys.exit(main())
