"""A guest's manners, against a real server: robots.txt, one request a minute, conditional requests, redirects."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from probe.collector.counters.ledger import Ledger, Page
from probe.collector.counters.polite import Guest, origin
from probe.collector.outgoing import Answer, permit
from probe.model.errors import Unanswered
from tests.collector.web import Asked, Reply, serving

NOON = 1_772_366_400_000
pytestmark = pytest.mark.loopback


class Visit:
    """A guest with a clock that only its own waiting moves."""

    def __init__(self, path: Path) -> None:
        self.at = NOON
        self.slept: list[float] = []
        self.ledger = Ledger(str(path))

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += int(seconds * 1000)

    def fetch(self, url: str, page: Page | None = None, allow: str = "127.0.0.0/8", contact: str = "") -> Answer:
        guest = Guest(self.ledger, permit([allow]), contact, now=lambda: self.at, sleep=self.sleep)
        return asyncio.run(guest.fetch(url, page or Page()))


@pytest.fixture
def visit(tmp_path: Path) -> Iterator[Visit]:
    visit = Visit(tmp_path / "findings.sqlite3")
    with closing(visit.ledger):
        yield visit


def site(pages: dict[str, Reply]) -> Callable[[Asked], Reply]:
    return lambda asked: pages.get(asked.path, (404, {}, b""))


def test_robots_first_and_a_minute_between_requests(visit: Visit) -> None:
    with serving(site({"/fans": (200, {"etag": '"a"'}, b"5")})) as web:
        answer = visit.fetch(f"{web.url}/fans", contact="https://monitor.example")
    assert (answer.body, answer.headers["etag"]) == (b"5", '"a"')
    assert [asked.path for asked in web.asked] == ["/robots.txt", "/fans"]
    assert visit.slept == [60.0]
    assert web.asked[1].headers["user-agent"] == "colibri-collector/0.1.0 (+https://monitor.example)"


def test_a_restart_does_not_hurry_and_asks_for_robots_once_a_day(visit: Visit) -> None:
    with serving(site({"/fans": (200, {}, b"5")})) as web:
        visit.fetch(f"{web.url}/fans")
        visit.fetch(f"{web.url}/fans")
        assert [asked.path for asked in web.asked] == ["/robots.txt", "/fans", "/fans"]
        assert visit.slept == [60.0, 60.0]
        visit.at += 86_400_000
        visit.fetch(f"{web.url}/fans")
        assert web.asked[-2].path == "/robots.txt"


def test_what_robots_txt_forbids_is_not_asked_for(visit: Visit) -> None:
    robots: Reply = (200, {}, b"User-agent: colibri-collector\nDisallow: /fans\n")
    with serving(site({"/robots.txt": robots, "/fans": (200, {}, b"5")})) as web:
        with pytest.raises(Unanswered, match=r"robots\.txt does not allow it"):
            visit.fetch(f"{web.url}/fans")
        assert [asked.path for asked in web.asked] == ["/robots.txt"]


def test_a_longer_delay_that_it_asks_for_is_kept(visit: Visit) -> None:
    with serving(site({"/robots.txt": (200, {}, b"User-agent: *\nCrawl-delay: 300"), "/f": (200, {}, b"5")})) as web:
        visit.fetch(f"{web.url}/f")
    assert visit.slept == [300.0]


@pytest.mark.parametrize("reply", [(500, {}, b""), (429, {}, b""), b""])
def test_a_server_that_can_not_say_what_it_forbids_is_not_read(visit: Visit, reply: Reply) -> None:
    with serving(site({"/robots.txt": reply, "/fans": (200, {}, b"5")})) as web:
        with pytest.raises(Unanswered):
            visit.fetch(f"{web.url}/fans")
        assert {asked.path for asked in web.asked} == {"/robots.txt"}


def test_what_has_not_changed_is_not_sent_again(visit: Visit) -> None:
    def reply(asked: Asked) -> Reply:
        return (304, {}, b"") if asked.headers.get("if-none-match") == '"a"' else (404, {}, b"")

    with serving(reply) as web:
        assert visit.fetch(f"{web.url}/fans", Page(etag='"a"', modified="Sun, 01 Mar 2026 12:00:00 GMT")).status == 304
    assert web.asked[-1].headers["if-modified-since"] == "Sun, 01 Mar 2026 12:00:00 GMT"
    assert "if-none-match" not in web.asked[0].headers


def test_a_304_that_nobody_asked_for_is_no_answer(visit: Visit) -> None:
    with serving(site({"/fans": (304, {}, b"")})) as web, pytest.raises(Unanswered, match="status 304"):
        visit.fetch(f"{web.url}/fans")


def test_redirects_are_followed_each_in_its_minute_and_not_for_ever(visit: Visit) -> None:
    moved = {"/a": (301, {"location": "/b"}, b""), "/b": (302, {"location": "c?x=1"}, b""), "/c?x=1": (200, {}, b"5")}
    with serving(site({**moved, "/loop": (302, {"location": "/loop"}, b"")})) as web:
        assert visit.fetch(f"{web.url}/a").body == b"5"
        assert visit.slept == [60.0] * 3
        with pytest.raises(Unanswered, match="more than 5 redirects"):
            visit.fetch(f"{web.url}/loop")


def test_a_redirect_into_somebody_s_network_is_refused(visit: Visit) -> None:
    with serving(site({"/in": (200, {}, b"secret")})) as inside:
        away = f"http://127.0.0.2:{inside.port}/in"
        with serving(
            site({"/a": (302, {"location": away}, b""), "/b": (302, {"location": "http://[::1]/"}, b"")})
        ) as web:
            for path in ("/a", "/b"):
                with pytest.raises(Unanswered, match="not a public address"):
                    visit.fetch(f"{web.url}{path}", allow="127.0.0.1/32")
        assert inside.asked == []


@pytest.mark.parametrize("location", ["", "ftp://a.example/x", "http://user:pw@127.0.0.1/"])
def test_a_redirect_to_nowhere(visit: Visit, location: str) -> None:
    with (
        serving(site({"/a": (302, {"location": location} if location else {}, b"")})) as web,
        pytest.raises(Unanswered),
    ):
        visit.fetch(f"{web.url}/a")


def test_loopback_is_refused_unless_it_was_opened(visit: Visit) -> None:
    with serving(site({"/a": (200, {}, b"5")})) as web:
        with pytest.raises(Unanswered, match="not a public address"):
            visit.fetch(f"{web.url}/a", allow="10.0.0.0/8")
        assert web.asked == []


@pytest.mark.parametrize(
    ("wait", "seconds"),
    [("120", 120), ("Sun, 01 Mar 2026 13:00:00 GMT", 3540), ("soon", 3600), ("99999999", 7 * 86400), ("", 3600)],
)
def test_a_server_that_asks_to_be_left_alone_is(visit: Visit, wait: str, seconds: int) -> None:
    with serving(site({"/a": (503, {"retry-after": wait} if wait else {}, b"")})) as web:
        with pytest.raises(Unanswered, match="status 503"):
            visit.fetch(f"{web.url}/a")
        visit.at += (seconds - 1) * 1000
        with pytest.raises(Unanswered, match="left alone until"):
            visit.fetch(f"{web.url}/a")
        assert len(web.asked) == 2
        visit.at += 61_000
        with pytest.raises(Unanswered, match="status 503"):
            visit.fetch(f"{web.url}/a")


def test_a_clock_that_was_set_back_stops_nothing(visit: Visit) -> None:
    with serving(site({"/a": (200, {}, b"5")})) as web:
        visit.fetch(f"{web.url}/a")
        visit.at -= 10**9
        visit.fetch(f"{web.url}/a")
    assert max(visit.slept) == 60.0


def test_two_at_once_still_take_turns(visit: Visit) -> None:
    async def main(url: str) -> None:
        guest = Guest(visit.ledger, permit(["127.0.0.0/8"]), "", now=lambda: visit.at, sleep=visit.sleep)
        await asyncio.gather(*(guest.fetch(f"{url}/{name}", Page()) for name in "ab"))

    with serving(site({"/a": (200, {}, b"1"), "/b": (200, {}, b"2")})) as web:
        asyncio.run(main(web.url))
    assert visit.slept == [60.0] * (len(web.asked) - 1)


def test_the_origin() -> None:
    assert origin("https://a.example:443/x?y") == "https://a.example"
    assert origin("http://[::1]:81/") == "http://[::1]:81"
