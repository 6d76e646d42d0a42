"""Whole histories: what opened and closed when, who saw it, and what lying, silence and outages change (nothing)."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from probe.collector.incidents.model import HOUR, Incident, Sight
from probe.collector.incidents.timeline import incidents
from tests.collector.incidents.stories import DAY, SERIES, Result, Story, at, cut, sights_of

NOW = at("2022-01-01")
SUMMER = ("2019-07-01T14:20", "2019-09-12T08:40")


def told(story: Story, **options: object) -> list[Incident]:
    return incidents(SERIES, story.sights(), now=story.end, **options)  # type: ignore[arg-type]


def dated(incident: Incident, span: tuple[str, str], period: int = HOUR) -> bool:
    """Whether the truth lies within both ends, and no more than a measuring period (and its unevenness) from each."""
    assert incident.ended is not None
    wide = period + period // 10
    ends = (incident.began, at(span[0])), (incident.ended, at(span[1]))
    return all(0 < true - one.after <= wide and 0 <= one.until - true <= wide for one, true in ends)


def test_a_cut_is_dated_at_both_ends() -> None:
    (one,) = told(Story(cut(SUMMER), at("2019-06-01"), at("2019-10-01")))
    assert one.state == "closed"
    assert dated(one, SUMMER)
    assert (one.homes, one.heard, one.dissent, one.exemptions, one.silent) == (10, 10, (), (), ())
    assert not one.intermittent
    assert one.share > 0.999
    assert 0.7 < one.sure < 1


def test_nothing_is_told_of_a_good_line() -> None:
    assert told(Story(lambda _: "good", at("2019-06-01"), at("2019-07-01"))) == []


def test_what_lasts_is_open() -> None:
    (one,) = told(Story(cut(("2019-06-10", "2029-01-01")), at("2019-06-01"), at("2019-06-20")))
    assert (one.state, one.ended) == ("open", None)


def test_two_cuts_are_two_incidents() -> None:
    spans = ("2019-07-01T14:20", "2019-07-09T08:40"), ("2019-08-01T03:10", "2019-08-20T22:05")
    found = told(Story(cut(*spans), at("2019-06-01"), at("2019-09-01")))
    assert [dated(one, span) for one, span in zip(found, spans, strict=True)] == [True, True]


@pytest.mark.parametrize("seed", range(6))
def test_a_fifth_of_liars_changes_nothing(seed: int) -> None:
    (one,) = told(Story(cut(SUMMER), at("2019-06-01"), at("2019-10-01"), homes=15, liars=3, seed=seed))
    assert dated(one, SUMMER)
    assert one.homes >= 12
    assert len(one.dissent) == 1


@pytest.mark.parametrize("seed", range(6))
def test_a_fifth_of_liars_opens_nothing(seed: int) -> None:
    assert told(Story(lambda _: "good", at("2019-06-01"), at("2019-07-01"), homes=15, liars=3, seed=seed)) == []
    assert told(Story(lambda _: "good", at("2019-06-01"), at("2019-07-01"), homes=5, liars=1, seed=seed)) == []


def test_one_home_alone_opens_nothing() -> None:
    assert told(Story(cut(SUMMER), at("2019-06-01"), at("2019-10-01"), homes=1)) == []


def test_probes_behind_one_public_prefix_are_one_home() -> None:
    story = Story(cut(SUMMER), at("2019-06-01"), at("2019-10-01"), homes=3)
    assert told(story, prefix_of={f"home{i}": "the same" for i in range(3)}) == []
    (one,) = told(story, prefix_of={"home0": "a", "home1": "a"})
    assert (one.homes, one.heard) == (2, 2)


def test_an_outage_opens_none_and_ends_none() -> None:
    bad = cut(("2019-07-10T05:00", "2019-07-10T13:00"))
    story = Story(bad, at("2019-07-01"), at("2019-07-20"))
    failing = frozenset(range(at("2019-07-10T05:00"), at("2019-07-10T13:00"), HOUR))
    assert len(told(story)) == 1
    assert told(story, failing=failing) == []
    lasting = Story(cut(("2019-07-05", "2019-07-15")), at("2019-07-01"), at("2019-07-20"))
    (one,) = told(lasting, failing=failing)
    assert dated(one, ("2019-07-05", "2019-07-15"))


def test_what_forges_is_no_outage_whoever_fails_outside() -> None:
    story = Story(cut(("2019-07-10T05:00", "2019-07-10T13:00")), at("2019-07-01"), at("2019-07-20"))
    forged = msgspec.structs.replace(SERIES, technique="dns_injection")
    everywhere = frozenset(range(story.start // HOUR * HOUR, story.end, HOUR))
    assert len(incidents(forged, story.sights(), now=story.end, failing=everywhere)) == 1


def test_silence_is_shown_and_ends_nothing() -> None:
    cut_off = at("2019-07-20"), at("2019-08-02")

    def world(now: int) -> Result:
        return "" if cut_off[0] <= now < cut_off[1] else cut(SUMMER)(now)

    (one,) = told(Story(world, at("2019-06-01"), at("2019-10-01")))
    assert dated(one, SUMMER)
    ((start, end),) = one.silent
    assert abs(start - cut_off[0]) <= HOUR
    assert abs(end - cut_off[1]) <= HOUR


@pytest.mark.parametrize("share", [0.15, 0.3, 0.6])
def test_a_share_of_calls_is_one_incident_and_not_many(share: float) -> None:
    random = Random(7)

    def world(now: int) -> Result:
        return "bad" if cut(SUMMER)(now) == "bad" and random.random() < share else "good"

    (one,) = told(Story(world, at("2019-06-01"), at("2019-10-01")))
    assert one.intermittent
    assert abs(one.share - share) < 0.05
    assert abs(one.began.until - at(SUMMER[0])) < DAY
    assert one.ended is not None
    assert abs(one.ended.after - at(SUMMER[1])) < DAY


def test_hours_of_the_day_are_told() -> None:
    def world(now: int) -> Result:
        return "bad" if cut(SUMMER)(now) == "bad" and 18 <= now // HOUR % 24 < 23 else "good"

    (one,) = told(Story(world, at("2019-06-01"), at("2019-10-01")))
    assert one.intermittent
    evening = {hour for hour, (bad, made) in enumerate(one.hours) if bad > 0.5 * made}
    assert evening == {18, 19, 20, 21, 22}


def test_a_venue_where_it_works_is_an_exemption_and_not_the_end() -> None:
    fair = at("2019-08-05"), at("2019-08-11")
    story = Story(cut(SUMMER), at("2019-06-01"), at("2019-10-01"))
    sights = story.sights()
    for name in ("fair1", "fair2"):  # brought there for six days
        guest = Story(lambda _: "good", *fair, seed=len(name) + ord(name[-1]))
        sights += sights_of(name, guest.results(0))
    (one,) = incidents(SERIES, sights, now=story.end)
    assert dated(one, SUMMER)
    (exemption,) = one.exemptions
    assert (exemption.homes, exemption.probes) == (2, ("fair1", "fair2"))
    assert abs(exemption.since - fair[0]) <= 2 * HOUR
    assert abs(exemption.until - fair[1]) <= 2 * HOUR
    assert one.dissent == ()


def test_a_home_that_is_spared_for_a_week_turns_back() -> None:
    week = at("2019-08-05"), at("2019-08-12")
    story = Story(cut(SUMMER), at("2019-06-01"), at("2019-10-01"), homes=9)
    lucky = Story(lambda now: "good" if week[0] <= now < week[1] else cut(SUMMER)(now), story.start, story.end, seed=5)
    (one,) = incidents(SERIES, [*story.sights(), *sights_of("lucky", lucky.results(0))], now=story.end)
    (exemption,) = one.exemptions
    assert exemption.probes == ("lucky",)
    assert one.homes == 10
    assert one.share > 0.99


def test_homes_that_measure_once_a_day_are_believed_too() -> None:
    (one,) = told(Story(cut(SUMMER), at("2019-06-01"), at("2019-10-01"), period=DAY, homes=4))
    assert dated(one, SUMMER, DAY)


def test_order_and_repetition_change_nothing() -> None:
    story = Story(cut(SUMMER), at("2019-06-20"), at("2019-10-01"), liars=2)
    sights = story.sights()
    shuffled = Random(3).sample(sights, len(sights))
    assert incidents(SERIES, shuffled, now=story.end) == incidents(SERIES, sights, now=story.end)


def test_no_sights_no_incidents() -> None:
    assert incidents(SERIES, [], now=NOW) == []
    assert incidents(SERIES, [Sight("a", 0, down=3)], now=NOW) == []
