"""Answers of the protocols of calls: real ones, as a decoder by others sees them too."""

from __future__ import annotations

import shutil
import subprocess
import zlib
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.model.packet import Packet, Udp
from probe.model.reflector import Received
from probe.reflector import calls
from probe.reflector.core import Reply
from probe.wire import ip, pcapng, quic, reflector, sip, stun
from tests.reflector.worlds import HOME, NOW, OWN, came, made, messages, token

RECEIVED = Received(data=b"as it came", port=5060)


def test_a_binding_tells_the_address() -> None:
    for address in (HOME, "2001:db8:7::7"):
        reply = calls.stun_reply(stun.binding_request(token()), address, 4000, "r.example")
        assert reply is not None
        assert stun.mapped(stun.decode(reply)) == (address, 4000)
        assert stun.fingerprint_fits(reply)


def test_an_allocation_is_refused_as_turn_servers_begin() -> None:
    reply = calls.stun_reply(stun.allocate_request(token()), HOME, 4000, "")
    assert reply is not None
    message = stun.decode(reply)
    assert stun.error(message) == (401, "Unauthorized")
    assert message.text(stun.REALM) == "colibri"
    assert message.text(stun.NONCE)


@pytest.mark.parametrize("kind", ["indication", "success", "error"])
def test_answers_get_no_answer(kind: str) -> None:
    message = stun.encode(stun.Message(stun.BINDING, kind, token()))  # type: ignore[arg-type]
    assert calls.stun_reply(message, HOME, 4000, "") is None


@pytest.mark.parametrize(
    ("method", "statuses"),
    [("INVITE", [100, 180, 200]), ("OPTIONS", [200]), ("REGISTER", [200]), ("BYE", [200]), ("CANCEL", [200]),
     ("ACK", [])],
)
def test_each_method_is_answered_as_it_should_be(method: str, statuses: list[int]) -> None:
    request = sip.decode(messages(token())[method])
    replies = [sip.decode(one) for one in calls.sip_replies(messages(token())[method], RECEIVED, OWN, 5060)]
    assert [one.status for one in replies] == statuses
    for reply in replies:
        assert reply.complete
        for name in (b"via", b"from", b"call-id", b"cseq"):
            assert reply.all(name) == request.all(name)
    copies = [one for one in replies if one.body and one.get(b"content-type") == b"text/plain"]
    assert len(copies) == (method in ("INVITE", "OPTIONS", "REGISTER"))
    assert all(reflector.read_received(one.body) == RECEIVED for one in copies)


@pytest.mark.parametrize("method", ["INVITE", "REGISTER"])
def test_who_reads_plain_text_gets_a_copy_that_compresses_beside_others(method: sip.Method) -> None:
    def ringing(call_id: str, accept: str) -> sip.Message:
        data = sip.request(method, OWN, call_id, sip.Client("192.168.1.100"), accept=accept)
        replies = calls.sip_replies(data, Received(data=data), OWN, 5060)
        copies = [sip.decode(one) for one in replies if sip.decode(one).get(b"content-type") == b"text/plain"]
        assert reflector.read_received(copies[0].body).data == data
        return copies[0]

    def more(accept: str) -> int:
        bodies = [ringing(reflector.call_id(reflector.with_nonce(token(), i), "a.example"), accept).body
                  for i in range(10)]  # fmt: skip
        return len(zlib.compress(b"".join(bodies))) - len(zlib.compress(bodies[0]))

    assert more("application/sdp, text/plain") < more("application/sdp") / 4


def test_who_reads_plain_text_gets_the_short_copy_where_the_other_would_need_fragments() -> None:
    data = sip.request("REGISTER", OWN, "1@a", sip.Client("192.168.1.100"), accept="text/plain")
    long = Received(data=b"ab" * 600)
    (reply,) = calls.sip_replies(data, long, OWN, 5060)
    assert len(reply) < 1000
    assert reflector.read_received(sip.decode(reply).body) == long


def test_an_unknown_method_is_not_implemented() -> None:
    data = messages(token())["OPTIONS"].replace(b"OPTIONS", b"SUBSCRIBE")
    (reply,) = calls.sip_replies(data, RECEIVED, OWN, 5060)
    assert sip.decode(reply).status == 501


def test_a_copy_that_would_need_fragments_is_left_out() -> None:
    long = Received(data=Random(1).randbytes(2000))
    (reply,) = calls.sip_replies(messages(token())["OPTIONS"], long, OWN, 5060)
    assert len(reply) < 1400
    assert sip.decode(reply).body == b""


def test_responses_get_no_answer() -> None:
    response = sip.response(sip.decode(messages(token())["OPTIONS"]), 200, "OK")
    assert calls.sip_replies(response, RECEIVED, OWN, 5060) == []


@given(st.binary(max_size=200))
def test_anything_may_come(data: bytes) -> None:
    starts = (b"", b"\0\1\0\0\x21\x12\xa4\x42", b"OPTIONS sip:x SIP/2.0\r\n", b"\xc0\0\0\0\1")
    for whole in [start + data for start in starts]:
        calls.stun_reply(whole, HOME, 1, "")
        calls.sip_replies(whole, RECEIVED, OWN, 1)
        calls.quic_reply(whole)


def test_quic_learns_no_version_to_use() -> None:
    reply = calls.quic_reply(messages(token())["quic"])
    assert reply is not None
    assert quic.VERSION not in quic.negotiated(reply)[1]
    assert calls.quic_reply(b"\xc0") is None


@pytest.mark.skipif(shutil.which("tshark") is None, reason="needs tshark")
@pytest.mark.parametrize(
    ("port", "protocol"), [(3478, "stun"), (5060, "sip"), (5004, "rtp"), (443, "quic"), (53, "dns")]
)
def test_tshark_finds_nothing_malformed(tmp_path: Path, port: int, protocol: str) -> None:
    core = made()
    known = messages(token())
    wanted = {
        "stun": ["binding", "allocate"], "sip": ["INVITE", "OPTIONS", "REGISTER", "BYE"], "rtp": ["rtp"],
        "quic": ["quic"], "dns": [kind for kind in known if kind.startswith("dns token")],
    }[protocol]  # fmt: skip
    frames: list[tuple[int, bool, bytes]] = []
    for kind in wanted:
        for act in core.datagram(came(known[kind], port=port), NOW):
            assert isinstance(act, Reply)
            packet = Packet(
                version=4, source=OWN, destination=HOME, ttl=64, protocol=17, length=28 + len(act.data), ident=1,
                header=Udp(port, 4000, 8 + len(act.data)), payload=act.data,
            )  # fmt: skip
            frames.append((len(frames), False, ip.encode(packet)))
    assert frames
    file = tmp_path / "answers.pcapng"
    file.write_bytes(pcapng.write(frames))
    decode_as = ["-d", f"udp.port=={port},{protocol}"] if protocol in ("rtp", "quic") else []
    done = subprocess.run(
        ["tshark", "-r", str(file), *decode_as, "-T", "fields", "-e", "frame.protocols", "-e", "_ws.malformed",
         "-e", "_ws.expert.severity"], capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert len(lines) == len(frames)
    for line in lines:
        protocols, malformed, severity = [*line.split("\t"), "", ""][:3]
        assert protocol in protocols.split(":")
        assert not malformed
        assert "8388608" not in severity  # error
