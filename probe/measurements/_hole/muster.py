"""The table of all addresses of a run: what each showed, which are looked at more closely, what the whole comes to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import msgspec

from probe.measurements._hole.company import Wanted, prefix, version
from probe.measurements._hole.verdict import Case
from probe.measurements._hole.ways import Aim
from probe.measurements._judge import confidence, plural
from probe.measurements._reach import Probe, Sight, tcp
from probe.model.finding import Interference, Judgement, Tally, Target, Verdict

Asked = Mapping[str, Sequence[Sight]]
"""Address → what its probes showed."""

_SAMPLES = 2  # of each network, and kind of silence, that are looked at more closely
_MOST_SAMPLES = 4  # in all: the evidence must fit into a message of the feed
_TRIALS = 3  # of one port, before it is said to answer now and then
_FARTHER = 2  # routers: an open and a closed port of one host are not that far apart
_REFERENCES = 2  # that must answer before and after: what befalls one address alone is no operator's doing
_FORTUNE = {"interfered": 0, "inconclusive": 1, "down": 2, "clean": 3}


class Row(msgspec.Struct, frozen=True):
    """One address. ``ports``: TCP port → open, closed, refused or silent."""

    wanted: Wanted
    ports: dict[int, str]
    sights: list[Sight]

    @property
    def address(self) -> str:
        """Canonical text."""
        return self.wanted.address

    @property
    def answers(self) -> bool:
        """Whether the address itself answered anything."""
        return any(s.answer for s in self.sights)

    @property
    def refused_by(self) -> str:
        """A router that says that the address can't be reached."""
        return next((s.refused[0] for s in self.sights if s.refused is not None), "")

    @property
    def voice(self) -> Probe:
        """A kind of probe that it answers, rather an open port than anything else."""
        ranks = {"open": 2, "closed": 1}
        return max((s for s in self.sights if s.answer), key=lambda s: ranks.get(s.answer, 0)).probe

    @property
    def odd_ports(self) -> list[int]:
        """Of an address that answers: ports that are silent or refused, answer now and then, or whose resets come from
        elsewhere."""
        if not self.answers:
            return []
        odd = {port for port, state in self.ports.items() if state in ("silent", "refused") or self._seldom(port)}
        away = {s.hops for s in self.sights if s.answer == "open" and s.hops is not None}
        strange = {
            s.probe.port for s in self.sights
            if s.answer == "closed" and s.hops is not None and away and min(abs(s.hops - a) for a in away) >= _FARTHER
        }  # fmt: skip
        return [port for port in self.ports if port in odd | strange]

    def _seldom(self, port: int) -> bool:
        mine = [bool(s.answer) for s in self.sights if s.probe == tcp(port)]
        return len(mine) >= _TRIALS and 2 * sum(mine) <= len(mine)


def sort_out(wanted: Wanted, ports: Sequence[int], sights: list[Sight]) -> Row:
    """A row from all that was seen of an address."""
    states: dict[int, str] = {}
    for port in ports:
        mine = [s for s in sights if s.probe == tcp(port)]
        said = Counter(s.answer for s in mine if s.answer in ("open", "closed"))
        refused = any(s.refused is not None for s in mine)
        states[port] = said.most_common(1)[0][0] if said else "refused" if refused else "silent"
    return Row(wanted, states, sights)


def choose(rows: Sequence[Row], random: Random) -> list[str]:
    """Addresses to look at more closely: a few of each network and kind, rather those that must answer."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((prefix(row.address), row.refused_by), []).append(row)
    chosen: list[str] = []
    for group in groups.values():
        listed = [row.address for row in group if row.wanted.listed]
        others = [row.address for row in group if not row.wanted.listed]
        chosen += [*listed, *random.sample(others, min(_SAMPLES, len(others)))][:_SAMPLES]
    return chosen[:_MOST_SAMPLES]


def conclude(
    target: str, group: str, rows: list[Row], cases: Mapping[Aim, Case], before: Asked, after: Asked,
    nameless: list[str],
) -> Judgement:  # fmt: skip
    """The finding's part of all that. The gravest thing that is supported decides."""
    verdicts = [_verdict(row, cases, before, after) for row in rows]
    told = list(zip(rows, verdicts, strict=True))
    controls = _controls(before, after)
    if not rows:
        return Judgement(
            verdict="inconclusive", rule="blackhole/name-unknown", target=Target(target, group=group),
            controls=controls, reasons=[_unknown(nameless)], details={"addresses": []},
        )  # fmt: skip
    # Of a network only some addresses are in use: those that are silent worsen nothing where others answer.
    some = any(v[0] == "clean" for v in verdicts)
    needed = [(row, v) for row, v in told if not some or row.wanted.listed or v[0] in ("clean", "interfered")]
    row, (verdict, rule, reason) = min(needed, key=lambda one: _FORTUNE[one[1][0]])
    case = _case_of(row, cases)
    trials = case.trials if case is not None and verdict != "clean" else _answered(rows)
    reasons = [reason]
    if verdict == "clean":
        reasons = [f"{_count(rows, verdicts, 'clean')} answered; {_share(controls)} packets to the references did."]
    elif len(rows) > 1:
        reasons.append(_summary(rows, verdicts))
    if case is not None and case.witness and case.verdict == verdict:
        reasons.append(case.witness)
    if verdict == "interfered":
        reasons.append(f"{_share(controls)} packets to the references were answered, before and after.")
    if verdict == "interfered" and not (case and case.witness):
        reasons.append(
            "One line can't see whether the owner has taken the network off the Internet; lines of other operators can."
        )
    if nameless:
        verdict, rule = ("inconclusive", "name-unknown") if verdict == "clean" else (verdict, rule)
        reasons.append(_unknown(nameless))
    interference = None
    if verdict == "interfered" and case is not None and case.technique is not None:
        interference = Interference(case.technique, "in_path", case.location)
    tallies = (trials.agreed, trials.made), (controls.agreed, controls.made)
    port = case.aim.probes[0].port if case is not None and len(case.aim.probes) == 1 else 0
    return Judgement(
        verdict=verdict, rule=f"blackhole/{rule}", interference=interference, trials=trials, controls=controls,
        target=Target(target, row.wanted.name, row.address, port, group), reasons=reasons,
        confidence=0.0 if verdict == "inconclusive" else confidence(*tallies),
        details={
            "addresses": [_show(row, v[0], v[1], cases) for row, v in told],
            "references": [_reference(a, before[a], after.get(a, [])) for a in before],
        },
    )  # fmt: skip


Said = tuple[Verdict, str, str]
"""Verdict, rule and reason of one row."""


def _verdict(row: Row, cases: Mapping[Aim, Case], before: Asked, after: Asked) -> Said:
    same = [a for a in before if version(a) == version(row.address)]
    good = [a for a in same if _alive(before[a]) and _alive(after.get(a, []))]
    if not good:
        asked = f"{plural(len(same), 'reference')} over IPv{version(row.address)}"
        return "inconclusive", "control-failed", f"None of {asked} answered before and after: is the line broken?"
    found = _case_of(row, cases)
    if found is not None and found.verdict == "interfered":
        twin = len(found.aim.probes) == 1
        if twin and not _alive(after.get(row.address, [])):
            return "inconclusive", "control-failed", f"{row.address} did not answer afterwards on any port."
        if not twin and len(good) < _REFERENCES:
            return "inconclusive", "control-failed", (
                f"{found.reason} But fewer than {_REFERENCES} references answered before and after."
            )
        return found.verdict, found.rule, found.reason
    if found is not None and found.rule == "some-flows-pass":
        return found.verdict, found.rule, found.reason
    if row.answers:
        states = ", ".join(f"{port} {state}" for port, state in row.ports.items())
        return "clean", "answers", f"{row.address} answers ({states})."
    if found is not None:
        return found.verdict, found.rule, found.reason
    return "inconclusive", "silent", f"{row.address} is silent; its way was not looked at."


def _case_of(row: Row, cases: Mapping[Aim, Case]) -> Case | None:
    """The gravest case of an address."""
    mine = [case for aim, case in cases.items() if aim.address == row.address]
    return min(mine, key=lambda case: _FORTUNE[case.verdict], default=None)


def _alive(sights: Sequence[Sight]) -> bool:
    return any(s.answer for s in sights)


def _controls(before: Asked, after: Asked) -> Tally:
    sights = [s for seen in (before, after) for a in seen if a in before for s in seen[a]]
    return Tally(len(sights), sum(bool(s.answer) for s in sights))


def _answered(rows: Sequence[Row]) -> Tally:
    sights = [s for row in rows if row.answers or row.wanted.listed for s in row.sights if s.probe.kind == "tcp"]
    return Tally(len(sights), sum(bool(s.answer) for s in sights))


def _unknown(names: Sequence[str]) -> str:
    return f"The resolver told no usable address of {', '.join(names)}."


def _share(tally: Tally) -> str:
    return f"{tally.agreed} of {tally.made}"


def _count(rows: Sequence[Row], verdicts: Sequence[Said], verdict: Verdict) -> str:
    return f"{sum(v[0] == verdict for v in verdicts)} of {len(rows)} address{'es' if len(rows) > 1 else ''}"


def _summary(rows: Sequence[Row], verdicts: Sequence[Said]) -> str:
    kinds = Counter(v[1] for v in verdicts)
    return f"Of {len(rows)} addresses: " + ", ".join(f"{rule} {n}" for rule, n in kinds.most_common()) + "."


def _show(row: Row, verdict: Verdict, rule: str, cases: Mapping[Aim, Case]) -> dict[str, Any]:
    """A line of the table."""
    shown: dict[str, Any] = {"address": row.address, "verdict": verdict, "rule": rule}
    if row.wanted.name:
        shown["name"] = row.wanted.name
    shown["ports"] = {str(port): state for port, state in row.ports.items()}
    case = _case_of(row, cases)
    if case is not None and case.location is not None:
        shown["link"] = [case.location.clean_ttl, case.location.first_ttl]
    return shown


def _reference(address: str, before: Sequence[Sight], after: Sequence[Sight]) -> dict[str, Any]:
    return {
        "address": address,
        "before": [sum(bool(s.answer) for s in before), len(before)],
        "after": [sum(bool(s.answer) for s in after), len(after)],
    }
