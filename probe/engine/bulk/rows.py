"""A job by the thousand, as rows of plain values in the order of its targets: what a person is shown, or a script."""

from __future__ import annotations

import errno
from collections.abc import Generator, Iterator
from typing import Any

import msgspec

from probe.engine.bulk.setup import Place
from probe.engine.bulk.sweep import FULL_TTL, Found, ports, sweep
from probe.engine.bulk.wanted import Wanted
from probe.model.errors import MalformedPacket, UsageError

Row = dict[str, Any]


class Told(msgspec.Struct):
    """What came of a job. ``rows``: made one by one, as they are taken; ``failed``: whether this machine could not send
    to some target; ``packets``: sent; ``lost``: those that came faster than they could be taken; ``word``: one line for
    a person, "" if there is nothing to say."""

    rows: Iterator[Row]
    failed: bool
    packets: int
    lost: int
    word: str = ""


def perform(where: Place, wanted: Wanted, resolver: str) -> Generator[float, None, Told]:
    """Do a job; ``resolver``: the configuration's. Yields seconds to wait.

    Raises UsageError where nobody is to be asked, and what :func:`~probe.engine.bulk.sweep.sweep` and
    :func:`~probe.engine.bulk.queries.ask` raise.
    """
    if wanted.kind == "dns":
        return (yield from _dns(where, wanted, wanted.resolver or resolver))
    if wanted.kind == "ports":
        found = yield from ports(where.line, wanted.targets, wanted.ports)
        rows = _cells(wanted, found)
    else:
        kind: Any = "icmp" if wanted.icmp else "tcp"
        found = yield from sweep(where.line, wanted.targets, hops=wanted.hops, port=wanted.port, kind=kind)
        rows = _ways(where, wanted, found)
    return Told(rows, bool(found.errors), found.packets, found.lost)


def _dns(where: Place, wanted: Wanted, resolver: str) -> Generator[float, None, Told]:
    from probe.engine.bulk.queries import ask  # with what it wants of DNS: for who asks for names

    if not resolver:
        raise UsageError("colibri probe dns needs --resolver")
    asked = yield from ask(where.line, resolver, wanted.targets, linger=wanted.linger)
    word = f"queries came back from {resolver} or a router before it ({_why(asked.refused)})" if asked.refused else ""
    answers = zip(wanted.targets, asked.replies, strict=True)
    rows = ({"name": name, "answers": [_reply(reply) for reply in replies]} for name, replies in answers)
    return Told(rows, False, asked.packets, asked.lost, word)


def _cells(wanted: Wanted, found: Found) -> Iterator[Row]:
    cells = ((target, port) for target in wanted.targets for port in wanted.ports)
    for i, ((target, port), answers) in enumerate(zip(cells, found.answers, strict=True)):
        said = answers[FULL_TTL].said if answers else ""
        yield {"target": target, "port": port, "said": said} | _error(found, i)


def _ways(where: Place, wanted: Wanted, found: Found) -> Iterator[Row]:
    for i, (target, answers) in enumerate(zip(wanted.targets, found.answers, strict=True)):
        yield {"target": target, "hops": list(_hops(where, answers))} | _error(found, i)


def _error(found: Found, i: int) -> Row:
    number = found.errors.get(i)
    return {} if number is None else {"error": _why(number)}


def _why(number: int) -> str:
    return errno.errorcode.get(number, str(number))


def _hops(where: Place, answers: dict[int, Any]) -> Iterator[Row]:
    """Up to where the far end answers."""
    for ttl in range(1, max(answers, default=0) + 1):
        answer = answers.get(ttl)
        if answer is None:
            yield {"ttl": ttl}
            continue
        address = where.name(answer.who)
        yield {"ttl": ttl, "home": not address, "address": address, "said": answer.said,
               "rtt_ms": round(answer.after / 1e6, 3), "reply_ttl": answer.ttl}  # fmt: skip
        if answer.said not in ("expired", "unreachable"):
            return


def _reply(reply: Any) -> Row:
    from probe.wire import dns

    shown = {"rtt_ms": round(reply.after / 1e6, 3), "ttl": reply.ttl, "ip_id": reply.ident}
    try:
        message = dns.decode(reply.message)
    except MalformedPacket as error:
        return {**shown, "malformed": str(error)}
    return {**shown, "rcode": message.rcode, "records": [f"{record.type} {record.text}" for record in message.answers]}
