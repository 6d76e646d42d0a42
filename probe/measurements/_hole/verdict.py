"""Judges one silent, refused or half-silent address from the ways that were seen: `docs/measurements/blackhole.md`.

Whoever lets packets vanish must be told from the address itself, its own network, the home, and chance. So: beyond what
chance explains, packets die between two routers of the way that all references share, and well before that way divides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence
from ipaddress import ip_address, ip_network

import msgspec

from probe.measurements._hole.ways import Aim, Ways, common_end
from probe.measurements._judge import confidence, hop, hops_away, is_home, plural
from probe.measurements._locate import AGREE, Place
from probe.measurements._proof import MARGIN, RARE, by_chance, crossed_home, home_depth, may_be_home
from probe.measurements._reach import Sight
from probe.model.baseline import Baseline
from probe.model.finding import Location, Tally, Technique, Verdict


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be said of one aim. ``rule`` without the measurement's name; ``controls``: of its references;
    ``witness``: what the host itself had said."""

    aim: Aim
    verdict: Verdict
    rule: str
    reason: str
    technique: Technique | None = None
    place: Place | None = None
    trials: Tally = Tally(0, 0)
    controls: Tally = Tally(0, 0)
    witness: str = ""

    @property
    def location(self) -> Location | None:
        """As a finding shows it."""
        return self.place.location() if self.place is not None else None

    @property
    def confidence(self) -> float:
        """Of its own observations; 0 where nothing is claimed."""
        if self.verdict == "inconclusive":
            return 0.0
        return confidence((self.trials.agreed, self.trials.made), (self.controls.agreed, self.controls.made))


class Court:
    """Judges subjects against references, which are other addresses, or (``twin``) the same address on another port.

    ``peers``: other addresses that must have passed too, on the same kind of probe; None: that is not needed.
    """

    def __init__(
        self, ways: Ways, references: Sequence[Aim], *, twin: bool = False, known: Baseline | None = None,
        operator: Sequence[str] = (), peers: Sequence[Aim] | None = None,
    ) -> None:  # fmt: skip
        self._ways, self._references, self._twin, self._known = ways, references, twin, known or Baseline()
        self._peers = peers
        self._operator = [ip_network(text, strict=False) for text in operator]
        self._seen = ways.routers(references)
        self._end = 0 if not twin and len(references) < 2 else common_end(ways, references)
        full = [s for r in references for s in ways.full(r)]
        self._controls = Tally(len(full), sum(bool(s.answer) for s in full))

    def judge(self, aim: Aim) -> Case:
        """One subject."""
        full = self._ways.full(aim)
        answered = [s for s in full if s.answer]
        if self._twin and (forged := self._answered_short(aim)) is not None:
            return forged
        if answered:
            return self._reached(aim, full, answered)
        if not self._controls.agreed or self._by_chance(full) >= RARE:
            return self._case(aim, full, "too-little-evidence", f"{_name(aim)} did not answer, but too few of the "
                              f"packets to addresses that do were answered: {_share(self._controls)}.")  # fmt: skip
        if len(self._ways.refusals(aim)) >= AGREE:
            return self._refused(aim, full)
        return self._silent(aim, full)

    def _limit(self, aim: Aim) -> int:
        """How far the address is at least: beyond the common way, or as near as its answers came from in the past."""
        past = [hops_away(ttl) + 1 for ttl in self._known.of(aim.address).usual_ttls]
        return min([self._end, *past])

    def _stranger(self, aim: Aim, router: str | None) -> str | None:
        """Why it is not the operator's doing, or may be the address's own; None where neither is known."""
        if not self._operator:
            return None
        if self._within(aim.address):
            return "It lies in the operator's own network, where it may be switched off."
        if router and not self._within(router):
            return f"The next router, {router}, is none of the operator's: others may drop it at its owner's request."
        return None

    def _within(self, address: str) -> bool:
        ip = ip_address(address)
        return any(ip.version == network.version and ip in network for network in self._operator)

    def _by_chance(self, full: list[Sight]) -> float:
        """How often chance gives this silence, if packets to the subject fare like those to the references."""
        return by_chance(self._controls.agreed, self._controls.made, 0, len(full))

    def _reached(self, aim: Aim, full: list[Sight], answered: list[Sight]) -> Case:
        share = Tally(len(full), len(answered))
        # An address may keep silent to one kind of probe; balanced paths show in one and the same kind.
        kinds = Counter(s.probe.kind for s in answered)
        whole = all(count == sum(s.probe.kind == kind for s in full) for kind, count in kinds.items())
        if whole or not self._worse(full, answered, kinds):
            return self._case(aim, full, "answers", f"{_name(aim)} answered {_share(share)} packets.", verdict="clean")
        return self._case(aim, full, "some-flows-pass", f"{_name(aim)} answered {_share(share)} packets that were sent "
                          "from several ports: one of several paths may be broken, or it limits its rate.")  # fmt: skip

    def _worse(self, full: list[Sight], answered: list[Sight], kinds: Container[str]) -> bool:
        """Whether the kinds that are answered at all fare worse than the references, beyond chance."""
        made = sum(s.probe.kind in kinds for s in full)
        return by_chance(self._controls.agreed, self._controls.made, len(answered), made) < RARE

    def _refused(self, aim: Aim, full: list[Sight]) -> Case:
        refusals = self._ways.refusals(aim)
        said = Counter(s.refused for s in refusals if s.refused is not None)
        (who, code), _ = said.most_common(1)[0]
        own = self._ways.routers([aim])
        at = [s.ttl for s in self._ways.short(aim) if s.refused is not None and s.refused[0] == who]
        at += [ttl for ttl, seen in self._seen.items() if who in seen]  # a router may limit how often it refuses
        times = plural(sum(said.values()), "time")
        words = f"{_shown(who)} said {times} that {_name(aim)} can't be reached (ICMP code {code})"
        if is_home(who):
            return self._case(aim, full, "refused-at-home", f"A router inside the home says that {_name(aim)} can't be "
                              "reached: that is the home's own doing.")  # fmt: skip
        if not at:
            return self._case(aim, full, "refused-somewhere", f"{words}, but no packet with a low TTL shows where "
                              "that router is.")  # fmt: skip
        first = min(at)
        place = self._place(own, first - 1, first, who, len(refusals))
        shared = who in self._seen.get(first, ()) or set(own.get(first - 1, ())) & set(self._seen.get(first - 1, ()))
        if not shared or first + MARGIN > self._limit(aim):
            return self._case(aim, full, "refused-near-target", f"{words}. That router may belong to the network of "
                              "the address, which may be down or refuse by itself.")  # fmt: skip
        if (stranger := self._stranger(aim, who)) is not None:
            return self._case(aim, full, "not-the-operator-s", f"{words}. {stranger}")
        if not self._peers_pass(full):
            return self._only_pings(aim, full)
        technique: Technique = "port_block" if self._twin else "icmp_reject"
        return self._case(aim, full, "router-refuses", f"{words}, {place.location().attribution}, where "
                          f"{self._others(first)} pass.", technique, place)  # fmt: skip

    def _silent(self, aim: Aim, full: list[Sight]) -> Case:
        ways, last = self._ways, self._ways.last(aim)
        own = ways.routers([aim])
        depth = home_depth({ttl: seen.most_common(1)[0][0] for ttl, seen in self._seen.items()})
        dies = f"Packets to {_name(aim)} die {f'behind hop {last}' if last else 'before any router shows itself'}"
        first = next((t for t in range(last + 1, self._end + 1) if ways.vanishes(aim, self._references, t)), None)
        if first is None:
            beyond = "at the address itself or its network" if last >= self._end else "somewhere"
            return self._case(aim, full, "silent-near-target", f"{_name(aim)} is silent, and its packets get as far as "
                              f"hop {last}, {beyond}: a firewall of its own, or a server that is down, looks the "
                              "same.")  # fmt: skip
        place = self._place(own, last, first, _most(self._seen, first), len(full))
        if last <= depth:
            return self._case(aim, full, "silent-at-home", f"{dies}, which the home's own router may do itself: "
                              "nothing tells.")  # fmt: skip
        if not set(own.get(last, ())) & set(self._seen.get(last, ())):
            return self._case(aim, full, "another-way", f"{dies}, a router that packets to the addresses which answer "
                              "do not pass: it goes another way, which may be broken.")  # fmt: skip
        if sum(own[last].values()) < AGREE or first + MARGIN > self._limit(aim):
            return self._case(aim, full, "silent-near-target", f"{dies}, too near to where its own way begins: a "
                              "network that is down, or that drops packets itself, looks the same.")  # fmt: skip
        if (stranger := self._stranger(aim, place.first_hop)) is not None:
            return self._case(aim, full, "not-the-operator-s", f"{dies}. {stranger}")
        if not self._peers_pass(full) or (self._peers and not ways.vanishes(aim, self._peers, first)):
            return self._only_pings(aim, full)
        technique: Technique = "port_block" if self._twin else "ip_blackhole"
        return self._case(aim, full, "dies-where-others-pass", f"None of {len(full)} packets to {_name(aim)} was "
                          f"answered; they die {place.location().attribution}, where {self._others(first)} pass.",
                          technique, place)  # fmt: skip

    def _peers_pass(self, full: list[Sight]) -> bool:
        """Whether other addresses, where they are needed, answered that kind of probe, beyond what chance explains."""
        if self._peers is None:
            return True
        theirs = [bool(s.answer) for peer in self._peers for s in self._ways.full(peer)]
        return by_chance(sum(theirs), len(theirs), 0, len(full)) < RARE

    def _only_pings(self, aim: Aim, full: list[Sight]) -> Case:
        return self._case(aim, full, "only-pings-pass", f"{_name(aim)} is silent and so are its other ports, while it "
                          "answers pings; that others answer on TCP as often was not shown: a shared NAT that has run "
                          "out of ports looks the same.")  # fmt: skip

    def _answered_short(self, aim: Aim) -> Case | None:
        """Answers in the address's name to packets that can't have reached it."""
        end = self._end
        below = [s for s in self._ways.short(aim) if s.ttl < end]
        hits = [s for s in below if s.answer == "closed"]
        if len(hits) < AGREE:
            return None
        first = min(s.ttl for s in hits)
        tried = [s for s in below if s.ttl >= first]
        twins = [s for s in self._ways.short(self._references[0]) if first <= s.ttl < end]
        if by_chance(len(hits), len(tried), sum(bool(s.answer) for s in twins), len(twins)) >= RARE:
            return None
        own = self._ways.routers([aim])
        depth = may_be_home({ttl: seen.most_common(1)[0][0] for ttl, seen in self._seen.items()})
        crossed = [s.hops for s in hits if s.hops is not None]
        if first <= depth or first + MARGIN > end or not crossed_home(crossed, first - 1, depth):
            return None
        place = self._place(own, first - 1, first, _most(self._seen, first), len(hits))
        if (stranger := self._stranger(aim, place.first_hop)) is not None:
            return self._case(aim, hits, "not-the-operator-s", f"{_name(aim)} is reset before it is reached, "
                              f"{place.location().attribution}. {stranger}")  # fmt: skip
        return self._case(aim, hits, "reset-before-target", f"{plural(len(hits), 'attempt')} to open "
                          f"{_name(aim)} were reset although their TTL ends before it, "
                          f"{place.location().attribution}; another port of it is {end} hops away.",
                          "port_block", place)  # fmt: skip

    def _place(self, own: dict[int, Counter[str]], clean: int, first: int, who: str | None, n: int) -> Place:
        before = _most(own, clean) or _most(self._seen, clean)
        return Place(clean, first, before if clean else None, who, "in_path", n, n)

    def _others(self, first: int) -> str:
        """The references that were seen beyond the place."""
        passing = [r for r in self._references if any(s.ttl >= first and not s.dead for s in self._ways.short(r))]
        if self._twin:
            return f"packets to {passing[0].probe(0).text} of it" if passing else "others"
        return f"those to {', '.join(r.address for r in passing)}"

    def _case(
        self, aim: Aim, full: list[Sight], rule: str, reason: str, technique: Technique | None = None,
        place: Place | None = None, verdict: Verdict = "inconclusive",
    ) -> Case:  # fmt: skip
        claimed: Verdict = "interfered" if technique else verdict
        agreed = sum(bool(s.answer) == (claimed == "clean" or rule == "reset-before-target") for s in full)
        return Case(aim=aim, verdict=claimed, rule=rule, reason=reason, technique=technique, place=place,
                    trials=Tally(len(full), agreed), controls=self._controls)  # fmt: skip


def _most(seen: dict[int, Counter[str]], ttl: int) -> str | None:
    return seen[ttl].most_common(1)[0][0] if ttl in seen else None


def _name(aim: Aim) -> str:
    return f"{aim.address} {aim.probe(0).text}" if len(aim.probes) == 1 else aim.address


def _share(tally: Tally) -> str:
    return f"{tally.agreed} of {tally.made}"


def _shown(address: str) -> str:
    return hop(address).address or "a router inside the home"
