"""Tokens and where they lie, control messages, transfer orders, names of packets that arrived."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.model.errors import MalformedPacket
from probe.model.packet import Flags, Icmp, Packet, Tcp, Udp
from probe.model.reflector import (
    LIFETIME,
    Arrivals,
    Echo,
    Grant,
    Hello,
    Received,
    Report,
    Resolver,
    Syn,
    Transfer,
)
from probe.wire import quic, reflector, rtp, sip, stun, tls

SECRET = b"s" * 32
HOME, OTHER = reflector.source_key("198.51.100.7"), reflector.source_key("198.51.100.8")
NOW = 1_800_000_000.0
TOKEN = reflector.mint(SECRET, HOME, NOW)
addresses = st.ip_addresses().map(str)


class TestTokens:
    @given(addresses, st.floats(0, 4e9), st.floats(0, LIFETIME - 32))
    def test_is_good_for_its_source_for_its_lifetime(self, address: str, now: float, later: float) -> None:
        source = reflector.source_key(address)
        token = reflector.mint(SECRET, source, now)
        assert len(token) == reflector.TOKEN
        assert reflector.valid(SECRET, token, source, now)
        assert reflector.valid(SECRET, token, source, now + later)
        assert not reflector.valid(SECRET, token, source, now + LIFETIME + 65)
        assert not reflector.valid(SECRET, token, source, now - 33)

    @given(st.integers(0, 65535))
    def test_keeps_being_good_with_any_nonce(self, nonce: int) -> None:
        token = reflector.with_nonce(TOKEN, nonce)
        assert reflector.valid(SECRET, token, HOME, NOW)
        assert token[2:4] == nonce.to_bytes(2, "big")

    def test_is_of_no_use_to_another_source_or_secret(self) -> None:
        assert not reflector.valid(SECRET, TOKEN, OTHER, NOW)
        assert not reflector.valid(b"t" * 32, TOKEN, HOME, NOW)

    @given(st.binary(max_size=16))
    def test_is_not_guessed(self, token: bytes) -> None:
        assert not reflector.valid(SECRET, token, HOME, NOW)

    @given(st.integers(32, 95))
    def test_a_flipped_bit_of_its_proof_spoils_it(self, bit: int) -> None:
        flipped = (int.from_bytes(TOKEN, "big") ^ 1 << 95 - bit).to_bytes(12, "big")
        assert not reflector.valid(SECRET, flipped, HOME, NOW)

    def test_the_privacy_addresses_of_a_home_are_one_source(self) -> None:
        one, two = reflector.source_key("2001:db8:1:2::1"), reflector.source_key("2001:db8:1:2:aaaa::5")
        assert one == two != reflector.source_key("2001:db8:1:3::1")

    def test_a_mapped_address_is_its_ipv4_address(self) -> None:
        assert reflector.source_key("::ffff:198.51.100.7") == HOME

    def test_what_is_no_address_has_no_key(self) -> None:
        with pytest.raises(MalformedPacket):
            reflector.source_key("home.example")


def carried(token: bytes) -> dict[str, bytes]:
    """A real message of each protocol that carries the token."""
    client = sip.Client("192.168.1.5")
    return {
        "control": reflector.control(token, Hello()),
        "stun": stun.binding_request(token),
        "sip": sip.request("INVITE", "r.example", reflector.call_id(token), client, body=sip.session(client, 4000)),
        "rtp": rtp.encode(rtp.Packet(0, 7, 160, 5, token + rtp.silence(148))),
        "quic": quic.client_initial("press.example", reflector.connection_id(token), b"\1" * 8, b"\2" * 32),
        "plain": token + b"anything else",
    }


class TestPlaces:
    def test_each_protocol_has_an_example(self) -> None:
        assert set(carried(TOKEN)) == set(get_args(reflector.Place))

    @given(st.binary(min_size=12, max_size=12))
    def test_a_token_is_found_where_it_was_put(self, token: bytes) -> None:
        for place, data in carried(token).items():
            if place != "plain" or not any(one(data) for one in (rtp.is_rtp, stun.is_stun, quic.is_initial)):
                assert next(reflector.candidates(data)) == (place, token)
            assert (place, token) in list(reflector.candidates(data))

    @pytest.mark.parametrize("place", get_args(reflector.Place))
    def test_the_twin_of_a_twin_is_the_message(self, place: str) -> None:
        data = carried(TOKEN)[place]
        assert TOKEN not in reflector.twin(data)
        assert (place, TOKEN) in list(reflector.candidates(reflector.twin(reflector.twin(data))))

    @given(st.binary(max_size=100))
    def test_any_datagram_may_be_looked_at(self, data: bytes) -> None:
        assert all(len(token) == 12 for _, token in reflector.candidates(data))

    def test_a_sip_message_without_a_token_has_none(self) -> None:
        data = sip.request("OPTIONS", "r.example", "not-hexadecimal-at-all!!", sip.Client("192.168.1.5"))
        assert [place for place, _ in reflector.candidates(data)] == ["plain"]

    @pytest.mark.parametrize("mixed", [str.upper, str.lower, str.swapcase])
    def test_a_label_may_come_back_in_any_case(self, mixed: Callable[[str], str]) -> None:
        assert reflector.token_of_label(mixed(reflector.label(TOKEN))) == TOKEN

    @pytest.mark.parametrize("text", ["", "00", "00" * 13, "zz" * 12, "é" * 24])
    def test_another_label_holds_none(self, text: str) -> None:
        assert reflector.token_of_label(text) is None


class TestWhoami:
    @pytest.mark.parametrize("network", ["self", "198.51.100.0/24", "2001:db8:1::/48"])
    def test_survives_as_text(self, network: str) -> None:
        resolver = Resolver(network=network, same="00ff12ab")
        assert reflector.read_whoami(reflector.whoami_text(resolver)) == resolver

    @given(st.text(max_size=60))
    def test_only_malformed_packets_come_out(self, text: str) -> None:
        with pytest.raises(MalformedPacket):
            reflector.read_whoami(text)


class TestControl:
    def test_a_hello_leaves_room_for_its_answer(self) -> None:
        data = reflector.hello(b"t" * 12, Hello())
        token, text = reflector.unpack(data)
        assert len(data) == reflector.HELLO_SIZE
        assert token == b"t" * 12
        assert reflector.parse(text) == Hello()

    @pytest.mark.parametrize(
        "message",
        [Hello(), Echo(tos=184), Report((1, 2)), Arrivals(packets=b"\0" * 16, peer="far"), Transfer(direction="up")],
    )
    def test_a_request_survives_datagram_and_path(self, message: Echo) -> None:
        assert reflector.parse(reflector.unpack(reflector.control(TOKEN, message))[1]) == message
        assert reflector.parse_path(reflector.http_path(message, TOKEN)) == (TOKEN, message)

    def test_an_answer_survives_datagram_and_body(self) -> None:
        grant = Grant(token=TOKEN.hex(), name="r.example", udp=(53,))
        data = reflector.control(TOKEN, grant)
        assert reflector.answered(data) == reflector.answered(data[16:]) == grant

    @given(st.binary(max_size=200))
    def test_only_malformed_packets_come_out(self, data: bytes) -> None:
        for reads in (reflector.unpack, reflector.parse, reflector.answered, reflector.read_received):
            with pytest.raises(MalformedPacket):
                reads(data)
            with pytest.raises(MalformedPacket):
                reads(reflector.MAGIC + TOKEN + data if reads is reflector.answered else data)

    @given(st.text(max_size=100))
    def test_only_malformed_paths_come_out(self, path: str) -> None:
        for text in (path, reflector.CONTROL_PATH + path):
            with pytest.raises(MalformedPacket):
                reflector.parse_path(text)

    def test_a_path_without_a_whole_token_is_none(self) -> None:
        with pytest.raises(MalformedPacket, match="without a token"):
            reflector.parse_path(reflector.CONTROL_PATH + "AAAA")


class TestReceived:
    def test_survives_as_text(self) -> None:
        received = Received(data=bytes(range(256)), size=300, port=5060, ttl=55, syn=Syn(ttl=55, options=b"\2\4\5\xb4"))
        text = reflector.read_received(reflector.received_text(received))
        assert text == received

    @given(st.binary(max_size=300))
    def test_survives_as_turned_text(self, data: bytes) -> None:
        received = Received(data=data, size=300, port=5060, ttl=55, syn=Syn(ttl=55, options=b"\2"))
        assert reflector.read_received(reflector.turned_text(received)) == received

    def test_turned_text_shows_no_address(self) -> None:
        text = reflector.turned_text(Received(data=b"Via: 192.168.1.100\r\n"))
        assert b"192.168" not in text
        assert b"Via" not in text

    @given(st.binary(max_size=300))
    def test_turned_text_of_something_else_is_no_copy(self, data: bytes) -> None:
        with pytest.raises(MalformedPacket):
            reflector.read_received(reflector.turned_text(Received())[:1] + data)

    def test_survives_as_a_page(self) -> None:
        received = Received(data=b"GET / HTTP/1.1", transport="tls", port=443)
        assert reflector.read_page(reflector.page(received)) == received

    @given(st.binary(max_size=80))
    def test_no_other_page_is_read(self, body: bytes) -> None:
        for data in (body, b'<pre id="received">' + body + b"</pre>"):
            with pytest.raises(MalformedPacket):
                reflector.read_page(data)

    def test_is_short(self) -> None:
        invite = carried(TOKEN)["sip"]
        assert len(reflector.received_text(Received(data=invite))) < len(invite)

    def test_a_bomb_is_not_unpacked(self) -> None:
        bomb = reflector.received_text(Received(data=bytes(10_000_000)))
        assert len(bomb) < 50_000
        with pytest.raises(MalformedPacket):
            reflector.read_received(bomb)

    def test_another_message_is_no_copy(self) -> None:
        with pytest.raises(MalformedPacket):
            reflector.read_received(reflector.received_text(Grant(token="")))  # type: ignore[arg-type]


class TestOrders:
    @given(
        st.builds(
            Transfer, direction=st.sampled_from(["down", "up"]), seconds=st.integers(1, 60),
            kilobytes=st.integers(1, 65535), kbits=st.integers(0, 2**32 - 1),
        ),
        st.binary(min_size=12, max_size=12),
    )  # fmt: skip
    def test_an_order_survives_its_client_hello(self, wanted: Transfer, rest: bytes) -> None:
        session = reflector.session_id(TOKEN, wanted, rest)
        assert len(session) == 32
        data = tls.client_hello("press.example", b"r" * 32, session)
        assert reflector.order(data) == (TOKEN, wanted)
        assert reflector.order(reflector.twin(data)) is None
        assert reflector.order(data[:60]) is None

    @given(st.binary(min_size=32, max_size=32), st.integers(0, 31))
    def test_an_ordinary_client_hello_orders_nothing(self, session: bytes, length: int) -> None:
        session = session[:12] + b"\0" + session[13:]
        assert reflector.order(tls.client_hello("press.example", b"r" * 32, session)) is None
        assert reflector.order(tls.client_hello("press.example", b"r" * 32, session[: length or 1])) is None

    @given(st.binary(max_size=120))
    def test_anything_may_be_asked_for_its_order(self, data: bytes) -> None:
        assert reflector.order(data) is None
        reflector.order(b"\x16\3\1\0\x70" + data)

    @pytest.mark.parametrize(("seconds", "kilobytes"), [(0, 1), (61, 1), (1, 0)])
    def test_an_order_out_of_bounds_is_none(self, seconds: int, kilobytes: int) -> None:
        session = TOKEN + bytes((0xD0, seconds)) + kilobytes.to_bytes(2, "big") + bytes(16)
        assert reflector.order(tls.client_hello("press.example", b"r" * 32, session)) is None


def packet(header: Tcp | Udp | Icmp | None, payload: bytes = b"", source: str = "192.168.1.5") -> Packet:
    return Packet(version=4, source=source, destination="203.0.113.1", ttl=64, protocol=6, length=40, header=header,
                  payload=payload)  # fmt: skip


class TestArrivals:
    @pytest.mark.parametrize(
        ("sent", "arrived"),
        [
            (packet(Udp(4000, 53, 9, 1), b"x"), packet(Udp(61000, 53, 9, 2), b"x", "198.51.100.7")),
            (packet(Tcp(4000, 80, 77, 0, Flags.SYN, 512)), packet(Tcp(61000, 80, 77, 0, Flags.SYN, 9, options=b"\0"))),
            (packet(Icmp(8, 0, rest=5 << 16 | 9), b"d"), packet(Icmp(8, 0, rest=6 << 16 | 9), b"d")),
        ],
    )
    def test_a_packet_has_one_name_at_both_ends(self, sent: Packet, arrived: Packet) -> None:
        found = reflector.arrival_id(sent)
        assert found == reflector.arrival_id(arrived)
        assert found is not None
        assert len(found) == 8

    def test_other_packets_have_other_names(self) -> None:
        named = [
            packet(Udp(1, 53, 9), b"x"), packet(Udp(1, 54, 9), b"x"), packet(Udp(1, 53, 9), b"y"),
            packet(Tcp(1, 80, 7, 0, Flags.SYN, 9)), packet(Tcp(1, 80, 8, 0, Flags.SYN, 9)),
            packet(Tcp(1, 81, 7, 0, Flags.SYN | Flags.ECE | Flags.CWR, 9)), packet(Icmp(8, 0, rest=1)),
            packet(Icmp(8, 0, rest=2)),
        ]  # fmt: skip
        assert len({reflector.arrival_id(one) for one in named} - {None}) == len(named)

    @pytest.mark.parametrize(
        "header",
        [None, Icmp(0, 0), Icmp(128, 0), Icmp(11, 0), *(Tcp(1, 2, 3, 4, f, 9) for f in (16, 18, 4, 1, 20))],
    )
    def test_what_opens_nothing_has_no_name(self, header: Tcp | Icmp | None) -> None:
        assert reflector.arrival_id(packet(header)) is None
