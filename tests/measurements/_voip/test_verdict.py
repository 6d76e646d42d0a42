"""The rules of calls, at their edges: what lacks for an accusation, one thing at a time."""

from __future__ import annotations

import msgspec
import pytest

from probe.measurements._locate import Place
from probe.measurements._voip.alg import Gateway
from probe.measurements._voip.grid import Grid, Protocol, Why
from probe.measurements._voip.media import FULL, Plan, Stream
from probe.measurements._voip.place import Located
from probe.measurements._voip.seen import Finding, Seen
from probe.measurements._voip.verdict import judge, technique
from probe.model.exchange import StreamStep
from tests.measurements._voip.test_seen import said

PLACE = Place(3, 4, "198.51.100.3", "198.51.100.4", "in_path", 10, 10)
GUILTY = Located(place=PLACE, home=False, ahead=True, proven=True, agreed=10, tried=10, arrives=9, shown_at=3)
WHY = Why("payload", 5e-6, (10, 10), (0, 10), 1.0)


def seen(located: Located | None = GUILTY, why: Why = WHY, grid: str = "sip") -> Seen:
    one = Seen("whatsapp", "203.0.113.190", "voip")
    one.take([said("sip", False, twin=False) for _ in range(10)] + [said("sip", True) for _ in range(10)])
    one.after = [said("stun", True) for _ in range(5)]
    one.findings = [Finding(grid=grid, why=why, located=located)]
    return one


def test_all_four_things_make_an_accusation() -> None:
    judgement = judge(seen())
    assert (judgement.verdict, judgement.rule) == ("interfered", "voip/payload-filtered")
    assert judgement.interference is not None
    assert (judgement.interference.technique, judgement.interference.placement) == ("voip_signalling", "in_path")
    assert judgement.controls.made == 15
    assert 0.8 < judgement.confidence < 1


@pytest.mark.parametrize(
    "lacking",
    [{"place": None}, {"home": True}, {"ahead": False}, {"proven": False}],
)
def test_one_thing_less_and_nobody_is_accused(lacking: dict[str, object]) -> None:
    judgement = judge(seen(msgspec.structs.replace(GUILTY, **lacking)))
    assert (judgement.verdict, judgement.rule) == ("inconclusive", "voip/filtered-somewhere")
    assert judgement.confidence == 0


def test_without_twins_before_or_after_nobody_is_accused() -> None:
    one = seen()
    one.after = [said("stun", False)]
    assert judge(one).rule == "voip/control-failed"
    one.after = []
    assert judge(one).rule == "voip/control-failed"
    assert judge(Seen("t", "r", "")).rule == "voip/no-reflector"


def test_a_finding_that_was_not_looked_for_accuses_nobody() -> None:
    assert judge(seen(None)).verdict == "inconclusive"


def test_it_is_never_surer_than_the_exact_test() -> None:
    unsure = judge(seen(why=msgspec.structs.replace(WHY, p=0.01)))
    assert unsure.confidence == pytest.approx(0.72)


@pytest.mark.parametrize(
    ("grid", "name"),
    [("sip", "voip_signalling"), ("sip_tls", "voip_signalling"), ("turn", "voip_stun"), ("rtp", "voip_media"),
     ("rtp_long", "voip_media")],
)  # fmt: skip
def test_techniques(grid: Protocol, name: str) -> None:
    assert technique(Finding(grid=grid, why=WHY)) == name
    assert technique(Finding(grid=grid, why=msgspec.structs.replace(WHY, cause="port"))) == "port_block"


def test_set_up_goes_before_sound_and_payloads_before_ports() -> None:
    one = seen(grid="rtp")
    port = Finding(grid="stun", why=msgspec.structs.replace(WHY, cause="port"), located=GUILTY)
    one.findings += [port, Finding(grid="sip_tcp", why=WHY, located=GUILTY)]
    judgement = judge(one)
    assert judgement.interference is not None
    assert judgement.interference.technique == "voip_signalling"
    assert len(judgement.reasons) == 4
    assert [found["proven"] for found in judgement.details["findings"]] == [True] * 3


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({}, "sip-rewritten"),
        ({"home": True}, "sip-rewritten-at-home"),
        ({"ahead": False}, "sip-rewritten-somewhere"),
        ({"same": 2}, "sip-rewritten-somewhere"),
        ({"place": None}, "sip-rewritten-somewhere"),
    ],
)
def test_gateways(change: dict[str, object], rule: str) -> None:
    one = seen()
    one.findings = []
    gateway = Gateway(lines=("Via",), place=PLACE, home=False, ahead=True, same=6, changed=9)
    one.gateway = msgspec.structs.replace(gateway, **change)
    judgement = judge(one)
    assert judgement.rule == f"voip/{rule}"
    assert (judgement.verdict == "interfered") is (rule == "sip-rewritten")
    assert judgement.details["rewritten"] == ["Via"]


def test_a_dead_protocol_is_not_clean() -> None:
    one = Seen("t", "r", "")
    one.take([said("sip", False), said("sip", False, twin=False), said("stun", True), said("stun", True, twin=False)])
    one.after = [said("stun", True)]
    assert judge(one).rule == "voip/one-protocol-silent"


def test_too_little_is_said_to_be_too_little() -> None:
    one = Seen("t", "r", "")
    one.take([said("sip", i > 3, twin=False) for i in range(10)] + [said("sip", True) for _ in range(10)])
    one.after = [said("stun", True)]
    judgement = judge(one)
    assert judgement.rule == "voip/fails-now-and-then"
    assert "4 of 10" in judgement.reasons[0]


def test_udp_is_called_blocked_only_by_a_sweep() -> None:
    one = Seen("t", "r", "")
    one.take([said("stun", False) for _ in range(20)] + [said("sip_tcp", True) for _ in range(5)])
    one.after = [said("sip_tcp", True) for _ in range(5)]
    assert judge(one).rule == "voip/udp-silent"
    one.udp = GUILTY
    judgement = judge(one)
    assert (judgement.rule, judgement.verdict) == ("voip/udp-blocked", "interfered")
    one.udp = msgspec.structs.replace(GUILTY, home=True)
    assert judge(one).verdict == "inconclusive"


def streams(*cut: bool, twin: bool) -> list[Stream]:
    """Streams that last, some of them cut after a second and a half."""
    step = StreamStep(address="203.0.113.190", port=20_001, payload=b"\x80", count=100)
    return [
        Stream(plan=Plan(20_001, False, twin, i, FULL, 10.0), step=step, ssrc=i,
               back=tuple(n < 75 or not was_cut for n in range(500)))
        for i, was_cut in enumerate(cut)
    ]  # fmt: skip


def honest() -> Seen:
    one = seen()
    one.findings = []
    one.said.clear()
    one.grids["sip"] = Grid("sip")
    one.take([said("sip", True, twin=twin) for twin in (True, False) for _ in range(5)])
    return one


def test_a_real_call_that_is_cut_is_never_passed_over() -> None:
    one = honest()
    one.play(streams(True, False, twin=False) + streams(False, False, twin=True))
    assert (one.real_cut(1.5), one.real_cut(2.0)) == (True, False)
    judgement = judge(one)
    assert (judgement.verdict, judgement.rule) == ("inconclusive", "voip/fails-now-and-then")
    assert "1 of 2 real calls failed" in judgement.reasons[0]
    alike = honest()
    alike.play(streams(True, False, twin=False) + streams(True, False, twin=True))
    assert judge(alike).verdict == "clean"


def test_what_was_left_open_is_said() -> None:
    one = honest()
    one.left_open = ["sip"]
    judgement = judge(one)
    assert (judgement.verdict, judgement.rule) == ("clean", "voip/clean")
    assert any("no time" in reason for reason in judgement.reasons)
    one.take([said("sip", False, twin=False)])
    judgement = judge(one)
    assert (judgement.verdict, judgement.rule) == ("inconclusive", "voip/left-open")
    assert "1 of 6" in judgement.reasons[0]
    one.left_open = []
    assert judge(one).verdict == "clean"


def test_what_could_not_be_asked_is_said() -> None:
    one = honest()
    assert not any("nothing is said" in reason for reason in judge(one).reasons)
    one.unserved = ["rtp", "turn"]
    assert any("sound (RTP), relaying (TURN): nothing is said" in reason for reason in judge(one).reasons)
