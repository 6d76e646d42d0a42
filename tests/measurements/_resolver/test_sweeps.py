"""Random networks: no innocent one is accused by `dns_resolver` or `tampering`, and hardly a guilty one gets away.

The seeds are fixed, so that a run either always passes or never.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import msgspec
import pytest

from probe.model.finding import Judgement
from tests.measurements.certificates import made
from tests.measurements.simboxes import DnsForger
from tests.measurements.simfar import FAR, HOME, Far
from tests.measurements.simhosts import SESSION, Web
from tests.measurements.simmeddlers import MITM, Gateway, Inline, proxied
from tests.measurements.simnet import Host, Network, measure
from tests.measurements.simresolvers import BANNED_AT, GOOD, OWN_EDGE, PAGE_AT, ZONE, Diverted, Knows
from tests.measurements.test_sweeps import path
from tests.measurements.test_tampering import OURS, PAGE
from tests.measurements.worlds import link

OWN, PUBLIC, SILENT, NAME = "198.18.30.53", "203.0.113.153", "203.0.113.200", "banned.example"
FOREIGN = msgspec.structs.replace(SESSION, distrust="somebody else", chain=(made("Page", "page.example"),))
LATE = msgspec.structs.replace(SESSION, distrust="expired", chain=(made("Somebody", NAME),))
UNSET = msgspec.structs.replace(LATE, synchronised=False)
LOSSES = (0.0, 0.0, 0.01, 0.03, 0.08, 0.15)


def line_of(random: Random, losses: tuple[float, ...]) -> dict[str, Any]:
    line = path(random, losses)
    line["hops"] += 1
    line["uneven"] = random.choice((0, 0, 0, 1, 2, 3))
    line["divides"] = random.randrange(line["home"] + 1, line["hops"] - 1)  # the home's last router has one way out
    if line["home"]:
        line["silent"] -= {1, 2}  # nothing tells a silent second home router from the operator's first
    return line


def resolvers(random: Random, own: Knows, near: int, servers: dict[str, Host]) -> dict[str, Host]:
    found: dict[str, Host] = {
        OWN: replace(own, hops=near), PUBLIC: Knows(asks_as=PUBLIC, soa=own.soa, ttl=random.choice((64, 255))),
        GOOD: Web(), BANNED_AT: Web(), OWN_EDGE: Web(), PAGE_AT: Web(tls=FOREIGN),
    }  # fmt: skip
    if random.random() < 0.7:
        found[FAR[4]] = Far()
    return found | servers


def ask(network: Network, seed: int) -> Judgement:
    return measure(
        "dns_resolver", network, seed, target=NAME, resolver=OWN, control_resolver=PUBLIC, control_name="good.example",
        silent=SILENT, reflector=FAR[4],
    )  # fmt: skip


def innocent(seed: int) -> Network:
    """A line without anybody who lies or redirects, and with much that looks like it."""
    random = Random(seed)
    line = line_of(random, LOSSES)
    common: dict[str, Any] = {
        "asks_as": random.choice((OWN, "198.18.31.7", "45.90.28.7", PUBLIC, HOME[4])), "closes": random.random() < 0.5,
        "ttl": random.choice((64, 128, 255)), "slow": random.choice((0.0, 0.0, 0.3, 1.0)),
    }  # fmt: skip
    edge = random.choice((OWN_EDGE, BANNED_AT, PAGE_AT, "198.51.100.77", "10.1.2.3"))
    own = random.choice((
        Knows(**common), Knows(zone=ZONE | {NAME: (edge,)}, **common), Knows(lies={NAME: "servfail"}, **common),
        Knows(lies={NAME: ""}, **common), Knows(strangers=True, **common), Knows(rewrite=PAGE_AT, **common),
        Knows(rewrite=PAGE_AT, lies={NAME: PAGE_AT}, **common), Knows(lies={NAME: OWN_EDGE}, **common),
        Knows(soa=True, lies={NAME: "nxdomain"}, deep=False, **common),
        Knows(soa=True, server="old", lies={NAME: random.choice((PAGE_AT, "nxdomain"))}, **common),
        Knows(dead_after=random.randrange(5, 60), **common),
    ))  # fmt: skip
    elsewhere = Knows(lies={NAME: random.choice(("nxdomain", "0.0.0.0", PAGE_AT))}, asks_as="45.90.28.7")
    near = random.randrange(max(4, line["home"] + 2), line["hops"] + 1)
    away = random.randrange(1, line["hops"] + 1)
    boxes: list[tuple[Any, ...]] = [(), ()]
    if line["home"]:
        at = random.randint(1, line["home"])
        boxes += [
            (DnsForger(at=at, names=random.choice(((NAME,), ("",))), in_path=True, nxdomain=True),),
            (Diverted(at=at, to=max(at, away), resolver=elsewhere),),
            (Diverted(at=at, to=max(at, away), only=PUBLIC, resolver=elsewhere),),
            (Diverted(at=at, to=at, resolver=Knows(asks_as=OWN)),),
            (Diverted(at=at, to=max(at, near), only=random.choice(("", "", PUBLIC)), resolver=Knows(asks_as=OWN)),),
        ]  # fmt: skip
    boxes.append((DnsForger(at=random.randrange(1, line["hops"]), names=(NAME,), in_path=random.random() < 0.5),))
    session = random.choice((SESSION, SESSION, LATE, UNSET))
    servers: dict[str, Host] = {BANNED_AT: Web(tls=session, port=random.choice(("open", "open", "closed", "filtered")))}
    if random.random() < 0.3:
        servers[PAGE_AT] = Web(tls=random.choice((LATE, UNSET)))
    return Network(hosts=resolvers(random, own, near, servers), boxes=random.choice(boxes), **line)


def liar(seed: int) -> tuple[Network, str, int]:
    """A line whose resolver lies, or whose queries are sent to it; the technique, and the hop that it is at."""
    random = Random(seed)
    line = line_of(random, (0.0, 0.0, 0.01, 0.03)) | {"uneven": 0}
    near = random.randrange(max(5, line["home"] + 3), line["hops"])
    own = Knows(asks_as=OWN, slow=random.choice((0.0, 0.0, 0.2)), ttl=random.choice((64, 255)))
    servers: dict[str, Host] = {FAR[4]: Far()}
    if random.random() < 0.4:
        only = random.choice(("", PUBLIC))
        near -= bool(only) and near == line["hops"] - 1
        # Those for one address alone are told from a home's doing only where they went farther than the resolver is.
        at = near + 1 if only else random.randrange(line["home"] + 3, near + 1)
        line["silent"] = frozenset()
        line["limited"] = frozenset()
        box = Diverted(at=at, to=max(at, near), only=only, resolver=own)
        return Network(hosts=resolvers(random, own, near, servers), boxes=(box,), **line), "dns_redirect", at
    lie = random.choice(("nxdomain", "refused", "empty", "0.0.0.0", "127.0.0.1", "10.1.1.1", PAGE_AT, "198.51.100.77"))
    own = replace(own, lies={NAME: lie})
    return Network(hosts=resolvers(random, own, near, servers), **line), "dns_lie", near


def look(network: Network, seed: int) -> Judgement:
    return measure("tampering", network, seed, target=NAME, reflector=FAR[4], control_name="good.example")


def gateway(random: Random, at: int, *, inline: bool = True) -> Any:
    names = random.choice(((NAME,), ("",)))
    ttl = random.choice((64, 128, 255))
    kinds = [
        Gateway(at=at, request=proxied, names=names, ttl=ttl), Gateway(at=at, page=PAGE, names=names, ttl=ttl),
        Gateway(at=at, ports=(443,), shows=MITM, names=names, ttl=ttl),
        Gateway(at=at, ports=(443,), shows=MITM, names=names, opens=False, ttl=ttl),
        Gateway(at=at, page=PAGE, names=names, opens=False, ttl=ttl),
    ]  # fmt: skip
    return random.choice([*kinds, Inline(at=at, names=names)] if inline else kinds)


def quiet(seed: int) -> Network:
    """A line on which whoever changes anything is at home or at the far end, or changes what is ordinary."""
    random = Random(seed)
    line = line_of(random, LOSSES)
    boxes: list[tuple[Any, ...]] = [
        (), (), (gateway(random, line["hops"]),), (gateway(random, line["hops"] - 1),),
        (Gateway(at=random.randrange(1, line["hops"])),),
        (Gateway(at=random.randrange(1, line["hops"]), request=proxied, ports=(80, 20_001)),),
    ]  # fmt: skip
    if line["home"]:
        at = random.randint(1, line["home"])
        boxes += [(gateway(random, at, inline=False),)] * 3 + [(Inline(at=line["home"] + 1),)]
    far = Far(settings=random.choice((OURS, OURS, OURS, msgspec.structs.replace(OURS, certificate="11" * 32))))
    return Network(hosts={FAR[4]: far}, boxes=random.choice(boxes), **line)


def meddler(seed: int) -> tuple[Network, int]:
    """A line on which somebody beyond the home changes things."""
    random = Random(seed)
    line = line_of(random, (0.0, 0.0, 0.01, 0.03)) | {"uneven": 0}
    at = random.randrange(line["home"] + 2, line["hops"] - 2)
    box = gateway(random, at)
    if isinstance(box, Inline):  # only routers tell where it is
        line |= {"silent": frozenset(), "limited": frozenset(), "short_quotes": False, "reorder": 0.0}
    return Network(hosts={FAR[4]: Far(settings=OURS)}, boxes=(box,), **line), at


def accused(kind: str, seeds: Sequence[int]) -> list[str]:
    found = []
    for seed in seeds:
        network = innocent(seed) if kind == "dns" else quiet(seed)
        judgement = ask(network, seed) if kind == "dns" else look(network, seed)
        if judgement.verdict == "interfered":
            found.append(f"seed {seed}: {judgement.rule} {link(judgement)} in {network}")
    return found


def hunt(kind: str, seeds: Sequence[int]) -> tuple[Counter[str], list[str]]:
    score: Counter[str] = Counter()
    wrong = []
    for seed in seeds:
        score["made"] += 1
        if kind == "dns":
            network, technique, at = liar(seed)
            judgement = ask(network, seed)
        else:
            network, at = meddler(seed)
            technique, judgement = "", look(network, seed)
        named = judgement.interference.technique if judgement.interference else ""
        if not named or technique not in ("", named):
            wrong.append(f"seed {seed}: at {at}, {technique}: {judgement.rule} {judgement.reasons} in {network}")
            continue
        score["found"] += 1
        where = link(judgement)
        if where is not None and where[0] < at <= where[1]:
            score["right"] += 1
        else:
            wrong.append(f"seed {seed}: at {at}, not on {where} in {network}")
    return score, wrong


@pytest.mark.parametrize(("kind", "count"), [("dns", 80), ("tampering", 40)])
def test_nobody_innocent_is_accused(kind: str, count: int) -> None:
    assert accused(kind, range(count)) == []


@pytest.mark.parametrize(("kind", "count"), [("dns", 40), ("tampering", 25)])
def test_interference_is_found_and_its_place_is_right(kind: str, count: int) -> None:
    score, wrong = hunt(kind, range(count))
    assert score["found"] >= 0.95 * score["made"], "\n".join(wrong)
    assert score["right"] >= 0.98 * score["found"], "\n".join(wrong)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ["dns", "tampering"])
def test_nobody_innocent_is_accused_in_thousands_of_networks(kind: str) -> None:
    assert accused(kind, [*range(250), *range(10_000, 14_000)]) == []


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ["dns", "tampering"])
def test_interference_is_found_in_a_thousand_networks(kind: str) -> None:
    score, wrong = hunt(kind, [*range(80), *range(10_000, 11_000)])
    assert score["found"] >= 0.95 * score["made"], "\n".join(wrong)
    assert score["right"] >= 0.98 * score["found"], "\n".join(wrong)
