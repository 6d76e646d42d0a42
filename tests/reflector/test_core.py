"""The reflector's core: what it answers and to whom; that it amplifies nothing, and that nothing makes it fall."""

from __future__ import annotations

from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.model.packet import Flags, Packet, Tcp, Udp
from probe.model.reflector import (
    LIFETIME,
    MOST_ARRIVALS,
    Answer,
    Arrivals,
    Arrived,
    Asked,
    Askers,
    Echo,
    Grant,
    Hello,
    PeerQuestion,
    Received,
    Refused,
    Report,
    Reports,
    Request,
    Transfer,
)
from probe.reflector.core import Ask, Reflector, Reply
from probe.wire import dns, quic, reflector, rtp, sip, stun
from probe.wire.reflector import twin
from tests.reflector.worlds import HOME, NOW, OWN, SETTINGS, VICTIM, came, made, messages, mutated, token

KINDS = sorted(messages(bytes(12)))
UNANSWERED = {"ACK", "empty", "one byte", "noise"}
WHOAMI = f"dns token.whoami.r.example {dns.TXT} None"


def answer_of(core: Reflector, request: Request, source: str = HOME, now: float = NOW) -> Answer:
    (act,) = core.datagram(came(reflector.control(token(source, now), request), source), now)
    assert isinstance(act, Reply)
    return reflector.answered(act.data)


def bytes_out(core: Reflector, data: bytes, source: str, now: float = NOW) -> int:
    return sum(len(act.data) if isinstance(act, Reply) else 1 << 20 for act in core.datagram(came(data, source), now))


class TestNoAmplifier:
    """Without a valid token never more bytes out than in."""

    @pytest.mark.parametrize("version", [4, 6])
    @pytest.mark.parametrize("kind", KINDS)
    def test_for_every_kind_of_message(self, kind: str, version: int) -> None:
        source = VICTIM if version == 4 else "2001:db8:66::1"
        for wrong in (token(HOME), bytes(12), token(source, NOW - LIFETIME - 64), token(source, NOW + 64)):
            for data in (messages(wrong)[kind], twin(messages(wrong)[kind])):
                assert bytes_out(made(), data, source) <= len(data)

    @given(st.sampled_from(KINDS), st.integers(0, 2**32), st.booleans())
    @settings(max_examples=15 * settings().max_examples)
    def test_for_mutations_of_every_kind(self, kind: str, seed: int, inverted: bool) -> None:
        data = mutated(messages(token(HOME))[kind], Random(seed))
        data = twin(data) if inverted else data
        assert bytes_out(made(), data, VICTIM) <= len(data)

    @given(st.lists(st.binary(max_size=64), max_size=8), st.binary(max_size=2000))
    def test_for_questions_of_every_size(self, labels: list[bytes], padding: bytes) -> None:
        name = ".".join([*(label.hex()[:60] for label in labels if label), "r.example"])
        if len(name) > 240:
            name = "r.example"
        for kind in (dns.A, dns.TXT, dns.SOA, dns.ANY):
            data = dns.query(name, 7, kind) + padding
            assert bytes_out(made(), data, VICTIM) <= len(data)

    def test_most_of_them_get_nothing_at_all(self) -> None:
        answered = {kind for kind, data in messages(token(HOME)).items() if bytes_out(made(), data, VICTIM)}
        assert answered <= {kind for kind in KINDS if kind == "hello" or "r.example" in kind.lower()}
        assert "hello" in answered

    def test_a_sender_without_proof_is_slowed_down(self) -> None:
        core = made()
        data = messages(token())["hello"]
        answered = sum(bool(bytes_out(core, data, VICTIM)) for _ in range(10_000))
        assert answered <= 100

    def test_many_forged_senders_are_slowed_down_together_and_cost_no_memory(self) -> None:
        core = made()
        data = messages(token())["hello"]
        forged = (f"198.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}" for i in range(20_000))
        answered = sum(bool(bytes_out(core, data, source)) for source in forged)
        assert answered <= 2_000
        assert len(core.limits.unproven) <= 4096
        # whoever holds a token is served all the same
        assert isinstance(answer_of(core, Echo()), Received)


class TestNothingMakesItFall:
    def test_twenty_thousand_mutations(self) -> None:
        storm(20_000, 1)

    @pytest.mark.long
    def test_a_million_mutations(self) -> None:
        storm(1_000_000, 2)


def sources(good: bytes, six: bytes, bad: bytes) -> list[tuple[str, bytes]]:
    """Every kind of message with each token, and the source that sends it."""
    known = ((HOME, good), ("2001:db8:7::7", six), (HOME, bad))
    return [(source, data) for source, one in known for data in messages(one).values()]


def storm(count: int, seed: int) -> None:
    """Mutated datagrams of every kind, with good tokens and bad ones; the reflector serves all along."""
    chance = Random(seed)
    core = made()
    good, six, bad = token(), token("2001:db8:7::7"), token(VICTIM)
    kinds = sources(good, six, bad)
    answered = 0
    for i in range(count):
        source, data = chance.choice(kinds)
        data = mutated(data, chance)
        now = NOW + i / 500
        if chance.random() < 0.3:
            data = twin(data)
        answered += bool(core.datagram(came(data, source, chance.choice(SETTINGS.udp)), now))
        if i % 50_000 == 49_999:  # tokens last five minutes
            good, six = token(HOME, now), token("2001:db8:7::7", now)
            kinds = sources(good, six, bad)
    assert answered > count / 100
    assert isinstance(answer_of(core, Echo(), now=NOW + count / 500), Received)


class TestProven:
    @pytest.mark.parametrize("inverted", [False, True])
    @pytest.mark.parametrize("kind", sorted(set(KINDS) - UNANSWERED))
    def test_every_kind_is_answered_and_so_is_its_twin(self, kind: str, inverted: bool) -> None:
        data = messages(token())[kind]
        needs = kind.startswith("dns") and "whoami" not in kind  # no token in it: as to a stranger
        acts = made().datagram(came(twin(data) if inverted else data), NOW)
        if needs:
            assert len(acts) <= 1
        else:
            assert acts

    @pytest.mark.parametrize("kind", ["binding", "allocate", "OPTIONS", "INVITE", "REGISTER", "rtp", "quic", "plain"])
    def test_a_twin_s_answers_are_the_twins_of_the_answers(self, kind: str) -> None:
        data = messages(token())[kind]
        plain = made().datagram(came(data), NOW)
        mirrored = made().datagram(came(twin(data)), NOW)
        assert [twin(act.data) for act in mirrored if isinstance(act, Reply)] == [
            act.data for act in plain if isinstance(act, Reply)
        ]

    def test_a_grant_says_all_there_is(self) -> None:
        grant = answer_of(made(), Hello())
        assert grant == Grant(
            token=token().hex(), name="reflector.example", zone="r.example", certificate="00" * 32, udp=SETTINGS.udp,
            tcp=SETTINGS.tcp, random=(20_001,), silent=("203.0.113.191",), peers=("host",), raw=True,
        )  # fmt: skip

    def test_a_grant_fits_a_hello_with_every_port_there_may_be(self) -> None:
        many = msgspec.structs.replace(SETTINGS, udp=tuple(range(30_000, 30_050)), tcp=tuple(range(30_000, 30_050)))
        (act,) = made(settings=many).datagram(came(messages(token())["hello"], VICTIM), NOW)
        assert isinstance(act, Reply)
        assert len(act.data) <= reflector.HELLO_SIZE

    def test_what_arrived_is_told_without_the_address_it_came_from(self) -> None:
        core = made()
        invite = messages(token())["INVITE"].replace(b"192.168.1.5", HOME.encode())
        _, ringing, _ = core.datagram(came(invite, port=5060, tos=0x68), NOW)
        assert isinstance(ringing, Reply)
        copy = reflector.read_received(sip.decode(ringing.data).body)
        assert HOME.encode() not in copy.data
        assert copy.masked == invite.count(HOME.encode())
        assert (copy.ttl, copy.tos, copy.port, copy.source_port, copy.size) == (55, 0x68, 5060, 4000, len(invite))

    def test_an_answer_fits_a_datagram(self) -> None:
        core = made()
        for data in messages(token()).values():
            for act in core.datagram(came(data), NOW):
                assert not isinstance(act, Reply) or len(act.data) <= max(1472, len(data))
        long = reflector.control(token(), Echo()) + b" " * 5000
        (act,) = core.datagram(came(long), NOW)
        assert isinstance(act, Reply)
        received = reflector.answered(act.data)
        assert isinstance(received, Received)
        assert received.size == len(long)
        assert len(act.data) <= 1200

    def test_the_port_and_tos_of_an_echo(self) -> None:
        (act,) = made().datagram(came(reflector.control(token(), Echo(tos=0xB8)), port=443, tos=3), NOW)
        assert isinstance(act, Reply)
        received = reflector.answered(act.data)
        assert isinstance(received, Received)
        assert (act.tos, received.tos, received.port) == (0xB8, 3, 443)

    def test_a_source_with_a_token_may_have_so_many_a_second(self) -> None:
        core = made()
        data = messages(token())["plain"]
        assert 1200 <= sum(bool(core.datagram(came(data), NOW)) for _ in range(3000)) <= 1201
        assert core.datagram(came(data), NOW + 1)
        assert core.counts["limited"] > 1000

    def test_what_is_no_request_is_refused_with_a_reason(self) -> None:
        core = made()
        for data in (b"", b"{}", b'{"do":"what"}', b"\xff", b'{"do":"report","streams":["x"]}'):
            (act,) = core.datagram(came(reflector.MAGIC + token() + data), NOW)
            assert isinstance(act, Reply)
            assert isinstance(reflector.answered(act.data), Refused)
        assert isinstance(answer_of(core, Transfer()), Refused)

    def test_counts_hold_no_address(self) -> None:
        core = made()
        for data in messages(token()).values():
            core.datagram(came(data), NOW)
            core.datagram(came(twin(data), VICTIM), NOW)
        assert core.counts
        assert not any("." in word or ":" in word for word in core.counts)


class TestReports:
    def test_streams_belong_to_their_source(self) -> None:
        core = made()
        for number in (1, 2, 4):
            data = rtp.encode(rtp.Packet(0, number, 160 * number, 9, token() + rtp.silence(148)))
            core.datagram(came(data, port=20_001), NOW + number / 50)
        reports = answer_of(core, Report((9,)))
        assert isinstance(reports, Reports)
        (report,) = reports.streams
        assert (report.packets, report.lost, report.port, report.echoed) == (3, 1, 20_001, 3)
        other = answer_of(core, Report((9,)), "198.51.100.8")
        assert other == Reports((), (9,))

    def test_a_question_to_a_dead_stream_is_answered(self) -> None:
        assert answer_of(made(), Report((1, 2))) == Reports((), (1, 2))


def syn(port: int = 80, sequence: int = 7, source: str = HOME) -> Packet:
    header = Tcp(4000, port, sequence, 0, Flags.SYN, 64240)
    return Packet(version=4, source=source, destination=OWN, ttl=55, protocol=6, length=40, header=header)


def name_of(packet: Packet) -> bytes:
    name = reflector.arrival_id(packet)
    assert name is not None
    return name


class TestArrivals:
    def test_tells_whose_they_were(self) -> None:
        core = made()
        core.arrived(syn(), NOW - 1)
        core.arrived(syn(source=VICTIM), NOW - 1)
        answer = answer_of(core, Arrivals(packets=name_of(syn()) + b"12345678", within=10))
        assert answer == Arrived(counts=(2, 0), yours=(1, 0))

    def test_without_a_capture_sockets_tell_what_came_and_nobody_what_did_not(self) -> None:
        core = made(raw=False)
        core.datagram(came(b"hello there", port=443), NOW)
        seen = Packet(version=4, source="", destination="", ttl=0, protocol=17, length=0, header=Udp(1, 443, 19),
                      payload=b"hello there")  # fmt: skip
        answer = answer_of(core, Arrivals(packets=name_of(seen) + b"12345678", within=10))
        assert isinstance(answer, Arrived)
        assert answer.counts == (1, -1)
        assert "CAP_NET_RAW" in answer.why

    def test_too_many_at_once_are_refused(self) -> None:
        core = made()
        packets = b"12345678" * (MOST_ARRIVALS + 1)
        assert isinstance(answer_of(core, Arrivals(packets=packets)), Refused)
        assert isinstance(core.request(Arrivals(packets=packets), b"", b"", NOW, stream=True), Arrived)
        fits = answer_of(core, Arrivals(packets=b"12345678" * MOST_ARRIVALS))
        assert isinstance(fits, Arrived)


class TestWitness:
    def question(self, witness: Reflector, packets: bytes) -> Ask:
        asked = Arrivals(packets=packets, within=60, peer="host")
        (act,) = witness.datagram(came(reflector.control(token(), asked)), NOW)
        assert isinstance(act, Ask)
        return act

    def test_asks_its_peer_and_passes_the_answer_on(self) -> None:
        witness, target = made(), made(settings=msgspec.structs.replace(SETTINGS, secret=b"t" * 32, peers={}))
        target.arrived(syn(), NOW - 5)
        ask = self.question(witness, name_of(syn()))
        assert ask.address == "203.0.113.10"
        told = target.request(reflector.parse(msgspec.json.encode(ask.question)), b"", b"", NOW)
        assert told == Arrived(counts=(1,), yours=(1,))
        assert isinstance(told, Arrived)
        reply = witness.told(ask, told)
        assert reflector.answered(reply.data) == told
        assert reply.data[4:16] == token()

    def test_the_probe_s_address_does_not_go_to_the_peer(self) -> None:
        ask = self.question(made(), b"12345678")
        assert reflector.source_key(HOME) not in ask.question.source

    @pytest.mark.parametrize(
        "change",
        [{"packets": b"87654321"}, {"within": 61.0}, {"source": b"other..."}, {"proof": b""}, {"at": int(NOW) + 1}],
    )
    def test_a_question_that_was_changed_is_refused(self, change: dict[str, object]) -> None:
        ask = self.question(made(), b"12345678")
        changed = msgspec.structs.replace(ask.question, **change)
        assert isinstance(made().request(changed, b"", b"", NOW), Refused)

    def test_an_old_question_is_refused(self) -> None:
        ask = self.question(made(), b"12345678")
        assert isinstance(made().request(ask.question, b"", b"", NOW + 121), Refused)

    def test_without_a_key_there_are_no_peers(self) -> None:
        alone = made(settings=msgspec.structs.replace(SETTINGS, peer_key=b""))
        ask = Arrivals(packets=b"12345678", peer="host")
        assert isinstance(answer_of(alone, ask), Refused)
        unsigned = PeerQuestion(packets=b"12345678", within=60, source=b"", at=int(NOW))
        assert isinstance(alone.request(unsigned, b"", b"", NOW), Refused)

    def test_a_peer_is_not_asked_so_often(self) -> None:
        witness = made()
        asked = reflector.control(token(), Arrivals(packets=b"12345678", peer="host"))
        acts = [act for i in range(200) for act in witness.datagram(came(asked), NOW + i / 1000)]
        assert 40 <= sum(isinstance(act, Ask) for act in acts) <= 41
        assert isinstance(answer_of(witness, Arrivals(packets=b"12345678")), Arrived)

    def test_a_silent_peer_can_t_tell(self) -> None:
        ask = self.question(made(), b"12345678" * 2)
        answer = reflector.answered(made().told(ask, None).data)
        assert answer == Arrived(counts=(-1, -1), yours=(0, 0), why="the peer did not answer")

    def test_a_peer_that_answers_anything_else_can_t_tell_either(self) -> None:
        ask = self.question(made(), b"12345678")
        assert made().said(ask, Refused("not a peer")) == Arrived(counts=(-1,), yours=(0,), why="not a peer")
        assert isinstance(made().said(ask, Reports()), Arrived)


class TestZone:
    def test_a_token_in_the_name_gets_the_whole_answer(self) -> None:
        data = messages(token())[WHOAMI]
        (act,) = made().datagram(came(data, port=53), NOW)
        assert isinstance(act, Reply)
        assert reflector.read_whoami(dns.decode(act.data).answers[0].text).network == "self"

    def test_a_resolver_is_told_to_come_back_over_tcp_and_is_remembered(self) -> None:
        core = made()
        data = messages(token())[WHOAMI]
        (act,) = core.datagram(came(data, "192.0.2.53", 53), NOW)
        assert isinstance(act, Reply)
        assert dns.decode(act.data).truncated
        askers = answer_of(core, Asked((reflector.label(token()),)))
        assert isinstance(askers, Askers)
        assert [(one.network, one.transport) for one in askers.resolvers] == [("192.0.2.0/24", "udp")]


def test_quic_and_stun_answers_are_theirs() -> None:
    core = made()
    (act,) = core.datagram(came(messages(token())["quic"], port=443), NOW)
    assert isinstance(act, Reply)
    header, versions = quic.negotiated(act.data)
    assert header.destination == b"\1" * 8
    assert quic.VERSION not in versions
    (act,) = core.datagram(came(messages(token())["binding"], port=3478), NOW)
    assert isinstance(act, Reply)
    assert stun.mapped(stun.decode(act.data)) == (HOME, 4000)
