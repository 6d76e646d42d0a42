"""How a judgement is said: confidence from counts, a place only where one is known, details that JSON can hold."""

from __future__ import annotations

import msgspec

from probe.measurements._judge import confidence
from probe.measurements._locate import Shot
from probe.measurements._resolver.say import interfered, say
from probe.measurements._resolver.seen import Answer, Seen, Swept, Tried
from probe.model.finding import Tally, Target

TARGET = Target("press.example")


def seen() -> Seen:
    one = Seen("press.example", "198.18.30.53", "203.0.113.153", "203.0.113.200", "good.example")
    one.said["before", "resolver"] = [Answer(kind="addresses", rcode=0), None]
    one.said["harmless", "silent"] = [None, Answer(kind="nxdomain", rcode=3)]
    one.servers_before["203.0.113.10"] = Tried(right=True)
    one.askers["control"] = [{"198.18.30.0/24"}]
    one.sweeps["resolver"] = Swept(shots=[Shot(5, True)], twins=[(5, True)], routers={1: "0.0.0.1", 3: "198.18.30.3"})
    return one


def test_only_a_clean_verdict_has_confidence_of_its_trials() -> None:
    assert say(seen(), TARGET, "x", "why").confidence == 0.0
    clean = say(seen(), TARGET, "clean", "why", verdict="clean", agreed=3, made=3)
    assert clean.confidence == confidence((3, 3), (2, 4))
    assert (clean.controls.made, clean.controls.agreed) == (4, 2)


def test_silence_is_no_control_where_queries_are_redirected() -> None:
    swept = seen().sweeps["resolver"]
    lie = interfered(seen(), TARGET, "x", "dns_lie", Tally(3, 3), swept, "why")
    redirect = interfered(seen(), TARGET, "x", "dns_redirect", Tally(3, 3), swept, "why")
    assert (lie.controls.made, redirect.controls.made) == (4, 2)
    assert lie.interference is not None
    assert redirect.interference is not None
    assert (lie.interference.placement, redirect.interference.placement) == ("resolver", "in_path")


def test_no_place_where_nothing_answered_the_sweep() -> None:
    for technique in ("dns_lie", "dns_redirect"):
        found = interfered(seen(), TARGET, "x", technique, Tally(3, 3), Swept(), "why")
        assert found.interference is not None
        assert found.interference.location is None
        assert found.reasons == ["why"]


def test_details_are_json_and_name_no_router_of_the_home() -> None:
    details = msgspec.json.decode(msgspec.json.encode(say(seen(), TARGET, "x").details))
    assert details["sweeps"]["resolver"]["path"] == [{"ttl": 1, "address": ""}, {"ttl": 3, "address": "198.18.30.3"}]
    assert details["answers"]["before, resolver"][1] is None
    assert details["resolved_by"] == {"control": [["198.18.30.0/24"]]}
