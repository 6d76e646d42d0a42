"""The monitor in headless Chromium: live, in three languages, quiet, narrow, by keyboard, and without JavaScript."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

import msgspec
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from probe.collector import instants, views
from probe.collector.counters.ledger import Ledger, Page
from probe.collector.counters.numbers import Count
from probe.collector.counters.watch import source
from probe.collector.languages.language import CODES, Code, load
from probe.collector.sqlite_store import SqliteStore
from probe.collector.subscriber import wall_clock
from probe.model.config import CollectorConfig, Config, CounterConfig, MqttConfig
from probe.model.finding import Finding, Line, Target, Verdict
from tests.collector.conftest import ATLAS, Broker, FakeProbe, Process, Uplink, free_port, until

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

pytestmark = [
    pytest.mark.loopback,
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER) and not os.environ.get("CI"), reason="chromium and chromium-driver are not installed"
    ),
]

SERVE = """
import sys
import msgspec
from probe.collector import service
from probe.model.config import Config
sys.exit(service.run(msgspec.json.decode(sys.argv[1], type=Config), lambda: print("ready", flush=True)))
"""

AXE = Path(__file__).parent / "vendor/axe-core-4.14.1.min.js.gz"

RIF = Line("Rif Mobile", 64502, "MA", "mobile")
NASTY = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"

Probes = Callable[..., "FakeProbe"]
Until = Callable[..., None]


class Browser:
    """One Chromium with an empty profile; keeps what it requested and what its console said."""

    def __init__(self, profile: Path, *, javascript: bool = True) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM or "chromium"
        for flag in (
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            f"--user-data-dir={profile}",
        ):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        if not javascript:
            options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
        self.driver = webdriver.Chrome(service=Service(DRIVER or "chromedriver"), options=options)
        self.driver.set_page_load_timeout(30)

    def forget(self) -> None:
        """As after a start: no page, no cookies, nothing kept, nothing emulated, nothing said."""
        self.driver.get("about:blank")
        commands: dict[str, dict[str, Any]] = {
            "Network.clearBrowserCookies": {}, "Network.clearBrowserCache": {},
            "Storage.clearDataForOrigin": {"origin": "*", "storageTypes": "all"},
            "Network.setExtraHTTPHeaders": {"headers": {}}, "Emulation.clearDeviceMetricsOverride": {},
            "Emulation.setEmulatedMedia": {"media": "", "features": []},
        }  # fmt: skip
        for command, values in commands.items():
            self.driver.execute_cdp_cmd(command, values)
        self.console()
        self.hosts()

    def size(self, width: int, height: int = 900) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def media(self, **features: str) -> None:
        listed = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": listed})

    def text(self, selector: str) -> str:
        """What is seen of the first such element; in one step, since the page may replace it between two."""
        return str(self.run(f"return document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def run(self, script: str) -> Any:
        return self.driver.execute_script(script)

    def console(self) -> list[str]:
        return [entry["message"] for entry in self._log("browser")]

    def hosts(self) -> set[str]:
        """Hosts of everything that a page of ours asked for."""
        asked = set()
        for entry in self._log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                url = urlsplit(message["params"]["request"]["url"])
                if url.scheme not in ("chrome", "data"):  # the browser's own first tab
                    asked.add(url.netloc)
        return asked

    def _log(self, kind: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self.driver.get_log(kind)  # type: ignore[no-untyped-call]
        return entries


@pytest.fixture
def address(settings: Config) -> str:
    return settings.collector.listen


@pytest.fixture
def monitor(settings: Config, processes: Callable[..., Process], uplink: Uplink, until: Until) -> Uplink:
    """A running collector; what is sent over the uplink appears on it."""
    process = processes(SERVE, msgspec.json.encode(settings).decode())
    assert process.popen.stdout is not None
    assert process.popen.stdout.readline() == b"ready\n"
    return uplink


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[bool, Browser]]:
    """With JavaScript and without: to start one takes longer than most tests with it."""
    started: dict[bool, Browser] = {}
    yield started
    for browser in started.values():
        browser.driver.quit()


@pytest.fixture
def browsers(tmp_path_factory: pytest.TempPathFactory, pool: dict[bool, Browser]) -> Iterator[Callable[..., Browser]]:
    """One that remembers nothing, for this test alone."""
    given: list[Browser] = []

    def start(*, javascript: bool = True) -> Browser:
        if javascript not in pool:
            pool[javascript] = Browser(tmp_path_factory.mktemp("profile"), javascript=javascript)
        given.append(pool[javascript])
        return pool[javascript]

    yield start
    for browser in given:
        browser.forget()


@pytest.fixture
def send(monitor: Uplink) -> Callable[..., None]:
    """Send findings until each is stored."""
    return lambda *findings: deliver(monitor, findings)


def deliver(uplink: Uplink, findings: Sequence[Finding]) -> None:
    """Again and again, since the subscription may not stand yet."""

    def stored() -> bool:
        missing = [f for f in findings if f.id not in uplink.stored]
        uplink.send(*missing)
        threading.Event().wait(0.1)
        return not missing

    until(stored, "everything is stored")


def test_cells_change_by_themselves_quietly_and_from_this_host_alone(
    browsers: Callable[..., Browser], address: str, send: Callable[..., None], probes: Probes, until: Until
) -> None:
    probe = probes()
    now = wall_clock()
    send(probe.finding("clean", now - 60_000), probes("p-rif", RIF).finding("clean", now - 60_000))
    browser = browsers()
    browser.driver.get(f"http://{address}/en/")
    until(lambda: browser.text("#live") == "Live", "the stream is open")
    assert browser.text("h1") == "No interference found on 2 operators now"
    browser.run("window.untouched = true")
    first = browser.driver.find_element(By.CSS_SELECTOR, ".cell a")
    browser.run("document.querySelector('.cell a').focus()")
    assert "No interference" in first.text

    send(probe.finding("interfered", now))
    until(lambda: browser.text("h1") == "Interference on 1 of 2 operators now", "the headline changes")
    until(lambda: "Forged DNS answers" in browser.text(".cell.v-interfered"), "the cell changes")
    assert "on the link between hop 4 (198.18.4.1)" in browser.text(".cell.v-interfered")
    announced = "news.example, Atlas Telecom fixed line: Interference"
    assert " ".join(browser.run("return document.getElementById('news').textContent").split()) == announced
    focused = browser.run("return document.activeElement.closest('.cell')?.dataset.verdict")
    assert focused == "interfered", "the keyboard stays where it was"

    send(probe.finding("clean", now, target=Target("shop.example", "shop.example", group="shops")))
    until(lambda: "shop.example" in browser.text("table"), "a new target brings its row")
    assert browser.run("return window.untouched") is True, "without a reload"
    assert browser.console() == []
    assert browser.hosts() == {address}


def test_every_page_is_quiet_and_fits_a_phone(
    browsers: Callable[..., Browser],
    address: str,
    monitor: Uplink,
    send: Callable[..., None],
    probes: Probes,
    evidence_of: Callable[..., tuple[str, bytes]],
) -> None:
    finding = probes().finding("interfered", wall_clock(), details={"long": "x" * 500})
    long_name = "a-very-long-label-of-a-name." * 7 + "example"
    monitor.publish(*evidence_of(finding))
    send(finding, probes("p-rif", RIF).finding("down", wall_clock(), target=Target(long_name, long_name)))
    browser = browsers()
    browser.size(390)
    browser.driver.get(f"http://{address}/en/")
    links = {link.get_attribute("href") for link in browser.driver.find_elements(By.CSS_SELECTOR, ".cell a")}
    assert len(links) == 2
    paths = [urlsplit(str(link)).path.removeprefix("/en/") for link in links]
    target = views.target_key("news.example")
    pages = ["", *paths, f"finding/{finding.id}", "incidents", f"target/{target}", "nowhere"]
    for url in (f"http://{address}/{code}/{page}" for code in CODES for page in pages):
        browser.driver.get(url)
        width, shown = browser.run("return [document.documentElement.scrollWidth, window.innerWidth]")
        assert width <= shown == 390, url
        small = browser.run(
            "return [...document.querySelectorAll('main *')].filter(e => e.childNodes.length && e.offsetParent"
            " && parseFloat(getComputedStyle(e).fontSize) < 12).map(e => e.className)"
        )
        assert small == [], "nothing below 12 pixels"
    missing = [message for message in browser.console() if "/nowhere" not in message]
    assert missing == []
    assert browser.hosts() == {address}


def test_without_javascript_the_page_says_everything_and_renews_itself(
    browsers: Callable[..., Browser], address: str, send: Callable[..., None], probes: Probes
) -> None:
    send(probes().finding("interfered", wall_clock()))
    browser = browsers(javascript=False)
    browser.driver.get(f"http://{address}/en/")
    assert browser.text("h1") == "Interference on 1 of 1 operator now"
    cell = browser.text(".cell.v-interfered")
    place = "on the link between hop 4 (198.18.4.1) and hop 5"
    for said in ("Interference", "Forged DNS answers", place, "since", "1 probe", "UTC"):
        assert said in cell
    assert "As of" in browser.text("#live")
    refresh = browser.driver.find_element(By.CSS_SELECTOR, "meta[http-equiv=refresh]")
    assert refresh.get_attribute("content") == "30"
    browser.driver.find_element(By.CSS_SELECTOR, ".cell a").click()
    assert "An address that runs no resolver answered" in browser.text(".reasons")


def test_a_script_in_a_reason_or_a_name_is_shown_and_never_run(
    browsers: Callable[..., Browser], address: str, send: Callable[..., None], probes: Probes, until: Until
) -> None:
    probe = probes()
    send(probe.finding("clean", wall_clock() - 1000))
    browser = browsers()
    browser.driver.get(f"http://{address}/en/")
    until(lambda: browser.text("#live") == "Live", "the stream is open")
    finding = probe.finding("interfered", wall_clock(), reasons=[NASTY], target=Target(NASTY, NASTY, group=NASTY))
    send(finding)
    until(lambda: NASTY in browser.text("table"), "shown in the table as text")
    browser.driver.get(f"http://{address}/en/finding/{finding.id}")
    assert browser.text(".reasons") == NASTY
    assert "owned" not in str(browser.run("return document.title")).replace(NASTY, "")
    assert browser.console() == [], "and the policy had nothing to stop"


def test_the_keyboard_alone_reaches_the_evidence(
    browsers: Callable[..., Browser], address: str, send: Callable[..., None], probes: Probes
) -> None:
    send(probes().finding("interfered", wall_clock()))
    browser = browsers()
    browser.driver.get(f"http://{address}/en/")
    for _ in range(20):
        webdriver.ActionChains(browser.driver).send_keys(Keys.TAB).perform()
        outline = browser.run("return getComputedStyle(document.activeElement).outlineStyle")
        assert outline in ("solid", "auto"), "the focus is seen"
        if browser.run("return document.activeElement.matches('.cell a')"):
            break
    assert browser.run("return document.activeElement.matches('.cell a')"), "past the header and the target"
    webdriver.ActionChains(browser.driver).send_keys(Keys.ENTER).perform()
    assert browser.text("#why") == "Why we say so"


CONTRAST = """
const lum = c => { const v = c.map(x => { x /= 255; return x <= .03928 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4 });
  return .2126 * v[0] + .7152 * v[1] + .0722 * v[2] };
const rgb = text => text.match(/[\\d.]+/g).map(Number);
const ground = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
  if (c.length < 4 || c[3] > 0) return c.slice(0, 3) } return [255, 255, 255] };
const bad = [];
for (const e of document.querySelectorAll("body *")) {
  if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) || !e.offsetParent) continue;
  const a = lum(rgb(getComputedStyle(e).color).slice(0, 3)), b = lum(ground(e));
  const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
  if (ratio < 4.5) bad.push([e.tagName, e.className, ratio]);
}
return bad;
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_is_wcag_aa_in_both_schemes(
    browsers: Callable[..., Browser], address: str, send: Callable[..., None], probes: Probes, scheme: str
) -> None:
    probe = probes()
    now = wall_clock()
    for number, verdict in enumerate(get_args(Verdict)):
        send(probe.finding(verdict, now - number, target=Target(f"{number}.example")))
    browser = browsers()
    browser.media(prefers_color_scheme=scheme)
    browser.driver.get(f"http://{address}/en/")
    dark = browser.run("return getComputedStyle(document.documentElement).backgroundColor") == "rgb(19, 23, 26)"
    assert dark == (scheme == "dark")
    assert browser.run(CONTRAST) == []
    browser.driver.find_element(By.CSS_SELECTOR, ".cell.v-interfered a").click()
    assert browser.run(CONTRAST) == []


def test_on_paper_the_table_stays_and_instants_are_absolute(
    browsers: Callable[..., Browser], address: str, send: Callable[..., None], probes: Probes, until: Until
) -> None:
    send(probes().finding("interfered", wall_clock() - 120_000))
    browser = browsers()
    browser.driver.get(f"http://{address}/en/")
    until(lambda: "minutes ago" in browser.text(".ago"), "relative on the screen")
    browser.run("dispatchEvent(new Event('beforeprint'))")
    assert "UTC" in browser.text(".ago")
    browser.size(690)
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert browser.run("return getComputedStyle(document.querySelector('.cell')).display") == "table-cell"
    assert browser.run("return document.documentElement.scrollWidth") <= 690
    browser.run("dispatchEvent(new Event('afterprint'))")
    assert "minutes ago" in browser.text(".ago")


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a monitor that tests only read: an incident goes on. For a day three homes have seen forged answers, a
    day before they did not; on Rif it works."""
    folder = tmp_path_factory.mktemp("case")
    broker = Broker(folder)
    broker.start()
    uplink = Uplink(broker.port)
    settings = Config(
        mqtt=MqttConfig(host="127.0.0.1", port=broker.port),
        collector=CollectorConfig(
            database=str(folder / "findings.sqlite3"), listen=f"127.0.0.1:{free_port()}", consents=["p-one", "p-rif"]
        ),
    )
    process = Process(SERVE, msgspec.json.encode(settings).decode())
    assert process.popen.stdout is not None
    assert process.popen.stdout.readline() == b"ready\n"
    now, homes = wall_clock(), [FakeProbe(f"p-home-{n}", ATLAS) for n in range(3)]
    rif, findings = FakeProbe("p-rif", RIF), []
    for back in [hours * 60 * instants.MINUTE for hours in range(47, 0, -3)]:
        verdict: Verdict = "interfered" if back < instants.DAY else "clean"
        findings += [home.finding(verdict, now - back) for home in homes] + [rif.finding("clean", now - back)]
    deliver(uplink, findings)
    yield settings.collector.listen
    uplink.close()
    process.popen.kill()
    process.wait()
    broker.stop()


def all_addresses(browser: Browser, address: str, code: Code) -> list[str]:
    """One of each kind of page, as its links have them."""
    found = []
    kinds = (("", ".cell.v-interfered a"), ("", ".name a"), ("incidents", ".incidents a"), ("cases", ".incidents a"))
    for path, selector in kinds:
        browser.driver.get(f"http://{address}/{code}/{path}")
        found.append(str(browser.driver.find_element(By.CSS_SELECTOR, selector).get_attribute("href")))
    browser.driver.get(found[0])
    finding = browser.driver.find_element(By.CSS_SELECTOR, "tbody th a").get_attribute("href")
    lists = [f"http://{address}/{code}/{path}" for path in ("", "incidents", "cases")]
    return [*lists, *found, str(finding)]


def faults(browser: Browser) -> list[tuple[str, str, list[str]]]:
    """What axe-core finds to be serious or critical on the page that is open."""
    browser.run(gzip.decompress(AXE.read_bytes()).decode())
    result = browser.driver.execute_async_script("axe.run().then(arguments[0])")
    assert len(result["passes"]) > 10, "it has looked"
    return [
        (one["id"], one["impact"], [node["html"] for node in one["nodes"]])
        for one in result["violations"] if one["impact"] in ("serious", "critical")
    ]  # fmt: skip


@pytest.mark.parametrize("code", ["ar", *(pytest.param(code, marks=pytest.mark.long) for code in ("en", "fr"))])
def test_every_page_is_accessible_in_every_language(
    browsers: Callable[..., Browser], case: str, code: Code
) -> None:
    browser = browsers()
    for url in all_addresses(browser, case, code):
        browser.size(1280)
        browser.media(prefers_color_scheme="light")
        browser.driver.get(url)
        assert faults(browser) == [], url
        browser.size(390)
        browser.media(prefers_color_scheme="dark")
        browser.driver.get(url)
        assert faults(browser) == [], f"{url}, dark, on a phone"
        width, shown = browser.run("return [document.documentElement.scrollWidth, window.innerWidth]")
        assert width <= shown == 390, url
    assert browser.console() == []
    assert browser.hosts() == {case}


@pytest.mark.parametrize("code", CODES)
def test_every_page_runs_in_its_language_s_direction_without_a_word_of_another(
    browsers: Callable[..., Browser], case: str, code: Code
) -> None:
    browser, said = browsers(), load(code)
    for url in all_addresses(browser, case, code):
        browser.driver.get(url)
        assert browser.run("return getComputedStyle(document.body).direction") == said.direction
        assert browser.run("return document.documentElement.lang") == code
        # What is not the probe's own English, and not isolated as a name, an address or a number.
        words = browser.run(
            "const seen = document.body.cloneNode(true);"
            "for (const e of seen.querySelectorAll('bdi, code, pre, [lang]:not(body), svg, script')) e.remove();"
            "return seen.textContent"
        )
        latin = set(re.findall(r"[A-Za-z]{3,}", str(words))) if code == "ar" else set()
        assert latin <= {"Colibri", "DNS", "JSON", "pcapng", "UTC", "SHA", "Atom"}, (url, latin)
    browser.driver.get(f"http://{case}/{code}/")
    assert browser.text(".languages [aria-current]") == said.name


@pytest.mark.parametrize(("code", "live", "ago"), [("fr", "En direct", "il y a"), ("ar", "مباشر", "دقائق")])
def test_it_is_live_in_other_languages(
    browsers: Callable[..., Browser], address: str, send: Callable[..., None], probes: Probes, until: Until,
    code: Code, live: str, ago: str,
) -> None:  # fmt: skip
    probe, now, said = probes(), wall_clock(), load(code)
    send(probe.finding("clean", now - 5 * instants.MINUTE))
    browser = browsers()
    browser.driver.get(f"http://{address}/{code}/")
    until(lambda: browser.text("#live") == live, "the stream is open")
    assert ago in browser.text(".ago")
    send(probe.finding("interfered", now - 4 * instants.MINUTE))
    until(lambda: said.text("Forged DNS answers") in browser.text(".cell.v-interfered"), "the cell changes")
    assert ago in browser.text(".ago")
    assert said.text("Interference") in browser.run("return document.getElementById('news').textContent")
    assert browser.console() == []


def test_the_keyboard_alone_leads_from_a_case_to_its_incident(browsers: Callable[..., Browser], case: str) -> None:
    browser = browsers()
    browser.driver.get(f"http://{case}/en/cases")
    for selector, title in ((".incidents a", "Operator by operator"), (".incidents a", "Who disagrees")):
        for _ in range(40):
            webdriver.ActionChains(browser.driver).send_keys(Keys.TAB).perform()
            outline = browser.run("return getComputedStyle(document.activeElement).outlineStyle")
            assert outline in ("solid", "auto"), "the focus is seen"
            if browser.run(f"return document.activeElement.matches('{selector}')"):
                break
        assert browser.run(f"return document.activeElement.matches('{selector}')")
        webdriver.ActionChains(browser.driver).send_keys(Keys.ENTER).perform()
        assert title in browser.text("main")


@pytest.mark.parametrize("code", CODES)
def test_public_counters_are_accessible_and_fit_a_phone(
    browsers: Callable[..., Browser], settings: Config, processes: Callable[..., Process], uplink: Uplink, code: Code
) -> None:
    fans = CounterConfig(name="fans", url="https://social.example/page", json="/a", label="Fans")
    collector = msgspec.structs.replace(settings.collector, counter=[fans])
    SqliteStore(collector.database).close()
    now = wall_clock()
    with closing(Ledger(collector.database)) as ledger:
        for step in range(4 * 96):
            at = now - (4 * 96 - step) * 15 * instants.MINUTE
            value = 100_000 + 7 * step % 5 + (5000 if step > 4 * 96 - 24 else 0)
            # It is not due for a day: nothing is asked for.
            ledger.put("fans", source(fans), Page(next_at=now + instants.DAY), at, Count(value))
    process = processes(SERVE, msgspec.json.encode(msgspec.structs.replace(settings, collector=collector)).decode())
    assert process.popen.stdout is not None
    assert process.popen.stdout.readline() == b"ready\n"
    browser, url = browsers(), f"http://{collector.listen}/{code}/counters"
    for width, scheme in ((1280, "light"), (390, "dark")):
        browser.size(width)
        browser.media(prefers_color_scheme=scheme)
        browser.driver.get(url)
        assert faults(browser) == [], (url, scheme)
        assert browser.run("return document.documentElement.scrollWidth") <= width
    assert load(code).text("Changes that people alone do not make") in browser.text("main")
    assert browser.console() == []


@pytest.mark.parametrize("code", CODES)
def test_the_case_is_told_without_javascript(browsers: Callable[..., Browser], case: str, code: Code) -> None:
    browser, said = browsers(javascript=False), load(code)
    home, incidents, cases, cell, target, incident, case, finding = all_addresses(browser, case, code)
    expected = {
        home: said.text("Numbers to cite"), incidents: said.text("Going on"), cell: said.text("Why we say so"),
        cases: said.text("Going on"), case: said.text("Operator by operator"),
        target: said.text("As a table"), incident: said.text("Who disagrees"), finding: said.text("Signed by"),
    }  # fmt: skip
    for url, words in expected.items():
        browser.driver.get(url)
        assert words in browser.driver.find_element(By.TAG_NAME, "body").text, url
    browser.driver.get(target)
    browser.driver.find_element(By.TAG_NAME, "summary").click()
    assert "UTC" in browser.driver.find_element(By.CSS_SELECTOR, "details[open] table").text
    heights = {
        name: {rect.size["height"] for rect in browser.driver.find_elements(By.CSS_SELECTOR, f".lane .t-{name}")}
        for name in ("interfered", "clean")
    }
    assert min(heights["interfered"]) > max(heights["clean"]) > 0, "told apart by more than colour"


def test_the_browser_s_language_is_taken_and_the_address_remembers_it(
    browsers: Callable[..., Browser], address: str, send: Callable[..., None], probes: Probes
) -> None:
    send(probes().finding("clean", wall_clock()))
    browser = browsers()
    browser.driver.execute_cdp_cmd("Network.setExtraHTTPHeaders", {"headers": {"Accept-Language": "ar-MA,fr;q=0.8"}})
    browser.driver.get(f"http://{address}/")
    assert urlsplit(browser.driver.current_url).path == "/ar/"
    browser.driver.find_element(By.CSS_SELECTOR, ".languages a[hreflang=fr]").click()
    assert urlsplit(browser.driver.current_url).path == "/fr/"
    browser.driver.find_element(By.CSS_SELECTOR, ".cell a").click()
    assert urlsplit(browser.driver.current_url).path.startswith("/fr/cell/")
    assert browser.driver.get_cookies() == []
