"""What is news: once, whatever happens to ids, order and time in between."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.collector.incidents.model import HOUR, Bounds
from probe.collector.notify.changes import UPDATE_PAUSE, Change, Told, chosen, news, settled, when
from probe.collector.store import IncidentRow
from probe.model.config import NotifyConfig
from tests.collector.notify.cases import ENDED, MINUTE, NOW, SPARED, row, subscription

LATER = NOW + UPDATE_PAUSE


def told(one: IncidentRow, *, sent: bool = True, at: int = NOW) -> Told:
    return Told(one, at, sent)


def kinds(
    known: list[Told], now: list[IncidentRow], at: int = LATER, *, begins: bool = False, **config: Any
) -> list[str]:
    return [change.kind for change in news(subscription(**config), known, now, at, begins=begins).tell]


def test_from_the_first_word_to_the_last() -> None:
    assert kinds([], [row()]) == ["opened"]
    assert kinds([told(row())], [row()]) == []
    assert kinds([told(row())], [row(closed=True)]) == ["closed"]
    assert kinds([told(row(closed=True))], [row(closed=True)]) == []
    assert kinds([told(row(closed=True))], [row()]) == ["reopened"]
    assert kinds([told(row())], []) == ["withdrawn"]


def test_what_began_and_ended_unseen_is_told_once_as_over() -> None:
    assert kinds([], [row(closed=True)]) == ["closed"]


def test_a_new_subscription_is_told_what_goes_on_and_not_what_is_over() -> None:
    found = news(subscription(), [], [row(), row("b", closed=True, target="b.example")], NOW, begins=True)
    assert [(change.kind, change.row.id) for change in found.tell] == [("opened", row().id)]
    assert [(one.id, before) for one, before in found.note] == [("b", "")]


def test_one_home_or_a_suspicion_is_no_news() -> None:
    found = news(subscription(), [], [row(homes=1), row("b", state="suspected")], NOW, begins=False)
    assert (found.tell, found.note, found.forget) == ([], [], [])


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"homes": 6}, ("homes",)), ({"homes": 5}, ()), ({"sure": 0.4}, ("doubt",)), ({"sure": 0.51}, ()),
        ({"exemptions": (SPARED,)}, ("exempted",)), ({"intermittent": True}, ("intermittent",)), ({"share": 0.1}, ()),
        ({"dissent": ("p-a", "p-b")}, ()), ({"began": Bounds(NOW - 90 * MINUTE, NOW - 80 * MINUTE)}, ()),
        ({"began": Bounds(NOW - 10 * HOUR, NOW - 9 * HOUR)}, ("began",)),
        ({"began": Bounds(0, NOW - 9 * HOUR)}, ("began",)),
        ({"homes": 9, "intermittent": True}, ("homes", "intermittent")),
    ],
)  # fmt: skip
def test_an_update_is_what_matters_to_a_reader(changes: dict[str, Any], what: tuple[str, ...]) -> None:
    found = news(subscription(), [told(row())], [row(**changes)], LATER, begins=False)
    assert [(change.kind, change.what) for change in found.tell] == ([("updated", what)] if what else [])


def test_an_end_that_was_told_wrong_is_told_anew_and_a_finer_one_is_not() -> None:
    known = [told(row(closed=True))]
    assert kinds(known, [row(closed=True, ended=Bounds(ENDED.after, ENDED.until - MINUTE))]) == []
    (change,) = news(subscription(), known, [row(closed=True, ended=Bounds(NOW, 0))], LATER, begins=False).tell
    assert (change.kind, change.what) == ("updated", ("ended",))


def test_small_changes_add_up_and_updates_keep_their_distance() -> None:
    assert kinds([told(row())], [row(homes=6)], at=LATER - 1) == []
    found = news(subscription(), [told(row())], [row(homes=5)], LATER, begins=False)
    assert found.note == [], "it is still held against the three homes that were told"


def test_an_incident_is_known_again_when_a_late_result_moves_its_begin() -> None:
    earlier = row("00000000000000bb", began=Bounds(NOW - 3 * HOUR, NOW - 90 * MINUTE))
    found = news(subscription(), [told(row())], [earlier], NOW, begins=False)
    assert (found.tell, found.forget) == ([], [])
    ((renamed, before),) = found.note
    assert (renamed.id, before) == (earlier.id, row().id)
    assert renamed.incident == row().incident, "as it was told"


def test_two_that_turn_out_to_be_one_withdraw_nothing() -> None:
    first = row("a", closed=True, began=Bounds(0, NOW - 9 * HOUR), ended=Bounds(NOW - 5 * HOUR, NOW - 4 * HOUR))
    whole = row("a", began=Bounds(0, NOW - 9 * HOUR))
    found = news(subscription(), [told(first), told(row("b"))], [whole], NOW, begins=False)
    assert [change.kind for change in found.tell] == ["reopened"]
    assert found.forget == ["b"]


def test_what_nobody_was_told_is_withdrawn_in_silence() -> None:
    found = news(subscription(), [told(row(), sent=False)], [], NOW, begins=False)
    assert (found.tell, found.forget) == ([], [row().id])


def test_another_series_never_stands_in() -> None:
    other = row("b", target="196.20.66.11")
    assert sorted(kinds([told(row())], [other])) == ["opened", "withdrawn"]


def test_only_events_that_are_wanted_are_told_and_the_others_are_remembered() -> None:
    found = news(subscription(events=["closed"]), [], [row()], NOW, begins=False)
    assert (found.tell, [one.id for one, _ in found.note]) == ([], [row().id])
    assert kinds([told(row(), sent=False)], [row(closed=True)], events=["closed"]) == ["closed"]
    assert kinds([told(row())], [], events=["closed"]) == ["withdrawn"], "what was said and is not so is always mended"


@pytest.mark.parametrize(
    ("choice", "fits"),
    [
        ({}, True), ({"targets": ["196.20.66.10"]}, True), ({"targets": ["196.20.66.*"]}, True),
        ({"targets": ["x"]}, False),
        ({"targets": ["x", "196.*"]}, True), ({"countries": ["DZ"]}, True), ({"countries": ["MA"]}, False),
        ({"operators": ["as36947"]}, True), ({"operators": ["algérie télécom"]}, True), ({"operators": ["AS1"]}, False),
        ({"groups": ["octenium"]}, True), ({"groups": ["voip"]}, False),
        ({"targets": ["196.*"], "groups": ["voip"]}, False),
    ],
)  # fmt: skip
def test_what_a_subscription_is_about(choice: dict[str, Any], fits: bool) -> None:
    assert chosen(subscription(**choice), row()) is fits


def test_brackets_of_an_address_are_no_pattern() -> None:
    one = row(target="http://[2001:db8::1]/?q=1")
    assert chosen(subscription(targets=["http://[2001:db8::1]/?q=1"]), one)
    assert chosen(subscription(targets=["http://[2001:*]/*"]), one)
    assert not chosen(subscription(targets=["http://2/?q=1"]), one)


def test_a_choice_that_has_changed_withdraws_nothing_it_no_longer_is_about() -> None:
    assert kinds([told(row())], [row()], targets=["other.example"]) == []


def test_a_change_waits_until_it_has_lasted_and_one_that_went_again_is_forgotten() -> None:
    change = Change("opened", row())
    waiting: dict[tuple[str, str], int] = {}
    assert settled([change], waiting, NOW, 10 * MINUTE) == []
    assert settled([change], waiting, NOW + 10 * MINUTE - 1, 10 * MINUTE) == []
    assert settled([], waiting, NOW + 9 * MINUTE, 10 * MINUTE) == []
    assert waiting == {}
    assert settled([change], waiting, NOW + 10 * MINUTE, 10 * MINUTE) == []
    assert settled([change], waiting, NOW + 20 * MINUTE, 10 * MINUTE) == [change]


def test_the_oldest_is_told_first() -> None:
    late, early = row("a", target="a.example"), row("b", target="b.example", began=Bounds(0, NOW - 5 * HOUR))
    tell = news(subscription(), [], [late, early], NOW, begins=False).tell
    assert [change.row.id for change in tell] == ["b", "a"]
    assert when(Change("closed", row(closed=True))) == ENDED.until


@st.composite
def rows(draw: st.DrawFn) -> list[IncidentRow]:
    found: dict[str, IncidentRow] = {}
    for i in range(draw(st.integers(0, 5))):
        since = NOW - draw(st.integers(1, 20)) * HOUR
        closed = draw(st.booleans())
        one = row(
            f"{draw(st.integers(0, 6)):016x}", target=draw(st.sampled_from(["a", "b"])), homes=draw(st.integers(1, 9)),
            began=Bounds(since - HOUR, since), state="closed" if closed else "open",
            ended=Bounds(since + i * HOUR, since + (i + 1) * HOUR) if closed else None,
            sure=draw(st.sampled_from([0.2, 0.8])),
        )  # fmt: skip
        found[one.id] = one
    return list(found.values())


def remember(
    config: NotifyConfig, known: list[Told], now: list[IncidentRow], at: int
) -> tuple[list[Change], list[Told]]:
    """What the memory does with what is found."""
    found = news(config, known, now, at, begins=False)
    kept = {one.row.id: one for one in known}
    for one, before in found.note:
        was = kept.pop(before, None)
        kept[one.id] = Told(one, was.at if was else at, was.sent if was else False)
    for change in found.tell:
        kept.pop(change.before, None)
        if change.kind != "withdrawn":
            kept[change.row.id] = Told(change.row, at, True)
    return found.tell, [one for name, one in kept.items() if name not in found.forget]


@given(rows(), rows(), rows())
def test_whatever_comes_nothing_is_told_twice(
    first: list[IncidentRow], second: list[IncidentRow], third: list[IncidentRow]
) -> None:
    known: list[Told] = []
    for number, now in enumerate((first, second, third)):
        at = NOW + number * UPDATE_PAUSE
        said, known = remember(subscription(), known, now, at)
        assert len({change.key for change in said}) == len(said)
        again, known = remember(subscription(), known, now, at)
        assert again == []
        states = {one.row.id: one.row.incident.state for one in known}
        assert all(states[one.id] == one.incident.state for one in now if one.id in states)
    nothing, known = remember(subscription(), known, [], NOW + 3 * UPDATE_PAUSE)
    assert {change.kind for change in nothing} <= {"withdrawn"}
    assert known == []


def test_a_told_row_is_what_is_kept_on_disk() -> None:
    assert msgspec.json.decode(msgspec.json.encode(row(exemptions=(SPARED,))), type=IncidentRow) == row(
        exemptions=(SPARED,)
    )
