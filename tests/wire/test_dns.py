from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dns import DNS, DNSQR, DNSRR, DNSRRMX, DNSRROPT, DNSRRSOA

from probe.model.errors import MalformedPacket
from probe.wire import dns

LABEL = st.text("abcXYZ019-_", min_size=1, max_size=12)
NAME = st.lists(LABEL, min_size=1, max_size=5).map(".".join)


def test_query_byte_for_byte() -> None:
    assert dns.query("www.example.com", 0x1234, dns.AAAA) == bytes.fromhex(
        "123401000001000000000000 03777777076578616d706c6503636f6d00 001c0001".replace(" ", ""))
    assert dns.query("x", 1, recursion=False, edns=1232) == bytes.fromhex(
        "000100000001000000000001 017800 00010001 00 0029 04d0 00000000 0000".replace(" ", ""))


@given(NAME, st.integers(0, 0xFFFF), st.sampled_from([dns.A, dns.TXT, dns.AAAA]))
def test_scapy_reads_queries(name: str, ident: int, qtype: int) -> None:
    seen = DNS(dns.query(name, ident, qtype))
    assert (seen.id, seen.rd, seen.qr, seen.qd[0].qtype) == (ident, 1, 0, qtype)
    assert seen.qd[0].qname.decode() == name + "."


@given(NAME, NAME, st.ip_addresses(v=4), st.ip_addresses(v=6), st.integers(0, 5))
def test_what_scapy_writes_is_read(name: str, alias: str, four: object, six: object, rcode: int) -> None:
    raw = bytes(DNS(id=7, qr=1, aa=1, ra=1, rcode=rcode, qd=DNSQR(qname=name), an=[
        DNSRR(rrname=name, type="CNAME", rdata=alias, ttl=5), DNSRR(rrname=alias, type="A", rdata=str(four), ttl=6),
        DNSRR(rrname=alias, type="AAAA", rdata=str(six)), DNSRR(rrname=alias, type="TXT", rdata=[b"ab", b"cd"])],
        ar=DNSRROPT(rclass=1232)))
    message = dns.decode(raw)
    assert (message.ident, message.response, message.authoritative, message.rcode) == (7, True, True, rcode)
    assert message.questions == (dns.Question(name),)
    assert [(r.type, r.ttl) for r in message.answers[:2]] == [(dns.CNAME, 5), (dns.A, 6)]
    assert [r.text for r in message.answers] == [alias, str(four), dns.address_text(six.packed), "abcd"]  # type: ignore[attr-defined]
    assert message.additional[0].type == dns.OPT
    assert dns.decode(dns.encode(message)) == message


@given(NAME, NAME, st.ip_addresses(v=4), st.text(max_size=600))
def test_scapy_reads_what_we_write(name: str, alias: str, four: object, text: str) -> None:
    query = dns.decode(dns.query(name, 9, edns=4096))
    raw = dns.encode(dns.answer(query, [dns.record(name, dns.CNAME, alias), dns.record(alias, dns.A, str(four), 77),
                                        dns.record(alias, dns.TXT, text)], authority=[dns.record(name, dns.NS, alias)]))
    seen = DNS(raw)
    assert (seen.id, seen.qr, seen.rd, seen.ra, seen.ancount, seen.nscount, seen.arcount) == (9, 1, 1, 1, 3, 1, 1)
    assert seen.an[0].rdata.decode() == alias + "."
    assert (seen.an[1].rrname.decode(), seen.an[1].rdata, seen.an[1].ttl) == (alias + ".", str(four), 77)
    assert b"".join(seen.an[2].rdata).decode() == text
    assert dns.decode(raw).answers[2].text == text


def test_names_are_compressed_to_the_first_occurrence() -> None:
    query = dns.decode(dns.query("www.example.com", 1))
    raw = dns.encode(dns.answer(query, [dns.record("www.example.com", dns.A, "192.0.2.1"),
                                        dns.record("ns.example.com", dns.A, "192.0.2.2")]))
    assert raw[33:35] == b"\xc0\x0c"
    assert raw[49:54] == b"\x02ns\xc0\x10"
    assert len(raw) == 33 + 16 + 19


def test_compressed_names_inside_data_are_written_out() -> None:
    raw = dns.encode(dns.Message(3, questions=(dns.Question("example.com"),)))
    mx = raw[:7] + b"\1" + raw[8:] + b"\xc0\x0c" + bytes.fromhex("000f000100000009") + b"\0\7\0\5\2mx\xc0\x0c"
    (record,) = dns.decode(mx).answers
    assert record.data == b"\0\5\2mx\7example\3com\0"
    assert record.text == record.data.hex()
    for odd in (DNSRRMX(rrname="a.b", preference=3, exchange="m.a.b"),
                DNSRRSOA(rrname="a.b", mname="n.a.b", rname="r.a.b", serial=1)):
        (kept,) = dns.decode(bytes(DNS(qr=1, an=odd, qd=[]))).answers
        assert kept.data == bytes(odd)[-len(kept.data) :]


def test_data_that_do_not_fit_their_type_are_hex() -> None:
    records = tuple(dns.Record("x", kind, dns.IN, 1, b"\5ab") for kind in (dns.A, dns.AAAA, dns.TXT, 999))
    assert [r.text for r in dns.decode(dns.encode(dns.Message(1, answers=records))).answers] == ["056162"] * 4


@pytest.mark.parametrize("broken", [
    "", "0001010000010000000000", "000101000001000000000000", "0001010000010000000000000161",
    "000101000001000000000000016100000100", "00018000000000010000000000 0001000100000001 0005 01020304",
    "00018000000000010000000000 0005000100000001 0004 01610000",
])
def test_broken_messages(broken: str) -> None:
    with pytest.raises(MalformedPacket):
        dns.decode(bytes.fromhex(broken))


def test_values_that_do_not_fit() -> None:
    with pytest.raises(MalformedPacket):
        dns.query("x", 1 << 16)
    with pytest.raises(MalformedPacket):
        dns.encode(dns.Message(1, answers=(dns.Record("x", 1, 1, -1, b""),)))
    for kind, text in ((dns.A, "::1"), (dns.A, "x"), (dns.CNAME, "a..b"), (dns.SOA, "xy")):
        with pytest.raises(MalformedPacket):
            dns.record("x", kind, text)


def test_answer_copies_the_query_s_identity() -> None:
    query = dns.decode(dns.query("a.b", 77, recursion=False))
    made = dns.answer(query, rcode=dns.NXDOMAIN, authoritative=True, truncated=True)
    assert (made.ident, made.response, made.rcode, made.questions) == (77, True, dns.NXDOMAIN, query.questions)
    assert (made.truncated, made.authoritative, made.recursion_desired, made.additional) == (True, True, False, ())
    assert dns.decode(dns.encode(made)) == made


def test_tcp_framing() -> None:
    stream = dns.framed(b"one") + dns.framed(b"second")
    assert dns.unframed(stream) == (b"one", b"second")
    assert dns.unframed(stream[:-1]) == (b"one",)
    assert dns.unframed(b"\0") == ()
    with pytest.raises(MalformedPacket):
        dns.framed(bytes(65536))
