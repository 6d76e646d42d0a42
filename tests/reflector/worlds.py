"""Reflectors and datagrams for the tests of the pure parts."""

from __future__ import annotations

from random import Random

from probe.model.reflector import Arrivals, Asked, Echo, Hello, PeerQuestion, Report, Transfer
from probe.reflector.core import Came, Reflector
from probe.reflector.settings import Settings
from probe.wire import dns, quic, reflector, rtp, sip, stun

NOW = 1_800_000_000.0
HOME, VICTIM, OWN = "198.51.100.7", "192.0.2.66", "203.0.113.190"
SETTINGS = Settings(
    secret=b"s" * 32, peer_key=b"p" * 32, name="reflector.example", zone="r.example",
    addresses=(OWN, "2001:db8:c0::90"), silent=("203.0.113.191",), udp=(53, 443, 5060, 20_001, 47474),
    tcp=(53, 443, 5060, 20_001, 47474), random=(20_001,), certificate="00" * 32, peers={"host": "203.0.113.10"},
)  # fmt: skip


def made(*, raw: bool = True, settings: Settings = SETTINGS) -> Reflector:
    """A reflector that has run for a while."""
    return Reflector(settings, NOW - 1000, raw=raw)


def token(source: str = HOME, now: float = NOW) -> bytes:
    """A token of that source."""
    return reflector.mint(SETTINGS.secret, reflector.source_key(source), now)


def came(data: bytes, source: str = HOME, port: int = 47474, ttl: int = 55, tos: int = 0) -> Came:
    """A datagram from a source."""
    return Came(data, source, 4000, OWN if "." in source else "2001:db8:c0::90", port, ttl, tos)


def messages(token: bytes) -> dict[str, bytes]:
    """Every kind of message that there is, with that token."""
    client = sip.Client("192.168.1.5")
    call = reflector.call_id(token)
    label = reflector.label(token)
    question = PeerQuestion(packets=b"x" * 80, within=60, source=b"y" * 8, at=int(NOW), proof=b"z" * 32)
    return {
        "hello": reflector.hello(token, Hello()),
        "short hello": reflector.control(token, Hello()),
        **{
            f"control {type(one).__name__}": reflector.control(token, one)
            for one in (Hello(), Echo(), Report((1, 2, 3)), Arrivals(packets=b"x" * 240), Asked((label,)), Transfer(),
                        Arrivals(packets=b"x" * 8, peer="host"), question)
        },
        "binding": stun.binding_request(token),
        "allocate": stun.allocate_request(token),
        "other stun": stun.encode(stun.Message(5, "request", token)),
        **{
            method: sip.request(method, "r.example", call, client, body=body)  # type: ignore[arg-type]
            for method, body in (("OPTIONS", b""), ("REGISTER", b""), ("ACK", b""), ("BYE", b""), ("CANCEL", b""),
                                 ("INVITE", sip.session(client, 4000)))
        },
        "rtp": rtp.encode(rtp.Packet(0, 1, 160, 9, token + rtp.silence(148))),
        "quic": quic.client_initial("press.example", reflector.connection_id(token), b"\1" * 8, b"\2" * 32),
        "plain": token + b"anything",
        **{
            f"dns {name.replace(label, 'token')} {kind} {edns}": dns.query(name, 7, kind, edns=edns)
            for name in (f"{label}.whoami.r.example", "r.example", "a.present.r.example", "a.absent.r.example",
                         "press.example", "R.eXample", ".")
            for kind, edns in ((dns.A, None), (dns.AAAA, None), (dns.TXT, None), (dns.TXT, 4096), (dns.SOA, None),
                               (dns.NS, None), (dns.ANY, None))
        },
        "empty": b"", "one byte": b"C", "noise": Random(1).randbytes(700),
    }  # fmt: skip


def mutated(data: bytes, chance: Random) -> bytes:
    """The bytes with something wrong: flipped, cut, grown, spliced."""
    raw = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8))):
        kind = chance.randrange(6)
        at = chance.randrange(len(raw) + 1)
        if kind == 0 and raw:
            raw[min(at, len(raw) - 1)] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del raw[at:]
        elif kind == 2:
            raw[at:at] = chance.randbytes(chance.randrange(1, 40))
        elif kind == 3 and raw:
            raw[min(at, len(raw) - 1)] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif kind == 4:
            raw[at : at + chance.randrange(1, 9)] = b""
        else:
            raw[at : at + 2] = chance.randbytes(2)
    return bytes(raw)
