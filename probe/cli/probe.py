"""``colibri probe sweep|ports|dns``: many targets at once, as rows of what came back. No verdict, nothing published."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from probe.engine.bulk.setup import Place

_MOST = 65535


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the three kinds."""
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
    sweep = kinds.add_parser("sweep", help="the routers on the ways to addresses")
    ports = kinds.add_parser("ports", help="which ports of addresses are open, closed or silent")
    dns = kinds.add_parser("dns", help="all answers of a resolver to queries for names")
    for one, what in ((sweep, "ADDR"), (ports, "ADDR"), (dns, "NAME")):
        one.add_argument("targets", metavar=what, nargs="*", help="and as many as you like")
        one.add_argument("--file", metavar="FILE", help="more of them, one a line; - is standard input")
        one.add_argument("--rate", metavar="N", type=_count, default=0, help="packets a second, within [safety]")
        one.add_argument("--json", action="store_true", help="one JSON object a line, nothing else")
        one.add_argument("--config", metavar="FILE", help="configuration file")
        one.add_argument("--interface", metavar="IF", help="network interface")
    sweep.add_argument("--hops", metavar="N", type=_count, default=30, help="farthest TTL, 30")
    sweep.add_argument("--port", metavar="N", type=_count, default=80, help="TCP port, 80")
    sweep.add_argument("--icmp", action="store_true", help="echo requests instead of SYNs")
    ports.add_argument("--ports", metavar="N,N…", type=_list, default=[80, 443], help="TCP ports, 80 and 443")
    dns.add_argument("--resolver", metavar="ADDR", help="whom to ask; else that of [measure]")
    dns.add_argument("--linger", metavar="SECONDS", type=float, default=0.5, help="listen so long in the end, 0.5")


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= _MOST:
        raise argparse.ArgumentTypeError(f"a number from 1 to {_MOST}")
    return number


def _list(text: str) -> list[int]:
    return [_count(one) for one in text.split(",")]


def run(args: argparse.Namespace) -> int:
    """Send, listen, print; 1 where this machine could not send to some. Raises UsageError without any target, and what
    the jobs raise."""
    from pathlib import Path

    import msgspec

    from probe.agent.config import load
    from probe.agent.paths import PAUSED
    from probe.engine.bulk.setup import place
    from probe.model.errors import UsageError

    config = load(args.config)
    if args.interface:
        config = msgspec.structs.replace(config, probe=msgspec.structs.replace(config.probe, interface=args.interface))
    targets = [*args.targets, *_more(args.file)]
    if not targets:
        raise UsageError(f"colibri probe {args.kind} needs targets, or a --file of them")
    if Path(config.probe.state_dir, PAUSED).exists():  # what it says costs more to read than all the rest
        from probe.agent.pause import Pause, PausedError

        if Pause(Path(config.probe.state_dir)).on:
            raise PausedError
    where = place(config, args.rate)
    try:
        rows, lost = _do(where, args, list(dict.fromkeys(targets)), config.measure.resolver)
    finally:
        where.budget.flush()
    failed = False
    for row in rows:
        failed |= "error" in row
        print(msgspec.json.encode(row).decode() if args.json else _shown(row))
    if lost:
        print(f"{lost} packets came faster than they could be taken: try a lower --rate", file=sys.stderr)
    return int(failed)


def _more(file: str | None) -> list[str]:
    from pathlib import Path

    from probe.model.errors import UsageError

    if not file:
        return []
    octets = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    try:
        text = octets.decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"--file {file} is no text: {error}") from None
    return [line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")]


def _do(where: Place, args: argparse.Namespace, targets: list[str], resolver: str) -> tuple[list[dict[str, Any]], int]:
    """The rows, and how many packets were lost."""
    import errno

    from probe.engine.bulk.drive import alone

    if args.kind == "dns":
        from probe.engine.bulk.queries import ask
        from probe.model.errors import UsageError

        if not (args.resolver or resolver):
            raise UsageError("colibri probe dns needs --resolver")
        asked = alone(ask(where.line, args.resolver or resolver, targets, linger=args.linger))
        if asked.refused:
            why = errno.errorcode.get(asked.refused, str(asked.refused))
            print(f"queries came back from {args.resolver or resolver} or a router before it ({why})", file=sys.stderr)
        return [
            {"name": name, "answers": [_reply(reply) for reply in replies]}
            for name, replies in zip(targets, asked.replies, strict=True)
        ], asked.lost
    from probe.engine.bulk.sweep import FULL_TTL, Found, ports, sweep

    found: Found
    if args.kind == "ports":
        found = alone(ports(where.line, targets, args.ports))
        cells = [(target, port) for target in targets for port in args.ports]
        rows: list[dict[str, Any]] = [
            {"target": target, "port": port, "said": answers[FULL_TTL].said if answers else ""}
            for (target, port), answers in zip(cells, found.answers, strict=True)
        ]
    else:
        kind: Any = "icmp" if args.icmp else "tcp"
        found = alone(sweep(where.line, targets, hops=args.hops, port=args.port, kind=kind))
        rows = [{"target": target, "hops": list(_hops(where, answers))}
                for target, answers in zip(targets, found.answers, strict=True)]  # fmt: skip
    for i, number in found.errors.items():
        rows[i]["error"] = errno.errorcode.get(number, str(number))
    return rows, found.lost


def _hops(where: Place, answers: dict[int, Any]) -> Iterator[dict[str, Any]]:
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


def _reply(reply: Any) -> dict[str, Any]:
    from probe.model.errors import MalformedPacket
    from probe.wire import dns

    shown = {"rtt_ms": round(reply.after / 1e6, 3), "ttl": reply.ttl, "ip_id": reply.ident}
    try:
        message = dns.decode(reply.message)
    except MalformedPacket as error:
        return {**shown, "malformed": str(error)}
    return {**shown, "rcode": message.rcode, "records": [f"{record.type} {record.text}" for record in message.answers]}


def _shown(row: dict[str, Any]) -> str:
    """A row for a person."""
    error = f"  {row['error']}" if "error" in row else ""
    if "port" in row:
        return f"{row['target']}  {row['port']}  {row['said'] or 'silent'}{error}"
    if "name" in row:
        answers = [f"{', '.join(one['records']) or one.get('malformed') or 'rcode ' + str(one['rcode'])} "
                   f"(TTL {one['ttl']}, {one['rtt_ms']} ms)" for one in row["answers"]]  # fmt: skip
        return f"{row['name']}  {' | '.join(answers) or 'no answer'}"
    lines = [f"{row['target']}{error}"]
    for hop in row["hops"]:
        who = ("inside the home" if hop["home"] else hop["address"]) if "said" in hop else "*"
        lines.append(f"{hop['ttl']:3}  {who}" + (f"  {hop['rtt_ms']} ms  {hop['said']}" if "said" in hop else ""))
    return "\n".join(lines)
