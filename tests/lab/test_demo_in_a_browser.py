"""The demo's monitor in headless Chromium, with what real packets left on it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER) and not os.environ.get("CI"), reason="chromium and chromium-driver are not installed"
    ),
]


def until(true: Callable[[], object], what: str, within: float = 60.0) -> None:
    end = time.monotonic() + within
    while not true():
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.2)


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own loopback
        return bytes(answer.read())


@pytest.fixture
def monitor() -> Iterator[str]:
    """The address of a running demo's monitor."""
    with tempfile.TemporaryDirectory(prefix="demo") as home:
        demo = subprocess.Popen(
            [sys.executable, "-m", "probe", "lab", "demo"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "XDG_RUNTIME_DIR": home},
        )  # fmt: skip
        assert demo.stdout is not None
        address = next((line.split()[-1] for line in demo.stdout if line.startswith("the monitor:")), "")
        reader = threading.Thread(target=demo.stdout.read)  # a full pipe would stop the demo
        reader.start()
        assert address, "the demo did not start"
        yield address
        demo.send_signal(signal.SIGINT)
        demo.wait(30)
        reader.join()
        demo.stdout.close()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or "chromium"
    for flag in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}",
    ):  # fmt: skip
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(service=Service(DRIVER or "chromedriver"), options=options)
    driver.set_page_load_timeout(30)
    yield driver
    driver.quit()


def cells(monitor: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(get(f"{monitor}api/state"))["cells"]
    return listed


def text(browser: webdriver.Chrome, selector: str) -> str:
    script = "return [...document.querySelectorAll(arguments[0])].map(e => e.innerText).join(' ')"
    return " ".join(str(browser.execute_script(script, selector)).split())


@pytest.mark.timeout(240)
def test_three_operators_one_of_which_interferes_and_the_packets_that_show_it(
    monitor: str, browser: webdriver.Chrome, tmp_path: Path
) -> None:
    browser.get(monitor)
    until(lambda: len(cells(monitor)) == 10, "everything has been measured once", 90)
    until(lambda: text(browser, "h1") == "Interference on 1 of 3 operators now", "the page says so without a reload")
    assert text(browser, "th.operator bdi").split() == ["Oran", "AS64502", "·", "DZ", "Atlas", "AS64501", "·", "MA",
                                                        "Sale", "AS64503", "·", "MA"]  # fmt: skip
    until(lambda: browser.execute_script("return document.querySelectorAll('.cell.v-interfered').length") == 2, "both")
    found = text(browser, ".cell.v-interfered")
    assert "Forged DNS answers on the link between hop 2 (198.18.30.2) and hop 3 (198.18.30.3)" in found
    assert "Connections cut on the link between hop 3 (198.18.30.3) and hop 4 (198.18.30.4)" in found
    assert "Sale" in text(browser, "li.v-interfered")
    assert "Atlas" in text(browser, "li.v-clean")
    assert "2 were not conclusive" in text(browser, "li"), "the hosting company that Oran swallows is not passed over"

    browser.execute_script("document.querySelector('.cell.v-interfered a').click()")
    until(lambda: "Why we say so" in text(browser, "h2"), "the cell opens its reasons")
    assert "somebody on the way forges answers" in text(browser, ".reasons")
    link = str(browser.execute_script("return document.querySelector('a[href*=pcapng]').href"))
    capture = tmp_path / "evidence.pcapng"
    capture.write_bytes(get(link))
    shown = subprocess.run(
        ["tshark", "-r", capture, "-Y", "dns.flags.response == 1", "-T", "fields", "-e", "dns.a"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert {"198.18.0.99", "203.0.113.10"} <= set(shown.stdout.split()), "the forged answer and the real one"
    assert hashlib.sha256(capture.read_bytes()).hexdigest() in {
        json.loads(get(f"{monitor}api/finding/{row['id']}"))["evidence"]["pcapng_sha256"]
        for row in json.loads(get(f"{monitor}api/findings?limit=200"))["findings"]
    }
    replayed = subprocess.run(
        [sys.executable, "-m", "probe", "replay", capture], capture_output=True, text=True, check=True
    )
    assert "interfered" in replayed.stdout
    assert [entry["message"] for entry in browser.get_log("browser")] == []  # type: ignore[no-untyped-call]
