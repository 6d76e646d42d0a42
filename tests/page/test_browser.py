"""The page in headless Chromium, with a real daemon behind it: on a phone, by keyboard, without JavaScript, offline."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest
from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from probe.agent.pause import Pause
from probe.agent.session import Session
from probe.model.config import Config, ControlConfig, ProbeConfig, TargetEntry
from probe.page.ask import Daemon
from probe.page.server import Server
from probe.page.words import LANGUAGES, words
from tests.agent.fake_daemon import make_runner
from tests.page.conftest import NASTY

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
AXE = Path(__file__).parents[1] / "collector/vendor/axe-core-4.14.1.min.js.gz"

pytestmark = [
    pytest.mark.loopback,
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER) and not os.environ.get("CI"), reason="chromium and chromium-driver are not installed"
    ),
]


class Home(msgspec.Struct):
    """A probe, its page on loopback, and its state folder."""

    url: str
    folder: Path

    @property
    def code(self) -> str:
        return (self.folder / "state/page-code").read_text().strip()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A daemon whose targets were measured: one interfered with, one with markup for a name."""
    config = Config(
        probe=ProbeConfig(id="p-browser", state_dir=str(tmp_path / "state")),
        control=ControlConfig(socket=str(tmp_path / "control.sock")),
    )
    kinds = ["dns_injection"]
    targets = [TargetEntry("fine.example", measurements=kinds), TargetEntry("interfered.example", measurements=kinds),
               TargetEntry(f"interfered {NASTY}", measurements=kinds),
               TargetEntry("church.example", category="religion", measurements=kinds)]  # fmt: skip
    loop = asyncio.new_event_loop()
    up, down = threading.Event(), asyncio.Event()

    async def live() -> None:
        async with Session(config, targets, make_runner) as session:
            for entry in targets[:3]:  # now, and not within the minutes over which a plan spreads its first turns
                outcome = await make_runner(config).run("dns_injection", {"target": entry.target}, lambda _: None)
                session._note(session._delivery.finding(outcome))
            up.set()
            await down.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(live()))
    thread.start()
    assert up.wait(60)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(listener, Daemon(str(tmp_path / "page.sock")), tmp_path / "card")
        serving = threading.Thread(target=server.serve)
        serving.start()
        yield Home(f"http://127.0.0.1:{listener.getsockname()[1]}", tmp_path)
        server.stop()
        serving.join(20)
    loop.call_soon_threadsafe(down.set)
    thread.join(60)
    loop.close()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Callable[..., webdriver.Chrome]]:
    started: list[webdriver.Chrome] = []

    def start(*, javascript: bool = True) -> webdriver.Chrome:
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM or "chromium"
        for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
                     "--disable-background-networking", "--disable-component-update",
                     "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # offline
                     f"--user-data-dir={tmp_path}/profile-{len(started)}"):  # fmt: skip
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        if not javascript:
            options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
        driver = webdriver.Chrome(service=Service(DRIVER or "chromedriver"), options=options)
        driver.set_page_load_timeout(60)
        metrics = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        started.append(driver)
        return driver

    yield start
    for one in started:
        one.quit()


def said_by_console(driver: webdriver.Chrome) -> list[str]:
    return [entry["message"] for entry in driver.get_log("browser")]  # type: ignore[no-untyped-call]


def hosts(driver: webdriver.Chrome) -> set[str]:
    asked = set()
    for entry in driver.get_log("performance"):  # type: ignore[no-untyped-call]
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            url = urlsplit(message["params"]["request"]["url"])
            if url.scheme not in ("chrome", "data"):
                asked.add(url.netloc)
    return asked


def await_word(driver: webdriver.Chrome, role: str, text: str) -> None:
    """A click does not wait for the page that it leads to."""
    ignored = (NoSuchElementException, StaleElementReferenceException)
    found = WebDriverWait(driver, 20, poll_frequency=0.05, ignored_exceptions=ignored)
    found.until(lambda d: d.find_element(By.CSS_SELECTOR, f"[role={role}]").text == text)


def test_every_language_fits_a_phone_quietly_and_accessibly(
    home: Home, browser: Callable[..., webdriver.Chrome]
) -> None:
    driver = browser()
    axe = gzip.decompress(AXE.read_bytes()).decode()
    for code in LANGUAGES:
        driver.get(f"{home.url}/{code}")
        assert driver.execute_script("return document.documentElement.dir") == ("rtl" if code == "ar" else "ltr")
        assert driver.find_element(By.TAG_NAME, "h1").text == words(code)("state.interfered")
        width, shown = driver.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
        assert width <= shown == 390
        assert NASTY in driver.find_element(By.ID, "main").text
        assert "owned" not in driver.title
        assert len(driver.find_elements(By.CSS_SELECTOR, "main img, script")) == 0
        small = driver.execute_script(
            "return [...document.querySelectorAll('button, input:not([type=hidden]):not([type=checkbox])')]"
            ".filter(e => e.getBoundingClientRect().height < 44).map(e => e.outerHTML)"
        )
        assert small == [], "a finger has to hit it"
        # By the debugger: the page's own policy lets no script run.
        driver.execute_cdp_cmd("Runtime.evaluate", {"expression": axe})
        found = driver.execute_async_script("axe.run().then(r => arguments[0](r.violations.map(v => [v.id, v.help])))")
        assert found == []
    assert said_by_console(driver) == []
    assert hosts(driver) == {urlsplit(home.url).netloc}


def test_without_javascript_the_probe_is_paused_and_resumed(
    home: Home, browser: Callable[..., webdriver.Chrome]
) -> None:
    driver = browser(javascript=False)
    driver.get(f"{home.url}/ar")
    driver.find_element(By.ID, "pause-code").send_keys("wrong")
    driver.find_element(By.CSS_SELECTOR, "button[value=pause]").click()
    await_word(driver, "alert", words("ar")("said.code"))
    assert not Pause(home.folder / "state").on
    driver.find_element(By.ID, "pause-code").send_keys(home.code.lower())
    driver.find_element(By.CSS_SELECTOR, "button[value=pause]").click()
    await_word(driver, "status", words("ar")("said.paused"))
    assert driver.find_element(By.TAG_NAME, "h1").text == words("ar")("state.paused_home")
    assert Pause(home.folder / "state").on
    driver.find_element(By.ID, "pause-code").send_keys(home.code)
    driver.find_element(By.CSS_SELECTOR, "button[value=resume]").click()
    await_word(driver, "status", words("ar")("said.resumed"))
    assert not Pause(home.folder / "state").on


def test_by_keyboard_alone_a_subject_is_chosen(home: Home, browser: Callable[..., webdriver.Chrome]) -> None:
    driver = browser()
    driver.get(f"{home.url}/fr")
    code_file = home.folder / "state/page-code"
    if not code_file.exists():  # it is made when it is first asked for
        driver.find_element(By.ID, "pause-code").send_keys("x", Keys.ENTER)
    for _ in range(40):
        webdriver.ActionChains(driver).send_keys(Keys.TAB).perform()
        focused = driver.switch_to.active_element
        if focused.get_attribute("name") == "on":
            break
    outline = focused.value_of_css_property("outline-style")
    assert outline == "solid", "one sees where one is"
    focused.send_keys(Keys.SPACE)
    driver.find_element(By.ID, "choices-code").send_keys(home.code, Keys.ENTER)
    await_word(driver, "status", words("fr")("said.chosen"))
    chosen = msgspec.json.decode((home.folder / "state/choices.json").read_bytes())
    assert chosen == {"categories": {"religion": True}}
