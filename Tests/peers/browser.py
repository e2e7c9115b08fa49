#!/usr/bin/env python3
"""The web page in a real browser (headless Chromium), as a person uses it.

    browser.py [--products .build-services/debug | --url http://127.0.0.1:8080/ [--password WORD]] [--artifacts artifacts/browser]

Without --url it starts fake_serve.py and also makes faults happen; with --products afterwards the real packbridge-serve behind a real
control process. Needs the Python packages playwright and axe-playwright-python and Debian's chromium. Screenshots stay in the
artefacts folder, to be looked at. The last line counts the tests: `N passed, N failed`.
"""
import argparse
import contextlib
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

import axe_playwright_python
import can
from end_to_end import Bridge, healthy_pack
from playwright.sync_api import expect, sync_playwright
from serve_process import Serve

HERE = pathlib.Path(__file__).resolve().parent
AXE = (pathlib.Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
SIZES = {"desktop": (1440, 900), "phone": (390, 844)}
MOST_BYTES = 300_000


class Failure(Exception):
    pass


def check(condition, message):
    if not condition:
        raise Failure(message)


class Visit:
    """A page that notes what must not happen: errors on the console, requests to another origin."""

    def __init__(self, browser, url, **context):
        self.url = url
        self.context = browser.new_context(locale="en-GB", timezone_id="Europe/Berlin", **context)
        self.page = self.context.new_page()
        self.problems, self.bytes, self.expected = [], 0, set()
        self.page.on("console", self.console)
        self.page.on("pageerror", lambda error: self.problems.append(f"script error: {error}"))
        self.page.on("request", self.request)
        self.page.on("response", self.response)

    def console(self, message):
        if message.type in ("error", "warning") and not any(text in message.text for text in self.expected):
            self.problems.append(f"console: {message.text}")

    def request(self, request):
        if not request.url.startswith(self.url):
            self.problems.append(f"a request left the origin: {request.url}")

    def response(self, response):
        if "/api/" not in response.url and response.ok:
            self.bytes += int(response.headers["content-length"])

    def open(self):
        self.page.goto(self.url)
        return self.page

    def close(self):
        self.context.close()
        check(not self.problems, "; ".join(self.problems))


def ready(page):
    page.wait_for_selector("html[data-ready=yes]", timeout=15_000)
    return page


def page_loads(browser, url, folder):
    """first paint, weight, every section filled"""
    visit = Visit(browser, url, viewport={"width": 1440, "height": 900})
    page = ready(visit.open())
    page.wait_for_timeout(1500)
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime")
    for selector in ("#soc", ".limit-why span", "#waiting", ".pack-card .bar", ".link", ".event", ".frames tbody tr", ".command"):
        check(page.locator(selector).count() and page.locator(selector).first.text_content() is not None, f"{selector} is missing")
    text = page.locator("main").inner_text()
    check(not re.search(r"\b(NaN|undefined|null|\[object)", text), "a placeholder of the script is visible: " + text[:200])
    check(not re.search(r"\b(reason|waiting|told|pack|health|event|command)\.\w+", text), "a sentence without a translation is visible")
    check(len(page.locator(".limit-why span").all_inner_texts()) == 3, "not every limit has a reason")
    visit.close()
    check(visit.bytes <= MOST_BYTES, f"the page weighs {visit.bytes} bytes")
    return f"first paint {paint:.0f} ms, {visit.bytes // 1000} kB"


def values_move(browser, url, folder):
    """the stream changes what is shown"""
    visit = Visit(browser, url)
    page = ready(visit.open())
    read = lambda: page.locator("#figures").inner_text() + page.locator("#pack-cards").inner_text() + page.locator("#health").inner_text()
    before = read()
    page.wait_for_timeout(3000)
    check(read() != before, "nothing changed within 3 s")
    expect(page.locator("#pulse")).to_have_attribute("data-state", "live")
    visit.close()


def chart_zooms(browser, url, folder):
    """dragging zooms, double click and keys go back, the cursor reads values"""
    visit = Visit(browser, url, viewport={"width": 1440, "height": 900})
    page = ready(visit.open())
    canvas = page.locator("canvas[data-chart=soc]")
    canvas.scroll_into_view_if_needed()
    expect(canvas).to_have_attribute("aria-label", re.compile("State of charge"))
    whole = canvas.get_attribute("aria-label")
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] * .3, box["y"] + 60)
    check("," in page.locator(".chart-head strong").first.inner_text(), "no cursor")
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * .6, box["y"] + 60, steps=5)
    page.mouse.up()
    expect(canvas).not_to_have_attribute("aria-label", whole)
    expect(page.locator("#ranges [aria-pressed=true]")).to_have_count(0)
    page.screenshot(path=folder / "zoomed.png")
    canvas.focus()
    page.keyboard.press("0")
    expect(page.locator("#ranges [aria-pressed=true]")).to_have_count(1)
    for name in page.locator("#ranges button").all_inner_texts():
        page.locator("#ranges button", has_text=name).click()
        page.wait_for_timeout(300)
    check(page.locator("#csv").get_attribute("href").startswith("api/v1/export.csv?"), "no CSV link for what is shown")
    visit.close()


def command_needs_confirmation(browser, url, folder):
    """Escape and Cancel send nothing; confirming sends once; the order in force is shown"""
    visit = Visit(browser, url)
    page = ready(visit.open())
    sent = []
    page.on("request", lambda request: sent.append(request.post_data_json) if request.url.endswith("/commands") and request.method == "POST" else None)
    button = page.locator("[data-order=charge_cap]")
    button.click()
    expect(page.locator("#confirm")).to_be_visible()
    page.screenshot(path=folder / "confirm.png")
    page.keyboard.press("Escape")
    expect(page.locator("#confirm")).to_be_hidden()
    button.click()
    page.locator("#confirm-no").click()
    page.wait_for_timeout(300)
    check(not sent, f"sent without a confirmation: {sent}")
    button.click()
    page.locator("#order-value").fill("20")
    page.locator("#order-time").select_option("600")
    page.locator("#confirm-yes").click()
    page.wait_for_selector(".toast")
    check(sent == [{"order": "charge_cap", "value": 20_000, "time_to_live_s": 600}], f"sent {sent}")
    expect(page.locator(".in-force")).to_contain_text("20 A", timeout=5000)
    page.locator("[data-order=resume]").click()
    page.locator("#confirm-yes").click()
    expect(page.locator(".in-force")).to_have_count(0, timeout=5000)
    visit.close()


def accessible(browser, url, folder):
    """axe finds nothing, in both themes and sizes; the keyboard reaches the content"""
    found = []
    for size, (width, height) in SIZES.items():
        for scheme in ("light", "dark"):
            visit = Visit(browser, url, viewport={"width": width, "height": height}, color_scheme=scheme)
            page = ready(visit.open())
            page.wait_for_timeout(1200)
            page.evaluate(AXE)
            result = page.evaluate("axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })")
            found += [f"{size} {scheme}: {v['id']}: {v['help']}: {v['nodes'][0]['target']} ({len(v['nodes'])})" for v in result["violations"]]
            check(page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{size}: wider than the screen")
            page.keyboard.press("Tab")
            check(page.evaluate("document.activeElement.className") == "skip", "the first Tab does not reach the skip link")
            page.screenshot(path=folder / f"{size}-{scheme}.png", full_page=True)
            visit.close()
    check(not found, "\n  ".join(found))


def german(browser, url, folder):
    """every sentence changes language"""
    visit = Visit(browser, url)
    page = ready(visit.open())
    page.locator("#language").select_option("de")
    expect(page.locator("#h-told")).to_have_text("Was der Wechselrichter gesagt bekommt, und warum")
    expect(page.locator("html")).to_have_attribute("lang", "de")
    page.reload()
    ready(page)
    expect(page.locator("#h-packs")).to_have_text("Packs")
    expect(page.locator("#h-history")).to_have_text("Verlauf")
    visit.close()


def theme_is_kept(browser, url, folder):
    """the toggle wins over the system and survives a reload"""
    visit = Visit(browser, url, color_scheme="light")
    page = ready(visit.open())
    ground = lambda: page.evaluate("getComputedStyle(document.body).backgroundColor")
    light = ground()
    page.locator("#theme").click()
    dark = ground()
    page.reload()
    ready(page)
    check(light != dark and ground() == dark, f"light {light}, dark {dark}, after the reload {ground()}")
    visit.close()


def stale_is_unmistakable(browser, url, folder, fake):
    """a stream that goes silent, and a page whose script has stopped"""
    visit = Visit(browser, url, viewport={"width": 1440, "height": 900})
    page = ready(visit.open())
    expect(page.locator("#stale")).to_be_hidden()
    fake("hang")
    expect(page.locator("#stale")).to_be_visible(timeout=7000)
    expect(page.locator("#pulse")).to_have_attribute("data-state", "stale")
    check(page.title().startswith("⚠"), f"the title says {page.title()}")
    page.wait_for_timeout(2500)
    check(page.evaluate("getComputedStyle(document.querySelector('.veil')).visibility") == "visible", "no veil")
    page.screenshot(path=folder / "stale.png")
    fake("resume")
    expect(page.locator("#stale")).to_be_hidden(timeout=7000)
    check(page.evaluate("getComputedStyle(document.querySelector('.veil')).visibility") == "hidden", "the veil stays")
    # No script at all from here on: the style sheet alone must show it.
    page.evaluate("window.stop(); for (let i = 0; i < 1e5; i++) { clearInterval(i); clearTimeout(i); }")
    fake("hang")
    page.wait_for_timeout(7500)
    check(page.evaluate("getComputedStyle(document.querySelector('.veil')).visibility") == "visible", "a stopped script looks alive")
    fake("resume")
    visit.close()


def faults_show(browser, url, folder, fake):
    """a lost pack, an alarm, cold cells, a silent inverter"""
    visit = Visit(browser, url, viewport={"width": 1440, "height": 900})
    page = ready(visit.open())
    for fault, selector, words in (
        ("pack-lost", "#alarms .red", "BMS lost: Shelf 1"), ("alarm", "#alarms .red", "Cell over-voltage: Shelf 2"), ("cold", ".limit.zero .limit-why", "Cold cells"),
        ("silent-inverter", "#health .warn", "not heard"), ("link-lost", "#stale", "does not hear the control process"),
    ):
        fake(fault)
        expect(page.locator(selector).first).to_contain_text(words, timeout=4000)
        page.screenshot(path=folder / f"fault-{fault}.png")
    fake("unread")
    expect(page.locator("#soc")).to_have_text("–", timeout=4000)
    check("0.0" not in page.locator("#figures").inner_text(), "a zero that nobody measured is shown")
    check("0.00" not in page.locator(".pack-facts").first.inner_text(), "a zero that nobody measured is shown for a pack")
    fake("well")
    visit.close()


def login_works(browser, url, folder, password):
    """nothing is shown before the password, the wrong one is refused, the right one opens"""
    visit = Visit(browser, url)
    visit.expected = {"401"}
    page = visit.open()
    expect(page.locator("#login")).to_be_visible()
    page.screenshot(path=folder / "login.png")
    page.locator("#login-password").fill("wrong " + password)
    page.keyboard.press("Enter")
    expect(page.locator("#login-error")).to_have_text("Wrong password.")
    page.keyboard.press("Escape")
    expect(page.locator("#login")).to_be_visible()
    page.locator("#login-password").fill(password)
    page.keyboard.press("Enter")
    ready(page)
    expect(page.locator("#login")).to_be_hidden()
    page.locator("#logout").click()
    expect(page.locator("#login")).to_be_visible()
    visit.close()


def login_is_real(browser, url, folder, password):
    """the session orders with its CSRF token; logging out ends it on the server, not only in the browser"""
    visit = Visit(browser, url)
    visit.expected = {"401"}
    page = visit.open()
    page.locator("#login-password").fill(password)
    page.keyboard.press("Enter")
    ready(page)
    page.locator("[data-order=pause_charge]").click()
    page.locator("#order-time").select_option("600")
    page.locator("#confirm-yes").click()
    expect(page.locator(".in-force")).to_contain_text("10 min", timeout=5000)
    page.locator("[data-order=resume]").click()
    page.locator("#confirm-yes").click()
    expect(page.locator(".in-force")).to_have_count(0, timeout=5000)
    page.reload()
    ready(page)
    expect(page.locator("#login")).to_be_hidden()
    cookie = "; ".join(f"{one['name']}={one['value']}" for one in visit.context.cookies())
    check(status_with(url, cookie) == 200, "the session's cookie is not good")
    page.locator("#logout").click()
    expect(page.locator("#login")).to_be_visible()
    check(status_with(url, cookie) == 401, "the session lives on after logging out")
    visit.close()


def status_with(url, cookie):
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{url}api/v1/snapshot", headers={"Cookie": cookie})) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def live(bridge, ended):
    """The battery's voltage moves, or it counts as stuck, and the inverter answers."""
    second = 0
    while not ended.wait(1):
        second += 1
        bridge.bms.pack.cells_mV[3] = 3312 + second % 3
        bridge.bus.bus.send(can.Message(arbitration_id=0x305, data=bytes(8), is_extended_id=False))


def real_servers(stack, products, password):
    """URLs of a packbridge-serve that lets this machine in and of one that wants the password, behind a real control process."""
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="packbridge-browser-"))
    bridge = Bridge(products, "control", "pylontech", healthy_pack())
    stack.callback(bridge.stop)
    alive = threading.Event()
    threading.Thread(target=live, args=(bridge, alive), daemon=True).start()
    stack.callback(alive.set)
    history = f"{folder}/history.db"
    subprocess.run([products / "packbridge-serve-bench", "history", history, "3", "1"], check=True, stdout=subprocess.DEVNULL)
    hashed = subprocess.run([products / "packbridge-serve", "hash"], input=password + "\n", capture_output=True, text=True, check=True).stdout.strip()
    urls = []
    for name, more in (("open", {"history": {"path": history}}), ("closed", {"web": {"port": 0, "access": {"owner": hashed, "loopbackNeedsLogin": True}}})):
        (pathlib.Path(folder) / name).mkdir()
        serve = Serve(products, f"{bridge.folder.name}/link", pathlib.Path(folder) / name, **more).start()
        stack.callback(serve.stop)
        urls.append(f"http://127.0.0.1:{serve.port()}/")
    check(bridge.bus.wait(0x351, lambda signals: signals["ChargeCurrentLimit"] == 120.0, 60), "the limits never rose")
    return urls


@contextlib.contextmanager
def fake_server(*arguments):
    process = subprocess.Popen([sys.executable, HERE / "fake_serve.py", "--port", "0", *arguments], stdout=subprocess.PIPE, text=True)
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="a running `packbridge serve` that may be given commands")
    parser.add_argument("--products", type=pathlib.Path, help="where packbridge, packbridge-control and packbridge-serve are")
    parser.add_argument("--password", help="its password, when it wants one")
    parser.add_argument("--artifacts", type=pathlib.Path, default=HERE.parents[1] / "artifacts/browser")
    options = parser.parse_args()
    options.artifacts.mkdir(parents=True, exist_ok=True)
    failed = 0
    with contextlib.ExitStack() as stack:
        browser = stack.enter_context(sync_playwright()).chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        stack.callback(browser.close)
        tests = []
        if options.url and options.password:
            tests.append((login_works, options.url, {"password": options.password}))
        else:
            url = options.url or stack.enter_context(fake_server())
            tests += [(test, url, {}) for test in (page_loads, values_move, chart_zooms, command_needs_confirmation, accessible, german, theme_is_kept)]
        if not options.url:
            fake = lambda name: urllib.request.urlopen(urllib.request.Request(f"{url}fake/{name}", method="POST", data=b"")).read()
            tests += [(test, url, {"fake": fake}) for test in (stale_is_unmistakable, faults_show)]
            tests.append((login_works, stack.enter_context(fake_server("--password", "sun and moon")), {"password": "sun and moon"}))
        if options.products:
            real, closed = real_servers(stack, options.products.resolve(), "sun and moon")
            tests += [(test, real, {}) for test in (page_loads, values_move, chart_zooms, command_needs_confirmation, accessible)]
            tests += [(test, closed, {"password": "sun and moon"}) for test in (login_works, login_is_real)]
        for test, url, more in tests:
            folder = options.artifacts / ("fake" if not options.products or url not in (real, closed) else "real")
            folder.mkdir(parents=True, exist_ok=True)
            began = time.monotonic()
            try:
                note = test(browser, url, folder, **more) or ""
                print(f"ok    {test.__name__} ({time.monotonic() - began:.1f} s) {note}", flush=True)
            except Exception as error:  # an unexpected one is a failure of its test too
                failed += 1
                print(f"FAIL  {test.__name__}: {error}", flush=True)
    print(f"browser: screenshots in {options.artifacts}")
    print(f"{len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
