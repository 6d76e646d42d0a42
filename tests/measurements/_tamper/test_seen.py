"""Reading how requests and certificates came through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.measurements._certificate import fingerprint
from probe.measurements._tamper.seen import Look, Seen, certificate, changed, option_changes, option_names, page
from probe.model.exchange import Exchange, Heard, Session, TcpStep, TlsStep
from probe.model.packet import Packet, Tcp
from probe.model.reflector import Received, Syn
from probe.wire import reflector
from tests.measurements.certificates import made

SENT = b"GET /a HTTP/1.1\r\nHost: press.example\r\nx-TRACE: 1\r\naCCept: */*\r\nConnection: close\r\n\r\n"
USUAL = frozenset({"server", "content-length"})


@pytest.mark.parametrize(
    ("arrived", "said"),
    [
        (SENT, ()),
        (SENT.replace(b"aCCept", b"Accept"), ("the letter case of 'aCCept'",)),
        (SENT.replace(b"\r\n\r\n", b"\r\nVia: 1.1 x\r\n\r\n"), ("got 'Via'",)),
        (SENT.replace(b"x-TRACE: 1\r\n", b""), ("lost 'x-TRACE'",)),
        (SENT.replace(b"press", b"prose"), ("the value of 'Host'",)),
        (SENT.replace(b": close", b": keep-alive"), ()),
        (SENT.replace(b"Connection: close\r\n", b""), ()),
        (SENT + b"body", ("blanks or line ends",)),
        (SENT.replace(b"x-TRACE: 1\r\naCCept: */*", b"aCCept: */*\r\nx-TRACE: 1"), ("the order of headers",)),
        (SENT.replace(b"/a", b"http://press.example/a"), ("the request line",)),
        (SENT.replace(b": 1", b":1"), ("blanks or line ends",)),
        (b"", ("the whole request",)),
    ],
)
def test_what_was_changed_in_a_request(arrived: bytes, said: tuple[str, ...]) -> None:
    assert changed(SENT, Received(data=arrived)) == said


def test_an_address_that_was_put_in_is_a_change_although_the_copy_hides_it() -> None:
    assert changed(SENT, Received(data=SENT, masked=1)) == ("blanks or line ends",)


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_any_two_requests_can_be_compared(sent: bytes, arrived: bytes) -> None:
    said = changed(sent, Received(data=arrived))
    # What is for the next machine alone does not count, so it may be all that differs.
    for_the_next = any(name in (sent + arrived).lower() for name in (b"connection", b"keep-alive"))
    assert bool(said) is (sent != arrived) or for_the_next


def exchange(answer: bytes, fin: bool = True) -> Exchange:
    """A connection that was asked SENT and answered that."""
    step = TcpStep(address="203.0.113.190", port=80, payload=SENT)

    def heard(at: float, outgoing: bool, flags: int, sequence: int, ahead: int, payload: bytes = b"") -> Heard:
        ends = ("0.0.0.0", "203.0.113.190") if outgoing else ("203.0.113.190", "0.0.0.0")
        ports = (4000, 80) if outgoing else (80, 4000)
        options = bytes.fromhex("020405b4") if flags == 2 else b""
        header = Tcp(*ports, sequence, ahead, flags, 65535, options=options)
        return Heard(at, outgoing, Packet(4, *ends, 60, 6, 60, header=header, payload=payload))

    packets = [
        heard(0.00, True, 2, 99, 0), heard(0.01, False, 18, 499, 100), heard(0.02, True, 24, 100, 500, SENT),
        heard(0.03, False, 24, 500, 100 + len(SENT), answer),
    ]  # fmt: skip
    if fin:
        packets.append(heard(0.04, False, 17, 500 + len(answer), 100 + len(SENT)))
    return Exchange(step=step, heard=tuple(packets), sent_at=0.02)


def answer(request: bytes, extra: bytes = b"") -> bytes:
    body = reflector.page(Received(data=request, syn=Syn(ttl=55, options=bytes.fromhex("020405b4"))))
    return b"HTTP/1.1 200 OK\r\nServer: x\r\n%sContent-Length: %d\r\n\r\n" % (extra, len(body)) + body


def test_a_request_that_came_through_whole() -> None:
    look = page(exchange(answer(SENT)), USUAL)
    assert (look.touched, look.own, look.changes) == (False, True, ())
    assert look.syn is not None
    assert look.syn.ttl == 55
    assert option_changes(look) == ()


def test_an_answer_that_got_and_lost_headers() -> None:
    look = page(exchange(answer(SENT, b"Via: x\r\n")), USUAL | {"date"})
    assert look.changes == ("the answer got 'via'", "the answer lost 'date'")


def test_a_page_of_somebody_else_and_what_tells_nothing() -> None:
    other = page(exchange(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"), USUAL)
    assert (other.touched, other.own) == (True, False)
    assert page(exchange(answer(SENT)[:-40], fin=False), USUAL).touched is None
    assert page(exchange(b"\0\1"), USUAL).touched is None
    assert page(exchange(b""), USUAL).touched is None


@given(st.binary(max_size=120))
def test_no_answer_is_a_crash(data: bytes) -> None:
    assert page(exchange(data), USUAL).touched in (True, None)


def test_certificates_by_fingerprint() -> None:
    def shown(chain: tuple[bytes, ...], alert: str = "") -> Exchange:
        return Exchange(step=TlsStep(address="203.0.113.190", port=443), session=Session(chain=chain, alert=alert))

    own, other = made("Far", "reflector.example"), made("Gateway", "press.example")
    assert certificate(shown((own,)), fingerprint(own)).touched is False
    look = certificate(shown((other,)), fingerprint(own))
    assert (look.touched, look.own, look.issuer) == (True, False, "CN=Gateway")
    none = certificate(shown((), "handshake failure"), fingerprint(own))
    assert (none.touched, none.failure) == (None, "handshake failure")
    failed = Exchange(step=TlsStep(address="203.0.113.190", port=443), failure="timeout")
    assert certificate(failed, fingerprint(own)).failure == "timeout"


def test_options_of_a_syn() -> None:
    usual = bytes.fromhex("020405b40402080a0000000100000000010303 07".replace(" ", ""))
    assert option_names(usual) == {
        "mss": "05b4", "sack": "", "timestamps": "0000000100000000", "window scale": "07"
    }  # fmt: skip
    clamped = bytes.fromhex("020405780101080a0000000900000000010303071e02")
    look = Look(options=usual, syn=Syn(ttl=50, options=clamped))
    assert option_changes(look) == ("sack removed", "mss changed", "mptcp added")
    assert option_changes(Look(options=usual)) == ()


@given(st.binary(max_size=44))
def test_no_options_are_a_crash(options: bytes) -> None:
    assert isinstance(option_names(options), dict)


def test_a_twin_must_come_through_before_and_after_and_never_be_touched() -> None:
    seen = Seen("press.example", "good.example", "203.0.113.190")
    good, bad, none = Look(touched=False), Look(touched=True), Look()
    seen.looks["http", "before", ("random", "harmless")] = [good, none]
    seen.looks["http", "before", ("random", "target")] = [good]
    assert seen.twin("http") is None
    assert seen.twin("http", ("before",)) == ("random", "harmless")
    seen.looks["http", "after", ("random", "harmless")] = [none, bad]
    seen.looks["http", "after", ("random", "target")] = [good]
    assert seen.twin("http") == ("random", "target")
    assert seen.touched("http", ("random", "harmless")) == (1, 2)
