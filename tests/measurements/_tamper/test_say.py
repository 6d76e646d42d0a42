"""What is ordinary is told and accuses nobody."""

from __future__ import annotations

import msgspec

from probe.measurements._tamper.say import details, ordinary
from probe.measurements._tamper.seen import Look, Path, Seen
from probe.model.reflector import Syn

USUAL = bytes.fromhex("020405b40402")
CLAMPED = bytes.fromhex("020405780402")


def seen(known: bytes, random: bytes) -> Seen:
    one = Seen("press.example", "good.example", "203.0.113.190")
    one.ports = {"http": (80, 20001)}
    one.looks["http", "trial", ("known", "target")] = [Look(options=USUAL, syn=Syn(ttl=50, options=known))]
    one.looks["http", "before", ("random", "harmless")] = [Look(), Look(options=USUAL, syn=Syn(ttl=50, options=random))]
    return one


def test_nothing_is_told_where_nothing_is_rewritten() -> None:
    one = seen(USUAL, USUAL)
    one.tos = {0: [0], 0xB8: [0xB8], 2: [None]}
    assert ordinary(one) == []


def test_clamping_on_all_ports_is_ordinary() -> None:
    assert ordinary(seen(CLAMPED, CLAMPED)) == [
        "Ordinary: the TCP options of a connection are changed on the way (mss changed)."
    ]


def test_other_options_on_one_port_tell_of_a_proxy() -> None:
    (told,) = ordinary(seen(bytes.fromhex("020405b4"), USUAL))
    assert "a proxy opens them anew" in told
    assert "sack removed" in told


def test_bleaching_is_ordinary() -> None:
    one = seen(USUAL, USUAL)
    one.tos = {0: [0], 0xB8: [0], 2: [2]}
    assert ordinary(one) == ["Ordinary: the TOS byte (DSCP, ECN) is rewritten on the way (0xb8 as 0x00)."]


def test_details_are_json_and_name_no_router_of_the_home() -> None:
    one = seen(CLAMPED, CLAMPED)
    one.paths["http"] = Path(routers={1: "0.0.0.1", 2: "198.51.0.2"})
    told = msgspec.json.decode(msgspec.json.encode(details(one)))
    assert told["tcp_options"] == {"known": ["mss changed"], "random": ["mss changed"]}
    assert told["sweeps"]["http"]["path"] == [{"ttl": 1, "address": ""}, {"ttl": 2, "address": "198.51.0.2"}]
