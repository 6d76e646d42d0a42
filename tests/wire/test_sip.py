from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.model.errors import MalformedPacket
from probe.wire import sip
from tests.wire.conftest import Dissect

CALL = "c1b2a3d4e5f60718293a4b5c"
ME = sip.Client("192.168.1.7")
# RFC 4475, 3.1.1.1: a short tortuous INVITE, the lines that matter here
TORTUOUS = (
    b"INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0\r\n"
    b"TO :\r\n sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n\r\n"
    b'from   : "J Rosenberg \\\\\\""       <sip:jdrosen@example.com>\r\n  ;\r\n  tag = 98asjd8\r\n'
    b"MaX-fOrWaRdS: 0068\r\nCall-ID: wsinv.ndaksdj@192.0.2.1\r\nContent-Length   : 3\r\n"
    b"cseq: 0009\r\n  INVITE\r\nVia  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=390skdjuw\r\ns :\r\n"
    b"NewFangledHeader:   newfangled value\r\n continued newfangled value\r\n"
    b"v:  SIP  / 2.0  / TCP     spindle.example.com   ;\r\n  branch  =   z9hG4bK9ikj8  ,\r\n"
    b" SIP  /    2.0   / UDP  192.168.255.111   ; branch=\r\n z9hG4bK30239\r\n"
    b"m:\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam =\r\n      newvalue ;\r\n"
    b"  secondparam ; q = 0.33\r\n"
    b"\r\nv=0 and what follows"
)


def test_the_tortuous_message() -> None:
    message = sip.decode(TORTUOUS)
    assert (message.method, message.status) == ("INVITE", 0)
    assert message.uri == b"sip:vivekg@chair-dnrc.example.com;unknownparam"
    assert (message.body, message.complete) == (b"v=0", True)
    assert len(message.all(b"Via")) == 2
    assert message.get(b"Subject") == b""
    assert message.get(b"call-id") == b"wsinv.ndaksdj@192.0.2.1"
    assert message.get(b"contact").startswith(b'"Quoted string')
    assert [name for name, _ in message.headers][:3] == [b"TO", b"from", b"MaX-fOrWaRdS"]
    assert sip.sent_from(message.all(b"via")[0]) == (b"192.0.2.2", 5060)
    assert sip.size(TORTUOUS) == TORTUOUS.index(b"v=0") + 3


@pytest.mark.parametrize("transport", ["UDP", "TCP", "TLS"])
@pytest.mark.parametrize("address", ["192.168.1.7", "fd00::7"])
def test_a_clients_own_address_stands_where_gateways_look(transport: sip.Transport, address: str) -> None:
    client = sip.Client(address, 5062)
    sdp = sip.session(client, 7078, 5)
    message = sip.decode(sip.request("INVITE", "203.0.113.190", CALL, client, transport=transport, body=sdp))
    host = f"[{address}]".encode() if ":" in address else address.encode()
    assert sip.sent_from(message.get(b"v")) == (host, 5062)
    assert b"@" + host + b":5062" in message.get(b"contact")
    assert message.body.count(address.encode()) == 2
    assert b"m=audio 7078 RTP/AVP 0 8" in message.body
    assert message.get(b"call-id") == CALL.encode()
    assert message.complete


def test_wireshark_reads_ours(dissect: Dissect) -> None:
    invite = sip.request("INVITE", "203.0.113.190", CALL, ME, body=sip.session(ME, 7078, 5))
    payloads = [
        invite,
        sip.response(sip.decode(invite), 180, "Ringing", tag="far", body=b"QUJD"),
        sip.request("OPTIONS", "203.0.113.190", CALL, ME, cseq=2),
        sip.response(sip.decode(invite), 200, "OK", headers=[(b"Server", b"far")]),
        sip.request("REGISTER", "2001:db8::1", CALL, ME, cseq=3),
    ]
    fields = ("sip.Method", "sip.Status-Code", "sip.Call-ID", "sip.CSeq.seq", "sip.r-uri", "sdp.media", "sip.Expires")
    rows = dissect(payloads, 5060, *fields)
    assert [row["sip.Method"] for row in rows] == ["INVITE", "", "OPTIONS", "", "REGISTER"]
    assert [row["sip.Status-Code"] for row in rows] == ["", "180", "", "200", ""]
    assert {row["sip.Call-ID"] for row in rows} == {CALL}
    assert [row["sip.CSeq.seq"] for row in rows] == ["1", "1", "2", "1", "3"]
    assert rows[0]["sip.r-uri"] == "sip:echo@203.0.113.190"
    assert rows[4]["sip.r-uri"] == "sip:[2001:db8::1]"
    assert rows[0]["sdp.media"] == "audio 7078 RTP/AVP 0 8 101"
    assert rows[4]["sip.Expires"] == "3600"


def test_an_answer_repeats_the_request() -> None:
    request = sip.decode(TORTUOUS)
    answer = sip.decode(sip.response(request, 200, "OK", tag="zzz"))
    assert answer.status == 200
    assert answer.method == ""
    assert answer.all(b"via") == request.all(b"via")
    assert answer.get(b"to").endswith(b"zzz")
    plain = sip.decode(sip.request("OPTIONS", "h.example", CALL, ME))
    assert sip.decode(sip.response(plain, 200, "OK", tag="t")).get(b"to") == plain.get(b"to") + b";tag=t"
    tagged = sip.decode(sip.response(plain, 100, "Trying"))
    assert tagged.get(b"to") == plain.get(b"to")


NAMES = st.from_regex(rb"\A[A-Za-z][A-Za-z-]{0,12}\Z").filter(lambda n: sip.long_name(n) != b"content-length")
VALUES = st.binary(max_size=30).map(lambda b: b.replace(b"\r", b"").replace(b"\n", b"").strip(b" \t"))


@given(st.lists(st.tuples(NAMES, VALUES), max_size=8), st.binary(max_size=60))
def test_round_trip(headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    message = sip.Message(b"OPTIONS sip:a SIP/2.0", (*headers, (b"l", b"%d" % len(body))), body)
    raw = sip.encode(message)
    assert sip.decode(raw) == message
    assert sip.size(raw + b"more") == len(raw)
    for cut in range(0, len(raw) - len(body), 7):
        assert sip.size(raw[:cut]) is None or cut == 0


@given(st.binary(max_size=120))
def test_only_malformed_packet(noise: bytes) -> None:
    for data in (noise, b"OPTIONS sip:a SIP/2.0\r\n" + noise + b"\r\n\r\n", TORTUOUS[: len(noise) * 9] + noise):
        for read in (sip.decode, sip.size, sip.is_sip, sip.sent_from):
            with contextlib.suppress(MalformedPacket):
                read(data)


def test_cut_bodies_and_streams() -> None:
    raw = sip.request("INVITE", "h.example", CALL, ME, transport="TCP", body=b"12345")
    assert sip.decode(raw[:-2]).complete is False
    assert sip.size(raw[:-2]) == len(raw)
    assert sip.decode(raw[:-9] + b"\r\n\r\n12345").complete  # no whole Content-Length line: the datagram's end


def test_what_is_refused() -> None:
    raw = sip.request("OPTIONS", "h.example", CALL, ME)
    for broken in (
        b"", raw[:-4], b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", raw.replace(b"CSeq:", b"CSeq"),
        raw.replace(b"h: 0", b"h: x"),
        b"SIP/2.0 20 OK\r\n\r\n", raw.replace(b"\r\nVia", b"\r\n(ia"), raw + bytes(70000),
        b"OPTIONS sip:a SIP/2.0\r\n" + b"a:b\r\n" * 300 + b"\r\n",
    ):  # fmt: skip
        with pytest.raises(MalformedPacket):
            sip.decode(broken)
    for stream in (b"GET / HTTP/1.1\r\nHost", bytes(70000)):
        with pytest.raises(MalformedPacket):
            sip.size(stream)
    for message in (
        sip.Message(b"nonsense", ()),
        sip.Message(b"SIP/2.0 200 OK", ((b"a", b"1\r\nb: 2"),)),
        sip.Message(b"SIP/2.0 200 OK\r\nVia: x", ()),
        sip.Message(b"SIP/2.0 200 OK", ((b"a b", b""),)),
    ):
        with pytest.raises(MalformedPacket):
            sip.encode(message)
    with pytest.raises(MalformedPacket):
        sip.request("OPTIONS", "h x", CALL, ME)
    with pytest.raises(MalformedPacket):
        sip.sent_from(b"SIP/2.0/UDP")


def test_sent_from() -> None:
    assert sip.sent_from(b"SIP/2.0/UDP [2001:db8::1]:5070;branch=x") == (b"[2001:db8::1]", 5070)
    assert sip.sent_from(b"SIP/2.0/TLS a.example") == (b"a.example", 5060)
