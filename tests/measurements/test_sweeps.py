"""Thousands of random networks: nobody innocent is accused, nobody guilty gets away, the right link is named.

The seeds are fixed, so that a run either always passes or never.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from probe.model.finding import Judgement
from tests.measurements.simboxes import DnsForger, Dropper, Pager, Proxy, Resetter, Ttl
from tests.measurements.simhosts import Resolver, Web
from tests.measurements.simnet import Box, Network
from tests.measurements.worlds import BANNED, KNOWN, RESOLVER, SERVER, SILENT, ask_dns, ask_tcp, hosts, link

ANY = ("",)
TTLS: tuple[Ttl, ...] = (64, 128, 255, "random", "mirror", "like")


def path(random: Random, loss: tuple[float, ...]) -> dict[str, Any]:
    """A random line: length, asymmetry, silent and limited routers, loss, jitter, doubled and late packets."""
    hops = random.randrange(6, 16)
    some = [hop for hop in range(1, hops) if random.random() < random.choice((0.0, 0.1, 0.4))]
    few = [hop for hop in range(1, hops) if random.random() < random.choice((0.0, 0.2))]
    return {
        "hops": hops, "back": random.choice((0, 0, 1, -1, 3, -3)), "home": random.choice((1, 1, 1, 2, 0)),
        "silent": frozenset(some), "limited": frozenset(few), "burst": random.choice((1, 3, 6)),
        "limit": random.choice((0.2, 1.0)), "short_quotes": random.random() < 0.3,
        "delay": random.choice((0.0001, 0.001, 0.006)), "jitter": random.choice((0.0, 0.0, 0.002, 0.03)),
        "loss": random.choice(loss), "lossy_link": random.choice((1, 2, hops - 1, hops)),
        "duplicate": random.choice((0.0, 0.0, 0.2)), "reorder": random.choice((0.0, 0.0, 0.1)),
        "nat": random.random() < 0.8,
    }  # fmt: skip


SHARES = (0.3, 0.6, 0.75, 0.9)
"""Of the triggers that somebody acts on who lets the others pass."""
PORTS: tuple[Any, ...] = (*("open",) * 12, "closed", "filtered", "unreachable")


def confounder(seed: int) -> Network:
    """A network without anybody on the way who minds the name, and with much that looks like it."""
    random = Random(seed)
    line = path(random, (0.0, 0.0, 0.01, 0.03, 0.08, 0.15))
    hops = line["hops"]
    line["uneven"] = random.choice((0, 0, 1, 2, 3))
    line["divides"] = random.randrange(max(1, line["home"]), hops - 1)  # not within the home
    own: dict[str, Any] = {"ttl": random.choice(TTLS), "copies": random.choice((1, 3))}
    own["in_path"] = random.random() < 0.5
    last = max(1, line["home"])
    at_home: dict[str, Any] = {"at": random.randint(1, last), "names": BANNED, "forwards": random.random() < 0.5}
    at_home["in_path"] = at_home["forwards"]
    own_share: dict[str, Any] = {"at": hops, "only": SERVER, "names": BANNED, "probability": random.choice(SHARES)}
    boxes: list[tuple[Box, ...]] = [
        (), (),
        (Resetter(at=hops, only=SERVER, names=random.choice((BANNED, ANY)), **own),),
        (Dropper(at=hops, only=SERVER, names=BANNED),),
        (Pager(at=hops, only=SERVER, names=BANNED, **own),),
        (DnsForger(at=hops, only=RESOLVER, names=BANNED, **own),),
        (Proxy(at=random.randrange(2, hops)),),
        (Dropper(**own_share),), (Resetter(**own_share, **own),), (Pager(**own_share, **own),),
        (DnsForger(**{**own_share, "only": RESOLVER}, **own),),
    ]  # fmt: skip
    if line["home"]:
        at_home["ttl"] = random.choice(TTLS)  # one of its own choice hides how near the box is
        boxes += [
            (Resetter(**at_home),), (Dropper(**at_home),), (Pager(**at_home),),
            (DnsForger(at=at_home["at"], names=random.choice((BANNED, ANY)), in_path=True, ttl=at_home["ttl"]),),
        ]  # fmt: skip
        at_home["probability"] = random.choice(SHARES)
        boxes += [
            *[(Dropper(**at_home),)] * 3, (Resetter(**at_home),), (Pager(**at_home),),
            (DnsForger(at=at_home["at"], names=random.choice((BANNED, ANY)), in_path=True,
                       probability=at_home["probability"]),),
        ]  # fmt: skip
    unknown: Any = random.choice(("serve", "reset", "close", "mute", "swallow", "page"))
    web = Web(
        names=KNOWN, unknown=unknown, ttl=random.choice((64, 128, 255)), delay=random.choice((0.0, 0.0, 0.5)),
        data_ttl=random.choice((0, 0, 255)), reset_ttl=random.choice((0, 0, 255, 64, "mirror")),
        pieces=random.choice((1, 3)), farewell=random.choice(("fin", "reset", "")), copies=random.choice((1, 2)),
        banned_after=random.choice((0, 0, 0, 5)),
        port=random.choice(PORTS),
    )  # fmt: skip
    resolver = Resolver(
        ttl=random.choice((64, 128, 255)), rotate=random.random() < 0.5, truncate=random.random() < 0.1,
        slow={name: random.choice((0.0, 0.05, 0.4)) for name in (*KNOWN, *BANNED)},
        missing=random.choice(((), BANNED)), ignores=random.choice(((), (), BANNED)),
        ttls=random.choice(((), (), (64, 128), (64, 62, 59))), rate=random.choice((0, 0, 0, 5)),
    )  # fmt: skip
    return Network(hosts=hosts(web, resolver, Web()), boxes=random.choice(boxes), **line)


def interference(seed: int, kind: str) -> tuple[Network, int]:
    """A network with somebody on the way who minds the name, and the hop whose link he sits on."""
    random = Random(seed)
    line = path(random, (0.0, 0.0, 0.01, 0.03))
    # What can be told: behind the home's routers (a drop: not on the very next link), and not at the server's own site.
    line["hops"] += 1
    at = random.randrange(line["home"] + (2 if kind == "drop" else 1), line["hops"] - 2)
    line["silent"] = frozenset(hop for hop in line["silent"] if hop > line["home"] + 1) - {line["home"] + 1}
    if kind == "drop":
        line["silent"] &= frozenset(range(at + 1))  # somebody behind must be able to tell
        line["limited"] = frozenset()
        residual, whole = random.choice(((0.0, False), (5.0, False), (3.0, True)))
        box: Box = Dropper(at=at, names=BANNED, residual=residual, size=3 if whole else 4)
    else:
        common: dict[str, Any] = {
            "at": at, "names": BANNED, "ttl": random.choice(TTLS), "copies": random.choice((1, 2, 3)),
            "in_path": random.random() < 0.4, "delay": random.choice((0.0, 0.0, 0.002)),
        }  # fmt: skip
        if at == line["home"] + 1 and common["ttl"] in ("random", "like"):
            common["ttl"] = 64  # right behind the home, only usual TTLs tell it from the home's own router
        if kind == "dns":
            box = DnsForger(nxdomain=random.random() < 0.3, **common)
        elif kind == "page":
            box = Pager(**common)
        else:
            both = random.random() < 0.3
            flags, step = random.choice((4, 20, 17)), random.choice((0, 1460))
            box = Resetter(flags=flags, step=step, to_server=both, **common)
    return Network(hosts=hosts(), boxes=(box,), **line), at


def share(kind: str, seed: int) -> tuple[Network, int]:
    """As `interference`, but the box acts on a share of the triggers only."""
    network, at = interference(seed, kind)
    (box,) = network.boxes
    acts = dataclasses.replace(box, probability=Random(seed).choice(SHARES))  # type: ignore[type-var]
    return dataclasses.replace(network, boxes=(acts,)), at


TECHNIQUE = {"dns": "dns_injection", "reset": "tcp_reset", "drop": "trigger_drop", "page": "block_page"}


def accused(kind: str, seeds: range) -> list[str]:
    """Networks of confounders in which somebody was accused."""
    found = []
    for seed in seeds:
        silent = "" if seed % 3 == 0 else SILENT
        locate = bool(seed % 2)
        network = confounder(seed)
        judgement = (
            ask_dns(network, seed, locate=locate, silent=silent) if kind == "dns"
            else ask_tcp(network, seed, locate=locate, target=("http", "https")[seed % 2] + "://banned.example/")
        )  # fmt: skip
        if judgement.verdict == "interfered":
            found.append(f"seed {seed}: {judgement.rule} {link(judgement)} in {network}")
    return found


def hunt(kind: str, seeds: Sequence[int]) -> tuple[Counter[str], list[str]]:
    """How often interference was found and its link right, and what went wrong."""
    score: Counter[str] = Counter()
    wrong = []
    for seed in seeds:
        network, at = interference(seed, kind)
        judgement = (
            ask_dns(network, seed, silent="" if seed % 3 == 0 else SILENT) if kind == "dns"
            else ask_tcp(network, seed)
        )  # fmt: skip
        score["made"] += 1
        if judgement.interference is None or judgement.interference.technique != TECHNIQUE[kind]:
            wrong.append(f"seed {seed}: at {at}, {judgement.verdict} {judgement.rule} in {network}")
            continue
        score["found"] += 1
        where = link(judgement)
        if where is not None:
            score["located"] += 1
            score["right"] += where[0] < at <= where[1]
            if not where[0] < at <= where[1]:
                wrong.append(f"seed {seed}: at {at}, not on {where} in {network}")
    return score, wrong


@pytest.mark.parametrize("first", range(0, 200, 100))
@pytest.mark.parametrize("kind", ["dns", "tcp"])
def test_nobody_innocent_is_accused(kind: str, first: int) -> None:
    assert accused(kind, range(first, first + 100)) == []


@pytest.mark.parametrize("kind", TECHNIQUE)
def test_interference_is_found_and_its_link_is_right(kind: str) -> None:
    score, wrong = hunt(kind, range(50))
    assert score["found"] >= 0.97 * score["made"], "\n".join(wrong)
    assert score["located"] >= 0.9 * score["found"], "\n".join(wrong)
    assert score["right"] >= 0.99 * score["located"], "\n".join(wrong)


@pytest.mark.parametrize("count", [35, pytest.param(100, marks=pytest.mark.long)])
@pytest.mark.parametrize("kind", TECHNIQUE)
def test_who_acts_on_a_share_is_found_at_his_place_or_nothing_is_claimed(kind: str, count: int) -> None:
    claims = []
    for seed in range(count):
        network, at = share(kind, seed)
        judgement = ask_dns(network, seed) if kind == "dns" else ask_tcp(network, seed)
        where = link(judgement)
        if judgement.interference is not None:
            right = judgement.interference.technique in {TECHNIQUE[kind], "tcp_reset"} - {kind} and (
                where is None or where[0] < at <= where[1]
            )
            claims.append((right, f"seed {seed}: at {at}, {judgement.rule} {where} in {network}"))
    wrong = [text for right, text in claims if not right]
    assert len(wrong) <= 0.03 * len(claims), "\n".join(wrong)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("first", range(0, 2000, 500))
@pytest.mark.parametrize("kind", ["dns", "tcp"])
def test_nobody_innocent_is_accused_in_two_thousand_networks(kind: str, first: int) -> None:
    assert accused(kind, range(first, first + 500)) == []


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ["dns", "tcp"])
def test_nobody_innocent_is_accused_in_ten_thousand_more(kind: str) -> None:
    assert accused(kind, range(10_000, 20_000)) == []


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", TECHNIQUE)
def test_interference_is_found_in_thousands_of_networks(kind: str) -> None:
    score, wrong = hunt(kind, [*range(250), *range(10_000, 12_000)])
    assert score["found"] >= 0.97 * score["made"], "\n".join(wrong)
    assert score["right"] >= 0.99 * score["located"], "\n".join(wrong)


def verdicts(kind: str, count: int) -> Counter[str]:
    """Verdicts on honest lines with light faults only."""

    def one(seed: int) -> Judgement:
        network = Network(hosts=hosts(), **{**path(Random(seed), (0.0, 0.01)), "home": 1})
        return ask_dns(network, seed) if kind == "dns" else ask_tcp(network, seed)

    return Counter(one(seed).verdict for seed in range(count))


@pytest.mark.parametrize("count", [50, pytest.param(150, marks=pytest.mark.long)])
@pytest.mark.parametrize("kind", ["dns", "tcp"])
def test_honest_lines_are_mostly_called_clean(kind: str, count: int) -> None:
    found = verdicts(kind, count)
    assert found["interfered"] == 0
    assert found["clean"] >= 0.9 * count, found
