"""What is published for anyone, and when: against a real store, with a clock of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from probe.collector import instants, public, public_feed
from probe.collector.incidents.model import Bounds, Incident, Series
from probe.collector.public import Post
from probe.collector.public_feed import PublicFeed
from probe.collector.store import IncidentRow
from probe.model import feed
from probe.model.finding import Finding, Line, Target, Verdict

if TYPE_CHECKING:
    from tests.collector.conftest import Desk, FakeProbe

NOON = instants.from_text("2026-03-01T12:00:00.000Z")
ATLAS = Line("Atlas Telecom", 64501, "MA", "fixed")
MOBILE = Line("Atlas Telecom", 64501, "MA", "mobile")
TOPIC = feed.public_state("MA", "AS64501", "news.example")
Probes = Callable[..., "FakeProbe"]


class Newsroom:
    """A store, its public feed and the time."""

    def __init__(self, desk: Desk, consents: list[str]) -> None:
        self.desk = desk
        self.now = NOON
        self.rows: list[IncidentRow] = []
        reader: Any = self
        self.feed = PublicFeed(reader, consents, lambda: self.now)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.desk.reader, name)

    def incidents(self, limit: int, *, after: int = 0) -> list[IncidentRow]:
        return [row for row in self.rows if row.change > after][:limit]

    def store(self, *findings: Finding) -> None:
        self.desk.give(*findings, received_at=self.now)
        self.feed.touched(findings)

    def later(self, ms: int) -> list[Post]:
        self.now += ms
        return self.feed.due()


@pytest.fixture
def consents() -> list[str]:
    return []


@pytest.fixture
def room(desk: Desk, consents: list[str]) -> Newsroom:
    return Newsroom(desk, consents)


@pytest.fixture
def two(probes: Probes) -> tuple[FakeProbe, FakeProbe]:
    return probes("p-one", ATLAS), probes("p-two", MOBILE)


def told(posts: list[Post]) -> list[feed.PublicState]:
    return [msgspec.json.decode(post.payload, type=feed.PublicState) for post in posts]


def test_one_probe_is_silent_two_are_told(room: Newsroom, two: tuple[FakeProbe, FakeProbe]) -> None:
    one, other = two
    room.store(one.finding("interfered", room.now))
    assert room.feed.due() == []
    room.store(other.finding("clean", room.now))
    assert room.later(1000) == []  # who measures is looked up once a minute
    (post,) = room.later(public_feed.CROWD_EVERY)
    assert (post.topic, post.retain, post.expiry) == (TOPIC, True, 86400)
    (state,) = told([post])
    assert [(v.access, v.verdict) for v in state.verdicts] == [("fixed", "interfered"), ("mobile", "clean")]


@pytest.mark.parametrize("consents", [["p-one"]])
def test_an_owner_who_agreed_is_told_at_once(room: Newsroom, two: tuple[FakeProbe, FakeProbe]) -> None:
    room.store(two[0].finding("interfered", room.now))
    assert [post.topic for post in room.feed.due()] == [TOPIC]


@pytest.fixture
def told_room(room: Newsroom, two: tuple[FakeProbe, FakeProbe]) -> Newsroom:
    """After the first state was published."""
    room.store(*(probe.finding("clean", room.now) for probe in two))
    assert [post.topic for post in room.feed.due()] == [TOPIC]
    return room


def test_the_same_again_is_no_news_until_an_hour_is_over(told_room: Newsroom, two: tuple[FakeProbe, FakeProbe]) -> None:
    told_room.now += 60_000
    told_room.store(two[0].finding("clean", told_room.now))
    assert told_room.later(1000) == []
    told_room.now += public_feed.AFRESH
    told_room.store(two[0].finding("clean", told_room.now))
    assert len(told(told_room.later(1000))) == 1


@pytest.mark.parametrize("verdict", ["interfered", "down"])
def test_another_verdict_is_news(told_room: Newsroom, two: tuple[FakeProbe, FakeProbe], verdict: Verdict) -> None:
    told_room.now += 60_000
    told_room.store(two[0].finding(verdict, told_room.now))
    (state,) = told(told_room.later(1000))
    assert state.verdicts[0].verdict == verdict


def test_nothing_twice_within_a_second(told_room: Newsroom, two: tuple[FakeProbe, FakeProbe]) -> None:
    told_room.store(two[0].finding("interfered", told_room.now + 1))
    assert told_room.later(500) == []
    assert len(told_room.later(500)) == 1


def test_a_new_connection_is_told_all(told_room: Newsroom) -> None:
    told_room.feed.begin()
    assert [post.topic for post in told_room.later(1000)] == [TOPIC]


def test_what_was_said_of_who_left_is_taken_back_and_said_again_when_they_return(
    told_room: Newsroom, two: tuple[FakeProbe, FakeProbe]
) -> None:
    told_room.now += public.LATELY + 1
    told_room.store(two[0].finding("clean", told_room.now))
    (gone,) = told_room.later(1000)
    assert (gone.topic, gone.payload, gone.retain) == (TOPIC, b"", True)
    told_room.store(two[1].finding("clean", told_room.now))
    (back,) = told_room.later(public_feed.CROWD_EVERY)
    assert (back.topic, told([back])[0].country) == (TOPIC, "MA")


def test_so_many_a_second_and_the_rest_waits(
    room: Newsroom, two: tuple[FakeProbe, FakeProbe], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(public_feed, "AT_ONCE", 3)
    for number in range(5):
        room.store(*(probe.finding(at=room.now, target=Target(f"{number}.example")) for probe in two))
    assert room.feed.waiting == 5
    first = room.feed.due()
    assert (len(first), room.feed.waiting) == (3, 2)
    assert {state.target.input for state in told(first + room.later(1000))} == {f"{n}.example" for n in range(5)}


def test_there_is_an_end_to_waiting(
    room: Newsroom, two: tuple[FakeProbe, FakeProbe], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(public_feed, "WAITING", 2)
    room.store(*(two[0].finding(target=Target(f"{number}.example")) for number in range(5)))
    assert room.feed.waiting == 2


def test_invented_kinds_of_measurement_do_not_make_every_look_longer(
    room: Newsroom, two: tuple[FakeProbe, FakeProbe], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(public_feed, "KINDS", 3)
    for number in range(5):
        room.store(*(probe.finding(at=room.now, measurement=f"kind_{number}") for probe in two))
    (state,) = told(room.feed.due())
    assert {verdict.measurement for verdict in state.verdicts} == {"kind_0", "kind_1", "kind_2"}


def test_undated_findings_alone_make_no_state(room: Newsroom, two: tuple[FakeProbe, FakeProbe]) -> None:
    room.store(*(probe.finding(at=room.now) for probe in two))
    room.feed.due()
    undated = two[0].finding(at=0, clock="unsynchronised", target=Target("new.example"))
    room.store(undated)
    assert room.later(1000) == []


def row(change: int, **changes: Any) -> IncidentRow:
    made = Incident(
        series=Series("MA", "AS64501", "fixed", "voip", "sip.example", "voip_stun"), state="open",
        began=Bounds(NOON - 2000, NOON - 1000), ended=None, homes=3, heard=4, dissent=(), share=0.5, hours=(),
        intermittent=False, exemptions=(), silent=(), sure=0.3,
    )  # fmt: skip
    return IncidentRow("0123456789abcdef", change, msgspec.structs.replace(made, **changes), "Atlas", "")


def test_an_incident_from_opened_to_closed(room: Newsroom) -> None:
    assert room.feed.due() == []
    seen = []
    for change in (
        row(1),
        row(2, share=0.6),
        row(3, homes=5, heard=6),
        row(4, state="closed", ended=Bounds(NOON, NOON + 1)),
    ):
        room.rows = [change]
        seen += [post.topic.removeprefix("colibri/v1/public/") for post in room.later(public_feed.INCIDENTS_EVERY)]
    assert [one for one in seen if one.startswith("incident/")] == [
        "incident/opened", "incident/updated", "incident/closed",
    ]  # fmt: skip
    assert [one for one in seen if one.startswith("case/")] == ["case/opened", "case/updated", "case/closed"]


def test_what_was_open_before_the_start_is_not_opened_again(room: Newsroom) -> None:
    room.rows = [row(1)]
    assert room.feed.due() == []
    room.rows = [row(2, state="closed", ended=Bounds(NOON, NOON + 1))]
    post, case = room.later(public_feed.INCIDENTS_EVERY)
    assert case.topic == "colibri/v1/public/case/closed"
    event = msgspec.json.decode(post.payload, type=feed.PublicEvent)
    assert (post.topic, event.event, event.incident.state) == ("colibri/v1/public/incident/closed", "closed", "closed")


def test_an_incident_that_may_not_be_told_is_not(room: Newsroom) -> None:
    room.feed.due()
    room.rows = [row(1, heard=1, homes=1), row(2, state="suspected")]
    assert room.later(public_feed.INCIDENTS_EVERY) == []
