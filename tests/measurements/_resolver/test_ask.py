"""What `dns_resolver` asks, and how it reads what is not a plain answer."""

from __future__ import annotations

import contextlib
from random import Random

import msgspec

from probe.measurements import Context
from probe.measurements._resolver.ask import Asking
from probe.measurements._resolver.seen import Seen
from probe.model.exchange import Exchange, PauseStep, Session, Step, TcpStep, TlsStep, UdpStep
from probe.wire import dns

OWN, PUBLIC, SILENT = "198.18.30.53", "203.0.113.153", "203.0.113.200"


def asking(resolver: str = OWN, silent: str = SILENT) -> tuple[Seen, Asking]:
    seen = Seen("press.example", resolver, PUBLIC, silent, "good.example")
    return seen, Asking(seen, Context(Random(1)), 53, 3, "")


def test_each_resolver_is_asked_the_same_and_the_silent_address_nothing_else() -> None:
    _, one = asking()
    batch = next(one.trials())
    steps = [step for step in batch if isinstance(step, UdpStep)]
    assert len(steps) == len(batch)
    names: dict[str, list[str]] = {OWN: [], PUBLIC: [], SILENT: []}
    for step in steps:
        names[step.address].append(dns.decode(step.payload).questions[0].name.split(".", 1)[-1])
    assert names[OWN] == names[PUBLIC]
    assert len(names[SILENT]) == 6
    idents = [s.payload[:2] for s in steps]
    assert len(set(idents)) == len(idents)


def test_without_a_resolver_of_its_own_the_trusted_one_alone_is_asked() -> None:
    for resolver in ("", PUBLIC):
        seen, one = asking(resolver, silent="")
        assert one.resolvers == ["control"]
        assert seen.resolver == ""
        assert {getattr(step, "address", "") for step in next(one.trials())} == {PUBLIC}


def test_the_family_of_the_resolver_is_the_family_of_the_question() -> None:
    _, one = asking("2001:db8:30::53")
    batch = next(one.controls("before"))
    assert isinstance(batch[0], UdpStep)
    assert dns.decode(batch[0].payload).questions[0].qtype == dns.AAAA


def test_the_trusted_resolver_confirms_inside_tls_with_its_own_certificate() -> None:
    query = dns.decode(dns.query("press.example", 7))
    told = dns.encode(dns.answer(query, [dns.record("press.example", dns.A, "203.0.113.10")]))
    page = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(told) + told
    own, other = Session(chain=(b"x",)), Session(chain=(b"x",), distrust="for another address")
    for whole, over_http, said in (
        ((own, dns.framed(told)), (own, b""), {"203.0.113.10"}), ((own, b""), (own, page), {"203.0.113.10"}),
        ((other, dns.framed(told)), (other, page), set()), ((Session(), dns.framed(told)), (own, b"no HTTP"), set()),
    ):  # fmt: skip
        seen, one = asking()
        part = one.confirm("before")
        batch = next(part)
        assert [(s.address, s.port, s.server_name) for s in batch if isinstance(s, TlsStep)] == [
            (PUBLIC, 853, PUBLIC), (PUBLIC, 443, PUBLIC),
        ]  # fmt: skip
        asked = 0
        with contextlib.suppress(StopIteration):
            while True:
                asked += 1
                batch = part.send([
                    Exchange(step=step, session=msgspec.structs.replace(session, data=data))
                    for step, (session, data) in zip(batch, (whole, over_http), strict=True)
                ])
        assert asked == (1 if whole[0].chain and over_http[0].chain else 2)  # once more where no session was had
        assert seen.confirmed_by == {"before": said}
        assert seen.denied_by == set()


def unheard(step: Step) -> Exchange:
    return Exchange(step=step, failure="timeout" if isinstance(step, TcpStep | TlsStep) else "")


def test_other_ways_to_ask_are_told_whatever_happens() -> None:
    seen, one = asking()
    part = one.transports()
    batch = next(part)
    assert not any(isinstance(step, PauseStep) for step in batch)
    with contextlib.suppress(StopIteration):
        part.send([unheard(step) for step in batch])
    assert seen.transports == {
        who: {"tcp": "timeout", "tls": "timeout", "https": "timeout"} for who in ("resolver", "control")
    }
