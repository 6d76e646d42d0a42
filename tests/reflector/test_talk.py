"""A connection without its socket: what is recognised, in whatever pieces it comes, and what nobody knows."""

from __future__ import annotations

from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.model.reflector import Arrivals, Arrived, Grant, Hello, Syn, Transfer
from probe.reflector.core import Reflector
from probe.reflector.talk import MOST, Act, AskPeer, Close, Kind, Peer, Run, Send, StartTls, Talk
from probe.wire import dns, http, reflector, sip, stun, tls
from probe.wire.reflector import twin
from tests.reflector.worlds import HOME, NOW, OWN, made, messages, mutated, token

PEER = Peer(HOME, 4000, OWN, 443, Syn(ttl=55, options=b"\2\4\5\xb4"))


def talk(core: Reflector | None = None, *, inside: bool = False) -> Talk:
    return Talk(core or made(), PEER, inside=inside)


def sent(acts: list[Act]) -> bytes:
    return b"".join(act.data for act in acts if isinstance(act, Send))


def order(wanted: Transfer, of: bytes | None = None) -> bytes:
    return tls.client_hello("press.example", b"r" * 32, reflector.session_id(of or token(), wanted, b"r" * 12))


FIRST: dict[Kind, bytes] = {
    "http": http.request("press.example", "/x", headers=[("X", "y")]),
    "sip": messages(token())["INVITE"],
    "stun": stun.binding_request(b"n" * 12),
    "dns": dns.framed(dns.query("any.present.r.example", 7)),
    "plain": token() + b"anything at all",
    "tls": order(Transfer()),
}


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("kind", FIRST)
class TestEveryProtocol:
    def test_is_answered_and_its_twin_by_the_twin(self, kind: Kind, inverted: bool) -> None:
        data = FIRST[kind]
        plain = talk().feed(data, NOW)
        acts = talk().feed(twin(data) if inverted else data, NOW)
        assert plain
        assert (twin(sent(acts)) if inverted else sent(acts)) == sent(plain)
        if kind == "tls":
            assert acts == [Run(Transfer(), framed=True, inverted=inverted)]

    def test_may_come_in_any_pieces(self, kind: Kind, inverted: bool) -> None:
        data = twin(FIRST[kind]) if inverted else FIRST[kind]
        whole = talk().feed(data, NOW)
        for seed in range(30):
            chance, here, acts, at = Random(seed), talk(), [], 0
            while at < len(data):
                size = chance.choice((1, 1, 2, 5, 40, 400))
                acts += here.feed(data[at : at + size], NOW)
                at += size
            assert sent(acts) == sent(whole)
            assert [type(act) for act in acts if not isinstance(act, Send)] == [
                type(act) for act in whole if not isinstance(act, Send)
            ]


class TestHttp:
    def test_the_page_holds_what_arrived(self) -> None:
        request = FIRST["http"] + b"and more"
        acts = talk().feed(request, NOW)
        assert acts[-1] == Close()
        response = http.decode_response(sent(acts))
        received = reflector.read_page(response.body)
        assert response.complete
        assert (received.data, received.transport, received.syn) == (request, "tcp", PEER.syn)
        assert response.header("Cache-Control") == "no-store"

    def test_the_home_s_address_is_not_on_the_page(self) -> None:
        request = http.request("press.example", headers=[("X-Forwarded-For", HOME)])
        page = http.decode_response(sent(talk().feed(request, NOW))).body
        received = reflector.read_page(page)
        assert HOME.encode() not in received.data
        assert received.masked == 1

    def test_inside_tls_it_says_so(self) -> None:
        page = http.decode_response(sent(talk(inside=True).feed(FIRST["http"], NOW))).body
        assert reflector.read_page(page).transport == "tls"

    def test_a_body_is_waited_for(self) -> None:
        here = talk()
        head = http.request("press.example", headers=[("Content-Length", "10")])
        assert here.feed(head + b"12345", NOW) == []
        received = reflector.read_page(http.decode_response(sent(here.feed(b"67890", NOW))).body)
        assert received.data == head + b"1234567890"

    @pytest.mark.parametrize("start", [b"GET / HTTP/3.0\r\n\r\n", b"GET  / HTTP/1.1\r\n\r\n", b"GET / \r\n\r\n"])
    def test_a_wrong_line_is_a_bad_request(self, start: bytes) -> None:
        acts = talk().feed(start, NOW)
        assert http.decode_response(sent(acts)).status == 400
        assert acts[-1] == Close()

    def test_control_gives_a_token_of_the_connection_s_source(self) -> None:
        for path in (reflector.http_path(Hello()), "http://press.example" + reflector.http_path(Hello())):
            acts = talk().feed(http.request("press.example", path), NOW)
            grant = reflector.answered(http.decode_response(sent(acts)).body)
            assert isinstance(grant, Grant)
            assert grant.token == token().hex()

    def test_a_control_path_that_is_none_is_a_bad_request(self) -> None:
        acts = talk().feed(http.request("press.example", reflector.CONTROL_PATH + "what"), NOW)
        assert http.decode_response(sent(acts)).status == 400

    def test_a_witness_is_asked_and_its_answer_passed_on(self) -> None:
        here = talk()
        path = reflector.http_path(Arrivals(packets=b"12345678", peer="host"))
        (act,) = here.feed(http.request("press.example", path), NOW)
        assert isinstance(act, AskPeer)
        told = Arrived(counts=(1,), yours=(1,))
        assert reflector.answered(http.decode_response(sent(here.told(act.ask, told))).body) == told

    @pytest.mark.parametrize("direction", ["up", "down"])
    def test_a_transfer_may_be_ordered(self, direction: str) -> None:
        wanted = msgspec.structs.replace(Transfer(kilobytes=7), direction=direction)
        (act,) = talk().feed(http.request("press.example", reflector.http_path(wanted)), NOW)
        assert isinstance(act, Run)
        assert (act.transfer, act.framed, act.inverted) == (wanted, False, False)
        assert (b"Content-Length: 7000\r\n" in act.head) == (direction == "down")


class TestTls:
    @pytest.mark.parametrize("inverted", [False, True])
    def test_what_comes_behind_an_order_is_counted(self, inverted: bool) -> None:
        path = reflector.http_path(Transfer(direction="up"))
        for request in (order(Transfer(direction="up")), http.request("press.example", path)):
            data = request + b"u" * 77
            (act,) = talk().feed(twin(data) if inverted else data, NOW)
            assert isinstance(act, Run)
            assert (act.came, act.inverted) == (77, inverted)

    def test_an_ordinary_client_hello_begins_tls(self) -> None:
        hello = tls.client_hello("press.example", b"r" * 32)
        assert talk().feed(hello, NOW) == [StartTls(hello)]

    def test_an_order_with_another_s_token_begins_tls(self) -> None:
        hello = order(Transfer(), token("192.0.2.66"))
        assert talk().feed(hello, NOW) == [StartTls(hello)]

    def test_the_twin_of_an_ordinary_client_hello_is_closed(self) -> None:
        assert talk().feed(twin(tls.client_hello("press.example", b"r" * 32)), NOW) == [Close()]

    def test_there_is_no_tls_inside_tls(self) -> None:
        assert talk(inside=True).feed(order(Transfer()), NOW) == [Close()]


class TestMessages:
    def test_several_are_answered_in_turn(self) -> None:
        here = talk()
        first = here.feed(messages(token())["INVITE"] + messages(token())["ACK"] + messages(token())["BYE"][:50], NOW)
        assert [sip.decode(act.data).status for act in first if isinstance(act, Send)] == [100, 180, 200]
        last = here.feed(messages(token())["BYE"][50:], NOW)
        assert [sip.decode(act.data).status for act in last if isinstance(act, Send)] == [200]

    def test_too_many_end_it(self) -> None:
        acts = talk().feed(stun.binding_request(b"n" * 12) * 40, NOW)
        assert len(acts) == 33
        assert acts[-1] == Close()

    def test_outside_the_zone_is_refused(self) -> None:
        answer = sent(talk().feed(dns.framed(dns.query("press.example", 7)), NOW))
        assert dns.decode(dns.unframed(answer)[0]).rcode == dns.REFUSED

    def test_a_message_that_breaks_off_ends_it(self) -> None:
        here = talk()
        assert here.feed(stun.binding_request(b"n" * 12), NOW)
        assert here.feed(b"\xff" * 40, NOW) == [Close()]


class TestUnknown:
    @pytest.mark.parametrize("data", [b"\xf3" * 24, b"GARBAGE" * 10, b"\0" * 30])
    def test_is_closed(self, data: bytes) -> None:
        assert talk().feed(data, NOW) == [Close()]

    def test_is_waited_for_while_it_may_become_something(self) -> None:
        for data in (b"", b"G", b"\x16", b"GET /" + b"x" * 3000, twin(b"OPTIONS sip:" + b"x" * 3000), b"\0\1\0\0"):
            assert talk().feed(data, NOW) == []
        assert talk().feed(b"GET /" + b"x" * 9000, NOW) == [Close()]

    def test_nobody_brings_more_than_so_much(self) -> None:
        here = talk()
        assert here.feed(FIRST["plain"] + b"x" * (MOST - len(FIRST["plain"])), NOW)
        assert here.feed(b"x", NOW) == [Close()]

    @given(st.binary(max_size=400), st.booleans())
    def test_never_raises(self, data: bytes, inside: bool) -> None:
        for start in (b"", *(first[:20] for first in FIRST.values())):
            here = talk(inside=inside)
            here.feed(start + data, NOW)
            here.feed(data, NOW)

    def test_mutations_make_nothing_fall(self) -> None:
        chance = Random(3)
        kinds = [*FIRST.values(), http.request("a", reflector.http_path(Hello())), *messages(token()).values()]
        ended = 0
        for _ in range(5000):
            here = talk()
            data = mutated(chance.choice(kinds), chance)
            acts = here.feed(twin(data) if chance.random() < 0.3 else data, NOW)
            acts += here.feed(data, NOW)
            ended += Close() in acts
        assert ended > 500
