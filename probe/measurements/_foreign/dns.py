"""DNS races in captures of others: one query, two answers that contradict each other (OONI tq-001, GFWatch)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from probe.measurements._foreign.packets import NEED, Taken, around, claim, doubt, from_home, home_end, nearer, quotes
from probe.measurements._judge import hop, hops_away
from probe.measurements._proof import MARGIN
from probe.model.errors import MalformedPacket
from probe.model.finding import Judgement, Location, Tally, Target
from probe.model.packet import Udp
from probe.wire import dns

_KIND = "dns_injection"
_IDENT = 2  # bytes of a DNS identifier
_FULL = 32  # no way is longer: a packet with this TTL was meant to arrive
Key = tuple[str, int, str, int, int, str, int]
"""Client and port, server and port, identifier, name, type: what makes a query and its answers one."""
Content = tuple[int, frozenset[str]]


class Race(msgspec.Struct):
    """A query and what came back. ``queries``: copies of it (a client that asks again gets honest second answers)."""

    server: str
    name: str
    queries: list[Taken]
    answers: list[tuple[Taken, Content]]

    @property
    def ttl(self) -> int:
        """TTL that the query left with."""
        return self.queries[0].packet.ttl

    @property
    def key(self) -> tuple[int, bytes]:
        """What a router's quote of the query shows at least: the client's port and the identifier."""
        packet = self.queries[0].packet
        return packet.header.source_port if isinstance(packet.header, Udp) else 0, packet.payload[:_IDENT]

    @property
    def contents(self) -> list[Content]:
        """The different answers, in order."""
        return list(dict.fromkeys(content for _, content in self.answers))

    @property
    def contradicts(self) -> bool:
        """Whether there are more different answers than queries."""
        return len(self.contents) > len(self.queries) > 0

    def ttls(self, number: int) -> set[int]:
        """TTLs on arrival of the packets with the first (0), second … answer."""
        return {taken.packet.ttl for taken, content in self.answers if content == self.contents[number]}


def races(taken: Sequence[Taken]) -> list[Race]:
    """All queries over UDP, in order of time."""
    found: dict[Key, Race] = {}
    for one in taken:
        header = one.packet.header
        if not isinstance(header, Udp) or 53 not in (header.source_port, header.destination_port):
            continue
        try:
            message = dns.decode(one.packet.payload)
        except MalformedPacket:
            continue
        if len(message.questions) != 1:
            continue
        asked = message.questions[0]
        back = message.response
        client, server = (one.packet.destination, one.packet.source)[:: 1 if back else -1]
        ports = (header.destination_port, header.source_port)[:: 1 if back else -1]
        key = (client, ports[0], server, ports[1], message.ident, asked.name.lower(), asked.qtype)
        race = found.setdefault(key, Race(server, asked.name, [], []))
        if back:
            says = frozenset(f"{record.type} {record.text}" for record in message.answers)
            race.answers.append((one, (message.rcode, says)))
        else:
            race.queries.append(one)
    return [race for race in found.values() if race.queries]


def judge(taken: Sequence[Taken]) -> list[Judgement]:
    """One judgement for each server and name that got contradicting answers, or answers to queries that died."""
    known = races(taken)
    dead = _died(taken)
    found = []
    for server, name in dict.fromkeys((race.server, race.name.lower()) for race in known):
        mine = [race for race in known if (race.server, race.name.lower()) == (server, name)]
        others = [race for race in known if race.server == server and race not in mine]
        swept = _swept(mine, others, dead)
        if swept is not None:
            found.append(swept)
        elif any(race.contradicts for race in mine):
            found.append(_raced(server, mine, others))
    return found


def _raced(server: str, mine: list[Race], others: list[Race]) -> Judgement:
    target = Target(mine[0].name, mine[0].name, server, 53)
    odd = [race for race in mine if race.contradicts]
    trials = Tally(len(mine), len(odd))
    first, last = [t for r in odd for t in r.ttls(0)], [t for r in odd for t in r.ttls(-1)]
    plain = [race for race in others if race.answers and not race.contradicts]
    controls = Tally(len(others), len(plain))
    genuine = [t for race in plain for t in race.ttls(0)]
    reasons = [f"{len(odd)} of {len(mine)} queries for {target.name} to {server} got contradicting answers."]
    details: dict[str, object] = {"ttls_first": sorted(set(first)), "ttls_last": sorted(set(last))}
    if len(odd) < NEED:
        return doubt(_KIND, "too-few", target, trials, controls, [*reasons, f"That is fewer than {NEED}."], details)
    rule, reason = "", ""
    if not nearer(first, last):
        rule, reason = "same-distance", (
            "They did not come from clearly different distances: a resolver of several machines that rotates its "
            "answers looks the same where the network doubles queries."
        )
    elif from_home(first):
        rule, reason = "from-home", "The first ones come from so near that the home may have sent them."
    elif not around((t.at for race in plain for t in race.queries), [t.at for race in odd for t in race.queries]):
        rule, reason = "no-control", "The capture holds no other name that the server answered once, before and after."
    elif not nearer(first, genuine):
        rule, reason = "control-alike", "Answers about other names come from as near as the first ones."
    if rule:
        return doubt(_KIND, rule, target, trials, controls, [*reasons, reason], details)
    reasons.append(
        f"The first ones arrived with TTL {_list(first)}, the last ones with {_list(last)}, answers about other names "
        f"with {_list(genuine)}: the first come from a machine that is nearer."
    )
    return claim(_KIND, "two-answers-on-one-flow", target, "dns_injection", trials, controls, reasons, details=details)


def _swept(mine: list[Race], others: list[Race], dead: dict[tuple[int, bytes], str]) -> Judgement | None:
    """What queries say that died on a router and were answered all the same; None where there were no three."""
    hits = [(race.ttl, dead[race.key], race) for race in mine if race.answers and race.key in dead]
    if len(hits) < NEED:
        return None
    target = Target(mine[0].name, mine[0].name, mine[0].server, 53)
    first = min(ttl for ttl, _, _ in hits)
    short = [race for race in mine if race.ttl >= first and race.key in dead]
    trials = Tally(len(short), len(hits))
    plain = [race for race in others if race.answers and not race.contradicts and race.key not in dead]
    controls = Tally(len(others), len(plain))
    reasons = [f"{len(hits)} queries for {target.name} were answered although routers report that they died on them."]
    full = [hops_away(t) + 1 for race in plain for t in race.ttls(0)]
    reach = [race.ttl for race in plain if race.ttl < _FULL] or full
    reason, rule = "", ""
    if first <= home_end({race.ttl: dead[race.key] for race in [*mine, *others] if race.key in dead}):
        rule, reason = "answered-at-home", "The first of them died inside the home, which may answer itself."
    elif not around((t.at for r in plain for t in r.queries), [t.at for _, _, r in hits for t in r.queries]):
        rule, reason = "no-control", "The capture holds no other name that the server answered, before and after."
    elif any(race.answers and race.key in dead for race in others):
        rule, reason = "control-alike", "Queries for other names that died on the way were answered as well."
    elif first + MARGIN > min(reach):
        rule, reason = "near-target", "They died so near to the server that its own network may have answered."
    if rule:
        return doubt(_KIND, rule, target, trials, controls, [*reasons, reason])
    clean = max((race.ttl for race in mine if race.ttl < first), default=0)
    routers = {race.ttl: dead[race.key] for race in mine if race.key in dead}
    place = Location(clean, first, hop(routers.get(clean)), hop(routers.get(first)))
    reasons.append(f"The lowest TTL that was answered is {first}, the highest below it that was not is {clean}.")
    return claim(_KIND, "answer-below-resolver", target, "dns_injection", trials, controls, reasons, place)


def _died(taken: Sequence[Taken]) -> dict[tuple[int, bytes], str]:
    """Queries that died on the way → the router that says so."""
    found = {}
    for one, quoted in quotes(taken):
        header = quoted.header
        if isinstance(header, Udp) and header.destination_port == 53 and len(quoted.payload) >= _IDENT:
            found[header.source_port, quoted.payload[:_IDENT]] = one.packet.source
    return found


def _list(ttls: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(set(ttls))))
