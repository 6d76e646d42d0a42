"""What servers of calls tell of the home's address never stays, and nothing else is touched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.wire import rtp, sip, stun
from probe.wire.counters import inverted
from probe.wire.mask_calls import literals, mask_call

TRANSACTION = bytes(range(12))
PUBLIC, PUBLIC6 = "203.0.113.99", "2001:db8:99::1"
CLIENT = sip.Client("192.168.1.100")
INVITE = sip.request("INVITE", "203.0.113.190", "ab" * 12, CLIENT, body=sip.session(CLIENT, 7078))


def answer(received: str = PUBLIC) -> bytes:
    """A reply whose topmost Via names the address that the server saw (RFC 3261, 18.2.1; RFC 3581)."""
    reply = sip.response(sip.decode(INVITE), 180, "Ringing", tag="x", body=b"c" * 40)
    return reply.replace(b";rport", b";rport=40001;received=" + received.encode())


@pytest.mark.parametrize("flip", [bytes, inverted])
@pytest.mark.parametrize(("address", "nobody"), [(PUBLIC, "0.0.0.0"), (PUBLIC6, "::")])
def test_a_mapped_address_is_nobodys_and_its_port_stays(flip: object, address: str, nobody: str) -> None:
    message = stun.binding_response(TRANSACTION, address, 40001, "server")
    turned = flip(message)  # type: ignore[operator]
    masked = mask_call(turned, ())
    assert len(masked) == len(message)
    assert stun.mapped(stun.decode(flip(masked))) == (nobody, 40001)  # type: ignore[operator]
    assert mask_call(masked, ()) == masked
    before, after = stun.decode(message), stun.decode(flip(masked))  # type: ignore[operator]
    assert [(one.type, len(one.value)) for one in before.attributes] == [
        (one.type, len(one.value)) for one in after.attributes
    ]
    assert before.transaction == after.transaction


def test_plain_mapped_addresses_too() -> None:
    value = bytes((0, 1)) + (40001).to_bytes(2, "big") + bytes((203, 0, 113, 99))
    modern = stun.encode(stun.Message(1, "success", TRANSACTION, (stun.Attribute(stun.MAPPED_ADDRESS, value),)))
    legacy = bytes.fromhex("0101000c") + b"no cookie 123456" + bytes.fromhex("00010008") + value
    for message in (modern, legacy):
        masked = mask_call(message, ())
        assert masked[:-4] == message[:-4]
        assert masked[-4:] == bytes(4)


def test_several_messages_of_a_stream_and_one_that_is_cut() -> None:
    message = stun.binding_response(TRANSACTION, PUBLIC, 40001)
    secret = message[28:32]
    assert secret not in mask_call(message + message, ())
    for cut in range(29, len(message)):
        masked = mask_call(message[:cut], ())
        assert masked[28:cut] == message[4 : cut - 24][:4] + message[32:cut]  # the key, so that it reads 0.0.0.0


@pytest.mark.parametrize("flip", [bytes, inverted])
def test_sip_keeps_what_we_wrote_and_hides_what_others_saw(flip: object) -> None:
    keep = literals(INVITE)
    assert keep == {"192.168.1.100", "203.0.113.190"}
    masked = flip(mask_call(flip(answer()), keep))  # type: ignore[operator]
    assert PUBLIC.encode() not in masked
    assert b"received=000.0.000.00;" in masked or b"received=000.0.000.00\r\n" in masked
    assert b"rport=40001" in masked
    assert masked.replace(b"000.0.000.00", PUBLIC.encode()) == answer()


def test_a_gateway_that_wrote_the_homes_address_is_seen_but_not_the_address() -> None:
    rewritten = INVITE.replace(b"192.168.1.100", PUBLIC.encode())
    masked = mask_call(rewritten, literals(INVITE))
    assert PUBLIC.encode() not in masked
    assert masked != INVITE
    assert len(masked) == len(rewritten)
    six = mask_call(INVITE.replace(b"192.168.1.100", PUBLIC6.encode()), literals(INVITE))
    assert PUBLIC6.encode() not in six


def test_what_is_no_call_stays_as_it_is() -> None:
    media = rtp.encode(rtp.Packet(8, 1, 160, 7, b"203.0.113.99".ljust(160)))
    for payload in (b"", b"x", media, inverted(media), b"GET / HTTP/1.1\r\nHost: 203.0.113.99\r\n\r\n", bytes(40)):
        assert mask_call(payload, ()) == payload
        assert literals(payload) == frozenset()


@given(st.one_of(
    st.binary(max_size=80),
    st.binary(max_size=60).map(lambda rest: b"\x01\x01\0" + bytes((len(rest) & 0xFC,)) + b"\x21\x12\xa4\x42" + rest),
    st.binary(max_size=60).map(lambda rest: inverted(b"SIP/2.0 200 OK\r\n" + rest)),
))
def test_any_bytes_keep_their_length_and_twice_is_once(payload: bytes) -> None:
    masked = mask_call(payload, ())
    assert len(masked) == len(payload)
    assert mask_call(masked, ()) == masked
