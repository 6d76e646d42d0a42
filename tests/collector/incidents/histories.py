"""Two histories, scripted after what happened, and the cases that must come out of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from probe.collector.incidents.cases import MOSTLY, Case, Look, Member, case, gather
from probe.collector.incidents.model import HOUR, Series, Sight
from probe.collector.incidents.outage import Word, failing
from probe.collector.incidents.timeline import incidents
from probe.model.feed import short_hash
from probe.model.finding import Access, Technique
from tests.collector.incidents.stories import DAY, Story, World, at, cut, sights_of


@dataclass
class History:
    """Lines and what they see; ``members`` and ``cases`` do with it what the collector does."""

    start: int
    end: int
    period: int
    sights: dict[Series, list[Sight]] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)

    def line(
        self, country: str, operator: str, access: Access, measurement: str, technique: Technique,
        targets: dict[str, str], world: World, *, homes: int = 5, liars: int = 0, seed: int = 0,
    ) -> None:  # fmt: skip
        """Homes of one kind that measure some targets (name → group)."""
        for number, (target, group) in enumerate(targets.items()):
            self.groups[target] = group
            series = Series(country, operator, access, measurement, target, technique)
            story = Story(world, self.start, self.end, homes, self.period, liars, seed * 100 + number)
            self.sights.setdefault(series, []).extend(
                sight for i in range(homes) for sight in sights_of(f"{operator}-{access}-{i}", story.results(i))
            )

    def members(self) -> list[Member]:
        """Every incident."""
        found = []
        for series, sights in self.sights.items():
            words = {True: dict[str, dict[int, Word]](), False: dict[str, dict[int, Word]]()}
            hours = {s.hour for s in sights if s.bad}
            for other, some in self.sights.items():
                if hours and (other.measurement, other.target) == (series.measurement, series.target):
                    for s in some:
                        word: Word = "bad" if s.bad else "down" if s.down else "good"
                        words[other.country == series.country].setdefault(s.probe, {})[s.hour] = word
            failed = failing(hours, words[True], words[False])
            for one in incidents(series, sights, now=self.end, failing=failed):
                name = short_hash(f"{series}{one.began.until}")
                found.append(Member(name, self.groups[series.target], one))
        return found

    def cases(self, members: list[Member]) -> list[Case]:
        """All cases of these incidents, oldest first."""
        found = []
        for some in gather(members):
            low = some[0].incident.began.until
            ends = [m.incident.ended.after if m.incident.ended else self.end for m in some]
            found.append(case(some, self._looks(low, max(ends))))
        return found

    def _looks(self, low: int, high: int) -> list[Look]:
        found = []
        for series, sights in self.sights.items():
            within = [s for s in sights if low <= s.hour < high]
            homes: dict[str, list[bool]] = {}
            for s in within:
                homes.setdefault(s.probe, []).append(not s.bad)
            if homes:
                good = sum(sum(hours) >= MOSTLY * len(hours) for hours in homes.values())
                found.append(Look(series.country, series.operator, series.access, series.measurement, series.target,
                                  self.groups[series.target], good, len(homes) - good))  # fmt: skip
        return found


FIRST, SECOND = ("2019-07-09T13:00", "2019-09-17T10:30"), ("2021-11-04T09:15", "2029-01-01")
OUTAGE = ("2020-05-03T04:00", "2020-05-04T19:00")
COMPANY = {f"196.20.66.{i}": "octenium" for i in (10, 11, 12)}
NEIGHBOURS = {"196.20.70.1": "neutral"}


def algeria(*, period: int = DAY, liars: int = 1) -> History:
    """One operator blackholes a small company twice and denies it; a real outage of the company lies in between."""
    history = History(at("2019-06-01"), at("2022-01-15"), period)
    hit, well, off = cut(FIRST, SECOND, OUTAGE), cut(), cut(OUTAGE)
    lines: list[tuple[str, str, Access, World]] = [
        ("DZ", "AS36947", "fixed", hit), ("DZ", "AS33779", "mobile", off), ("DZ", "AS327931", "mobile", off),
        ("FR", "AS3215", "fixed", off),
    ]  # fmt: skip
    for seed, (country, operator, access, world) in enumerate(lines):
        for targets, seen in ((COMPANY, world), (NEIGHBOURS, well)):
            history.line(
                country, operator, access, "blackhole", "ip_blackhole", targets, seen, liars=liars, seed=seed
            )
    return history


MOBILE, ADSL, LIFTED = "2016-01-05T08:00", "2016-02-21T08:00", "2016-11-04T12:00"
FAIR = "2016-06-10T06:00", "2016-06-16T20:00"
SERVICES = {"whatsapp calls": "voip", "skype calls": "voip"}
TEXTS = {"whatsapp text": "chat"}


def morocco(*, period: int = 6 * HOUR, share: float = 0.6, liars: int = 1) -> History:
    """Three operators cut internet calls, on mobile lines first; a share of them, chat works, one venue is spared for
    six days, and one day it is over."""
    history = History(at("2015-12-15"), at("2016-12-01"), period)
    for seed, operator in enumerate(("AS36925", "AS36903", "AS36884")):
        kinds: tuple[tuple[Access, str], ...] = (("mobile", MOBILE), ("fixed", ADSL))
        for access, since in kinds if operator != "AS36884" else kinds[:1]:
            for targets, world in ((SERVICES, often((since, LIFTED), share, seed)), (TEXTS, cut())):
                history.line(
                    "MA", operator, access, "voip", "voip_media", targets, world, liars=liars, seed=10 * seed
                )
    for target in SERVICES:
        series = Series("MA", "AS36925", "mobile", "voip", target, "voip_media")
        for number in (7, 8):
            guest = Story(cut(), at(FAIR[0]), at(FAIR[1]), period=period, seed=number)
            history.sights[series] += sights_of(f"fair-{number}", guest.results(0))
    return history


def often(span: tuple[str, str], share: float, seed: int) -> World:
    """Bad for a share of the results within a span."""
    random, during = Random(seed), cut(span)
    return lambda now: "bad" if during(now) == "bad" and random.random() < share else "good"


__all__ = ["DAY", "History", "algeria", "morocco"]
