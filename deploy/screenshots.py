"""Makes docs/images anew: the monitor's pages on a month that is invented, in headless Chromium. ``make screenshots``.

Operators, homes and findings are invented (documentation's AS numbers and addresses), and the clock stands still; so
what is on the pictures changes only with the pages. Needs chromium and chromedriver.
"""

from __future__ import annotations

import asyncio
import base64
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import uvicorn
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from probe.collector import instants, service  # noqa: E402 - the repository's own, tests included
from probe.collector.app import Site, make_app  # noqa: E402
from probe.collector.casebook import gathered  # noqa: E402
from probe.collector.counters.ledger import Ledger, Page  # noqa: E402
from probe.collector.counters.numbers import Count  # noqa: E402
from probe.collector.counters.site import CounterSite  # noqa: E402
from probe.collector.counters.watch import source  # noqa: E402
from probe.collector.languages.language import CODES, load  # noqa: E402
from probe.collector.pages import Pages  # noqa: E402
from probe.collector.public_reader import PublicReader  # noqa: E402
from probe.model.config import CounterConfig  # noqa: E402
from probe.model.finding import (  # noqa: E402
    Finding,
    Hop,
    Interference,
    Line,
    Location,
    Placement,
    Target,
    Technique,
)
from tests.collector.conftest import Desk, FakeProbe  # noqa: E402
from tests.collector.incidents.stories import Story, World, cut  # noqa: E402

IMAGES = ROOT / "docs/images"
NOW = instants.from_text("2026-11-22T12:00:00.000Z")
START = NOW - 30 * instants.DAY
PERIOD = 4 * instants.HOUR
HOMES = 4

ATLAS, ATLAS_MOBILE = Line("Atlas Telecom", 64501, "MA", "fixed"), Line("Atlas Telecom", 64501, "MA", "mobile")
RIF, SALE = Line("Rif Mobile", 64502, "MA", "mobile"), Line("Salé Net", 64503, "MA", "fixed")
ORAN, TELL = Line("Oran Telecom", 64510, "DZ", "fixed"), Line("Tell Mobile", 64511, "DZ", "mobile")
CANAL = Line("Canal Libre", 64520, "FR", "fixed")

HOSTED = [Target(f"203.0.113.{n}", f"{name}.host.example", f"203.0.113.{n}", 443, "hosting")
          for n, name in ((10, "www"), (11, "mail"), (12, "shop"))]  # fmt: skip
NEIGHBOUR = Target("203.0.113.200", "neighbour.example", "203.0.113.200", 443, "neutral")
CALLS = [Target(f"sip:{name}.example", f"{name}.example", "", 5060, "voip") for name in ("calls", "video")]
CHAT = Target("chat.example", "chat.example", "", 443, "chat")
PRESS = Target("https://press.example/", "press.example", "", 443, "press")

WELL = cut()
COUNTERS = [
    CounterConfig(name="fans", url="https://social.example/atlas", json="/fans", label="Atlas Telecom: fans"),
    CounterConfig(name="petition", url="https://petition.example/calls", json="/n", label="Petition for calls"),
]


def day(number: float, hour: float = 0) -> str:
    """So many days before now, as stories write it."""
    at = NOW - int(number * instants.DAY) + int(hour * instants.HOUR)
    return instants.to_text(at).removesuffix(".000Z")


def share(world: World, often: float, seed: int) -> World:
    """Bad only so often."""
    random = Random(seed)
    return lambda now: "bad" if world(now) == "bad" and random.random() < often else "good"


class Month:
    """Findings of a month, in a store."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._found: list[Finding] = []
        self._probes: dict[str, FakeProbe] = {}

    def line(
        self, line: Line, measurement: str, targets: list[Target], world: World, technique: Technique = "ip_blackhole",
        placement: Placement = "in_path", hop: int = 4, spared: tuple[str, str] | None = None,
    ) -> None:  # fmt: skip
        """Homes on a line that measure some targets. ``spared``: when it works for the last of them."""
        free = cut(spared) if spared else WELL
        for home in range(HOMES):
            name = _name(line, home)
            probe = self._probes.setdefault(name, FakeProbe(name, line))
            for number, target in enumerate(targets):
                story = Story(world, START, NOW, HOMES, PERIOD, seed=hop * 100 + number)
                for at, result in story.results(home):
                    bad = result == "bad" and not (home == HOMES - 1 and free(at) == "bad")
                    done = Interference(technique, placement, self._where(line, hop)) if bad else None
                    self._found.append(probe.finding(
                        "interfered" if bad else "clean", at, signed=False, measurement=measurement, target=target,
                        interference=done, reasons=self._reasons(measurement, bad=bad, hop=hop),
                        rule=f"{measurement}/{'controls-work' if bad else 'all-well'}",
                    ))  # fmt: skip

    def one(self, line: Line, home: int, **changes: Any) -> None:
        """One more finding of a home, just now."""
        probe = self._probes[_name(line, home)]
        self._found.append(probe.finding(at=NOW - 30 * instants.MINUTE, signed=False, **changes))

    def store(self) -> None:
        """Store them in the order in which they were made."""
        self._found.sort(key=lambda finding: finding.started_at)
        for begin in range(0, len(self._found), 500):
            self._desk.give(*self._found[begin : begin + 500], received_at=NOW)

    def _where(self, line: Line, hop: int) -> Location:
        near, far = Hop(f"198.18.{hop}.1", line.asn), Hop(f"198.18.{hop + 1}.1", line.asn + 100)
        return Location(hop, hop + 1, near, far, f"on the link entering AS{line.asn + 100}")

    def _reasons(self, measurement: str, *, bad: bool, hop: int) -> list[str]:
        if not bad:
            return ["The target and its controls answered each time."]
        return [f"{measurement}: 5 of 5 trials failed, 10 of 10 controls before and after worked.",
                f"Packets pass hop {hop} and are not seen again."]  # fmt: skip


def _name(line: Line, home: int) -> str:
    return f"p-as{line.asn}-{line.access}-{home}"


def fill(desk: Desk) -> None:
    """A company cut on one operator, calls cut on two and then on their fixed lines, a newspaper forged, one outage."""
    month = Month(desk)
    for line in (ORAN, TELL, CANAL):
        hit = cut((day(12, 3), day(-9))) if line is ORAN else WELL
        month.line(line, "blackhole", HOSTED, hit)
        month.line(line, "blackhole", [NEIGHBOUR], WELL)
    for seed, (line, since) in enumerate(((ATLAS_MOBILE, 25.0), (ATLAS, 11.0), (RIF, 24.5), (SALE, 0.0))):
        hit = share(cut((day(since), day(-9))), 0.65, seed) if since else WELL
        month.line(line, "voip", CALLS, hit, "voip_media", hop=5, spared=(day(9), day(4)) if line is ATLAS else None)
        month.line(line, "tcp_reset", [CHAT], WELL, "tcp_reset")
        forged = cut((day(3, 5), day(-9))) if line is ATLAS else cut((day(20), day(16))) if line is RIF else WELL
        month.line(line, "dns_injection", [PRESS], forged, "dns_injection", "on_path", 3)
    month.one(SALE, 0, verdict="inconclusive", measurement="voip", target=CALLS[1],
              reasons=["The line lost 9 % itself."])  # fmt: skip
    for home in range(HOMES):
        month.one(CANAL, home, verdict="down", measurement="blackhole", target=NEIGHBOUR,
                  reasons=["The control vantage got no answer either."])  # fmt: skip
    month.store()


def count(ledger: Ledger) -> None:
    """A week of readings: fans who leave, with one jump that does not ebb; signatures that come."""
    random = Random(7)
    fans, signatures = 1_716_000, 18_400
    for step in range(7 * 96, -1, -1):
        at = NOW - step * 15 * instants.MINUTE
        fans -= int(random.gauss(1500, 420)) if step < 3 * 96 else int(random.gauss(40, 30))
        fans += 38_000 if step == 130 else 0
        signatures += max(0, int(random.gauss(95, 60)))
        for config, value in zip(COUNTERS, (fans, signatures), strict=True):
            ledger.put(config.name, source(config), Page(), at, Count(value))


@contextmanager
def serving(desk: Desk, ledger: Ledger) -> Iterator[str]:
    """The monitor's address, while it is served."""
    ready = threading.Event()
    ends: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
    sock = service.listen("127.0.0.1:0")

    async def main() -> None:
        reader = PublicReader(desk.reader, [], lambda: NOW)
        site = Site(reader, lambda: "", lambda: NOW, "https://monitor.example", counting=True)
        pages = {code: Pages(load(code), counting=True) for code in CODES}
        counters = CounterSite(COUNTERS, ledger, pages, lambda: NOW)
        site.counted = counters.shown
        config = uvicorn.Config(make_app(site, counters.routes), log_level="error", lifespan="off")
        server = uvicorn.Server(config)
        done = asyncio.Event()
        ends.append((asyncio.get_running_loop(), done))
        running = asyncio.ensure_future(server.serve([sock]))
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        ready.set()
        await done.wait()
        site.hub.close()
        server.should_exit = True
        await running

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    ready.wait(30)
    try:
        yield service.url(sock).rstrip("/")
    finally:
        loop, done = ends[0]
        loop.call_soon_threadsafe(done.set)
        thread.join()


class Camera:
    """A Chromium whose clock stands still."""

    def __init__(self, profile: str) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or "chromium"
        for flag in (
            "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
            "--disable-background-networking", "--force-color-profile=srgb", f"--user-data-dir={profile}",
        ):  # fmt: skip
            options.add_argument(flag)
        self.driver = webdriver.Chrome(service=Service(shutil.which("chromedriver") or "chromedriver"), options=options)
        clock = {"source": f"Date.now = () => {NOW};"}
        self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", clock)

    def take(self, name: str, url: str, width: int, height: int, *, dark: bool = False, scale: float = 1) -> None:
        """A picture of the page's top, into docs/images."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme)
        self.driver.get(url)
        whole = self.driver.execute_script("return document.documentElement.scrollHeight")
        clip = {"x": 0, "y": 0, "width": width, "height": min(whole, height), "scale": 1}
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", "clip": clip})
        (IMAGES / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))
        print(f"{name}.png: {url}")


def main() -> None:
    """Fill, serve, photograph."""
    with tempfile.TemporaryDirectory(prefix="colibri-pictures") as home:
        desk = Desk(Path(home) / "findings.sqlite3")
        with closing(desk), closing(Ledger(desk.path)) as ledger:
            fill(desk)
            count(ledger)
            rows = desk.reader.incidents(100)
            cases = {(some[0].incident.series.country, some[0].group): some[0].id for some in gathered(rows)}
            forged = next(row.id for row in rows if row.group == "press" and row.incident.ended is None)
            print(msgspec.json.encode([len(rows), len(cases)]).decode(), "incidents and cases")
            with serving(desk, ledger) as site:
                camera = Camera(f"{home}/profile")
                try:
                    camera.take("monitor", f"{site}/en/", 2000, 2200, scale=0.7)
                    camera.take("monitor-dark", f"{site}/fr/", 2000, 1900, dark=True, scale=0.7)
                    camera.take("monitor-phone", f"{site}/ar/", 390, 1100, scale=1.5)
                    camera.take("case", f"{site}/en/case/{cases['MA', 'voip']}", 1100, 1900)
                    camera.take("case-company", f"{site}/fr/case/{cases['DZ', 'hosting']}", 1100, 1500)
                    camera.take("incident", f"{site}/en/incident/{forged}", 1100, 1700)
                    camera.take("counters", f"{site}/en/counters", 1100, 1300)
                finally:
                    camera.driver.quit()


if __name__ == "__main__":
    main()
