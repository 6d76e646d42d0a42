"""What is published for anyone: which states and incidents are due, at a pace that storing does not feel.

Owned by the subscriber's thread. It keeps only what it has told and what it still has to tell; everything else is read
from the store when it is due, so that a message says what is true then, however many findings came in between.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import get_args

import msgspec

from probe.collector import instants, public
from probe.collector.cells import cell_name, column_name, operator_key
from probe.collector.public import Operator, Post
from probe.collector.public_cases import PublicCases
from probe.collector.search import MOST_INCIDENTS
from probe.collector.store import Reader
from probe.model import feed
from probe.model.finding import Access, Finding, Line, Target

EVERY = instants.SECOND
AT_ONCE = 100
"""Most states that are published in a second."""
WAITING = 50_000
"""Most states that may wait; what comes beyond is told when it is measured again."""
KINDS = 100
"""Most kinds of measurement that are looked for: a probe that invents names must not make every look longer."""
AFRESH = 60 * instants.MINUTE
"""A state that has not changed is told again after this time if it was measured, so that it does not expire."""
CROWD_EVERY = 60 * instants.SECOND
INCIDENTS_EVERY = 10 * instants.SECOND

_Topic = tuple[Line, str]  # a line, its access type left out, and a target's text


class PublicFeed:
    """``touched`` as findings are stored, ``due`` now and then, ``begin`` on every new connection."""

    def __init__(self, reader: Reader, consents: Collection[str], now: Callable[[], int]) -> None:
        """``consents``: probes whose owners agreed to be their operator's only one in public; ``now`` in ms."""
        self._reader, self._consents, self._now = reader, consents, now
        self._shown: frozenset[Operator] = frozenset()
        self._measurements: set[str] = set()
        self._waiting: dict[str, _Topic] = {}
        self._told: dict[str, tuple[int, int, Operator]] = {}  # topic → gist, when, of whom
        self._incidents: dict[str, feed.PublicIncident] | None = None
        self._incident_change = 0
        self._cases = PublicCases(reader)
        self._next = self._next_crowd = self._next_incidents = 0

    @property
    def waiting(self) -> int:
        """How many states wait to be published."""
        return len(self._waiting)

    def begin(self) -> None:
        """Tell all states anew: a broker may have lost what it kept. Raises StoreError."""
        self._told.clear()
        for cell in self._reader.cells():
            self._wait(cell.measurement, cell.line, cell.target)

    def touched(self, findings: Iterable[Finding]) -> None:
        """These were stored."""
        for finding in findings:
            self._wait(finding.measurement, finding.line, finding.target)

    def due(self) -> list[Post]:
        """What is to be published now. Raises StoreError."""
        now = self._now()
        if now < self._next:
            return []
        self._next = now + EVERY
        posts = list[Post]()
        if now >= self._next_crowd:
            self._next_crowd = now + CROWD_EVERY
            posts += self._look_around(now)
        for topic in list(self._waiting)[:AT_ONCE]:
            posts += self._state(topic, *self._waiting.pop(topic), now)
        if now >= self._next_incidents:
            self._next_incidents = now + INCIDENTS_EVERY
            posts += self._events(now)
        return posts

    def _wait(self, measurement: str, line: Line, target: Target) -> None:
        if len(self._measurements) < KINDS:
            self._measurements.add(measurement)
        topic = feed.public_state(line.country, operator_key(line), target.input)
        if topic in self._waiting or len(self._waiting) < WAITING:
            self._waiting[topic] = line, target.input

    def _look_around(self, now: int) -> list[Post]:
        """Who may be spoken of now: those who came are told of, what was said of those who left is taken back."""
        shown = public.shown(self._reader.crowd(now - public.LATELY), self._consents, self._reader.homes())
        for cell in self._reader.cells() if shown - self._shown else []:
            if public.operator_of(cell.line) in shown - self._shown:
                self._wait(cell.measurement, cell.line, cell.target)
        self._shown = shown
        gone = [topic for topic, (_, _, operator) in self._told.items() if operator not in shown]
        for topic in gone:
            del self._told[topic]
        return [public.withdrawal(topic) for topic in gone]

    def _state(self, topic: str, line: Line, target: str, now: int) -> list[Post]:
        operator = public.operator_of(line)
        if operator not in self._shown:
            return []
        cells = self._reader.cells_named(self._keys(line, target))
        if not cells:  # measured, but never by a trustworthy clock
            return []
        state = public.state(cells, now)
        known, gist = self._told.get(topic), _gist(state)
        if known is not None and known[0] == gist and now - known[1] < AFRESH:
            return []
        self._told[topic] = gist, now, operator
        return [public.state_post(state, operator[1])]

    def _keys(self, line: Line, target: str) -> list[str]:
        """The names of all cells that an operator and target may have."""
        columns = [column_name(operator_key(line), line.country, access) for access in get_args(Access)]
        return [cell_name(column, one, target) for column in columns for one in sorted(self._measurements)]

    def _events(self, now: int) -> list[Post]:
        rows = self._reader.incidents(MOST_INCIDENTS, after=self._incident_change)
        self._incident_change = max((row.change for row in rows), default=self._incident_change)
        told = {
            row.id: public.incident(row.id, row.incident) for row in rows if public.tellable(row.incident, self._shown)
        }
        cases = self._cases.due({row.id for row in rows}, self._shown, now)
        if self._incidents is None:  # what happened before the start is in the store, for those who ask
            self._incidents = told
            return []
        posts, kept = [], {row.id: row.incident for row in rows}
        for incident_id, incident in told.items():
            event = public.event_of(self._incidents.get(incident_id), incident)
            if event is not None:
                proven = public.proven(incident, self._reader.silence(kept[incident_id]))
                posts.append(public.event_post(event, proven, now))
                self._incidents[incident_id] = incident
        return posts + cases


def _gist(state: feed.PublicState) -> int:
    """A number for what is worth a message: not that it was measured once more. (The states themselves would be a
    gigabyte for a continent.)"""
    verdicts = [msgspec.structs.replace(verdict, last="") for verdict in state.verdicts]
    return hash(msgspec.json.encode(msgspec.structs.replace(state, verdicts=verdicts, at="")))
