"""Calls as they are said, and what counts as an answer."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.measurements._voip.call import Call, Caller, Said, answers, belongs, copy
from probe.measurements._voip.grid import Protocol
from probe.model.reflector import Received
from probe.wire import reflector, sip, stun, tls
from tests.measurements.simcalls import Filter, calls_net
from tests.measurements.simfar import EPOCH, FAR, HOME, SETTINGS
from tests.measurements.simnet import Internet, drive

TOKEN = reflector.mint(SETTINGS.secret, reflector.source_key(HOME[4]), EPOCH)
METHODS: dict[Protocol, list[str]] = {
    "sip": ["REGISTER", "INVITE"], "sip_tcp": ["INVITE"], "sip_tls": ["ClientHello"], "stun": ["Binding"],
    "turn": ["Allocate"],
}  # fmt: skip


def caller() -> Caller:
    return Caller(FAR[4], TOKEN, Random(1))


def call(protocol: Protocol, *, twin: bool = False, port: int = 20_001, number: int = 1) -> Call:
    return Call(protocol, port, False, twin, number)


@pytest.mark.parametrize("protocol", METHODS)
def test_a_twin_is_a_call_with_every_bit_flipped(protocol: Protocol) -> None:
    real, twin = caller().requests(call(protocol)), caller().requests(call(protocol, twin=True))
    assert [method for method, _ in real] == METHODS[protocol]
    assert [reflector.twin(payload) for _, payload in twin] == [payload for _, payload in real]


@pytest.mark.parametrize("protocol", ["sip", "stun", "turn"])
def test_datagrams_hold_the_token_and_no_two_are_alike(protocol: Protocol) -> None:
    one = caller()
    payloads = [payload for _ in range(3) for _, payload in one.requests(call(protocol))]
    tokens = [next(reflector.candidates(payload))[1] for payload in payloads]
    assert all(token[:2] + token[4:] == TOKEN[:2] + TOKEN[4:] for token in tokens)
    assert len(set(tokens)) == len(payloads)


def test_a_hello_orders_a_transfer_so_that_its_twin_can_be_answered() -> None:
    ((_, hello),) = caller().requests(call("sip_tls"))
    ordered = reflector.order(hello)
    assert ordered is not None
    assert ordered[1].kilobytes == 1
    assert tls.server_name(hello) == "sip.example"


def test_the_addresses_inside_are_not_the_probe_s() -> None:
    _, (_, invite) = caller().requests(call("sip"))
    message = sip.decode(invite)
    assert sip.sent_from(message.get(b"via"))[0] == b"192.168.1.100"
    assert b"c=IN IP4 192.168.1.100" in message.body


def dial(net: Internet, calls: list[Call]) -> list[Said]:
    return drive(caller().dial(calls), net)


def test_a_call_is_a_registration_and_an_invitation_and_the_copy_comes_back() -> None:
    (said,) = dial(Internet(calls_net(), 1), [call("sip")])
    assert (said.answered, said.method, said.sendings) == (True, "INVITE", 1)
    assert said.received is not None
    assert said.received.data == said.payload


def test_what_is_not_answered_is_said_again() -> None:
    calls = [call("stun", number=i) for i in range(40)]
    said = dial(Internet(calls_net(loss=0.1), 3), calls)
    assert sum(one.answered for one in said) >= 39
    assert max(one.sendings for one in said) > 1


def test_a_blocked_call_ends_at_the_request_that_failed() -> None:
    net = Internet(calls_net(boxes=(Filter(at=4, match=("sip",)),)), 1)
    blocked, twin = dial(net, [call("sip"), call("sip", twin=True, number=2)])
    assert (blocked.answered, blocked.method, blocked.sendings) == (False, "REGISTER", 4)
    assert (twin.answered, twin.method) == (True, "INVITE")


def test_answers_belong_to_their_question() -> None:
    one = caller()
    (_, asked), (_, other) = one.requests(call("stun"))[0], one.requests(call("stun"))[0]
    reply = stun.binding_response(stun.decode(asked).transaction, "192.0.2.1", 9)
    assert answers(call("stun"), asked, reply)
    assert not answers(call("stun"), other, reply)
    assert not answers(call("stun"), asked, asked)
    assert not answers(call("turn"), one.requests(call("turn"))[0][1], reply)
    assert answers(call("stun", twin=True), reflector.twin(asked), reflector.twin(reply))
    assert not answers(call("stun", twin=True), reflector.twin(asked), reply)


def test_a_gateway_may_rewrite_what_stands_behind_the_token() -> None:
    _, (_, invite) = caller().requests(call("sip"))
    reply = sip.response(sip.decode(invite.replace(b"192.168.1.100", b"198.51.100.7")), 100, "Trying")
    assert answers(call("sip"), invite, reply)


@pytest.mark.parametrize("protocol", ["sip", "stun", "turn"])
@pytest.mark.parametrize("twin", [False, True])
def test_late_answers_to_other_requests_of_a_flow_are_told_apart(protocol: Protocol, twin: bool) -> None:
    one = caller()
    asked, other = (one.requests(call(protocol, twin=twin))[0][1] for _ in range(2))
    plain = reflector.twin(asked) if twin else asked
    if protocol == "sip":
        reply = sip.response(sip.decode(plain), 200, "OK")
    else:
        reply = stun.refusal(stun.decode(plain), 401, "Unauthorized")
    reply = reflector.twin(reply) if twin else reply
    assert belongs(asked, reply)
    assert not belongs(other, reply)
    assert not belongs(asked, b"")


def test_a_copy_is_found_in_the_body_of_an_answer() -> None:
    _, (_, invite) = caller().requests(call("sip"))
    arrived = Received(data=b"x", size=1)
    reply = sip.response(sip.decode(invite), 180, "Ringing", body=reflector.received_text(arrived))
    bare = sip.response(sip.decode(invite), 100, "Trying")
    assert copy(call("sip"), [b"noise", bare, reply]) == arrived
    assert copy(call("sip", twin=True), [reply]) is None
    assert copy(call("stun"), [reply]) is None


@given(st.sampled_from([*METHODS]), st.booleans(), st.binary(max_size=200))
def test_noise_is_no_answer(protocol: Protocol, twin: bool, noise: bytes) -> None:
    (_, payload) = caller().requests(call(protocol))[0]
    assert answers(call(protocol, twin=twin), payload, noise) is (protocol == "sip_tls" and bool(noise))
