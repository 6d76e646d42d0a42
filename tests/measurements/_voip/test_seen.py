"""What was seen, counted."""

from __future__ import annotations

from probe.measurements._voip.call import Call, Said
from probe.measurements._voip.grid import Protocol
from probe.measurements._voip.media import Plan, Stream
from probe.measurements._voip.seen import GRIDS, QUESTIONS, Seen, protocol_of
from probe.measurements._voip.service import Asked, endpoint
from probe.model.exchange import StreamStep


def said(protocol: Protocol, answered: bool, *, known: bool = False, twin: bool = True, trip: float = 0.02,
         ttl: int = 55) -> Said:  # fmt: skip
    call = Call(protocol, 20_001, known, twin, 1)
    return Said(call=call, answered=answered, payload=b"x", method="M", round_trip=trip if answered else None,
                ttl=ttl if answered else None)  # fmt: skip


def test_controls_are_twins_to_random_ports() -> None:
    seen = Seen("t", "r", "")
    seen.take(
        [said("stun", True), said("stun", False, twin=False), said("sip_tcp", True), said("stun", True, known=True)]
    )
    seen.after = [said("sip_tcp", False)]
    assert seen.controls() == ((2, 2), (0, 1))
    assert seen.controls(over_tcp=True) == ((1, 1), (0, 1))
    assert seen.controls(over_tcp=False) == ((1, 1), (0, 0))


def test_udp_is_dead_only_where_connections_live() -> None:
    seen = Seen("t", "r", "")
    assert not seen.udp_dead()
    seen.take([said("stun", False), said("sip", False, twin=False)])
    assert not seen.udp_dead()
    seen.take([said("sip_tcp", True)])
    assert seen.udp_dead()
    assert seen.datagrams() == 2
    seen.take([said("turn", True)])
    assert not seen.udp_dead()


def test_the_line_s_own_measure() -> None:
    seen = Seen("t", "r", "")
    assert (seen.reply_ttl(), seen.round_trip()) == (None, 0.5)
    seen.take([said("stun", True, trip=0.3, ttl=50), said("stun", True, trip=0.01, ttl=52)])
    assert (seen.reply_ttl(), seen.round_trip()) == (52, 0.3)
    assert 0.89 < seen.patience() < 0.91
    seen.take([said("sip_tcp", True, trip=1.1)])  # its SYN was lost
    assert seen.round_trip() == 0.3


def test_an_endpoint_that_answered_once_works() -> None:
    seen = Seen("t", "r", "")
    one, other = endpoint("stun:198.51.100.7"), endpoint("stun:198.51.100.8")
    seen.asked = [Asked(one, "calls", 5, 0), Asked(other, "calls", 5, 0), Asked(one, "calls", 5, 1, True)]
    assert seen.working("calls") == {str(one): True, str(other): False}
    assert seen.working("chat") == {}


def test_a_stream_that_lasts_has_begun_too() -> None:
    def stream(back: tuple[bool, ...], *, twin: bool) -> Stream:
        plan = Plan(5004, True, twin, 1, interval=0.5, seconds=5.0)
        made = StreamStep(address="203.0.113.9", port=5004, payload=b"x" * 20, count=10, interval=0.5)
        return Stream(plan=plan, step=made, ssrc=1, back=back)

    seen = Seen("t", "r", "")
    seen.play([stream((True,) * 6 + (False,) * 4, twin=False), stream((False,) * 10, twin=False),
               stream((True,) * 10, twin=True)])  # fmt: skip
    assert seen.grids["rtp_long"].failed(twin=False) == (2, 2)  # one was cut after three seconds
    assert seen.grids["rtp"].scores(twin=False) == [0.0, 1.0]  # and had begun as it should
    assert (seen.grids["rtp"].failed(twin=False), seen.grids["rtp"].failed(twin=True)) == ((1, 2), (0, 1))
    assert seen.datagrams() == 3


def test_grids_and_questions() -> None:
    assert [protocol_of(name) for name in GRIDS[-2:]] == ["rtp", "rtp"]
    assert protocol_of("sip_tcp") == "sip_tcp"
    assert QUESTIONS == 28
