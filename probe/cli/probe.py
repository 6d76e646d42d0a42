"""``colibri probe sweep|ports|dns``: many targets at once, as rows of what came back. No verdict, nothing published.

Where a daemon runs, it does the work (:mod:`probe.cli.handover`), with its own budget; and then nothing is loaded here
that only the work needs.
"""

from __future__ import annotations

import argparse
import json
import sys

from probe.cli import handover
from probe.model.errors import UsageError

TYPE_CHECKING = False  # importing typing would cost as much as the parser
if TYPE_CHECKING:
    from typing import Any

_MOST = 65535
_LINGER = 3600.0
_WANTED = ("kind", "rate", "hops", "port", "icmp", "ports", "resolver", "linger")


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
        one.add_argument("--direct", action="store_true", help="here, not through the daemon")
        one.add_argument("--config", metavar="FILE", help="configuration file (then the daemon is not asked)")
        one.add_argument("--interface", metavar="IF", help="network interface (then the daemon is not asked)")
    sweep.add_argument("--hops", metavar="N", type=_count, default=30, help="farthest TTL, 30")
    sweep.add_argument("--port", metavar="N", type=_count, default=80, help="TCP port, 80")
    sweep.add_argument("--icmp", action="store_true", help="echo requests instead of SYNs")
    ports.add_argument("--ports", metavar="N,N…", type=_list, default=[80, 443], help="TCP ports, 80 and 443")
    dns.add_argument("--resolver", metavar="ADDR", default="", help="whom to ask; else that of [measure]")
    dns.add_argument("--linger", metavar="SECONDS", type=_linger, default=0.5, help="listen so long in the end, 0.5")


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= _MOST:
        raise argparse.ArgumentTypeError(f"a number from 1 to {_MOST}")
    return number


def _list(text: str) -> list[int]:
    return [_count(one) for one in text.split(",")]


def _linger(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= _LINGER:
        raise argparse.ArgumentTypeError(f"seconds from 0 to {_LINGER:.0f}")
    return seconds


def run(args: argparse.Namespace) -> int:
    """Print what came back; 1 where this machine could not send to some. Raises UsageError without any target, and what
    the jobs raise."""
    targets = list(dict.fromkeys([*args.targets, *_more(args.file)]))
    if not targets:
        raise UsageError(f"colibri probe {args.kind} needs targets, or a --file of them")
    given = vars(args)
    wanted: dict[str, Any] = {name: given[name] for name in _WANTED if name in given}
    told = None
    if not (args.direct or args.config or args.interface):
        told = _by_the_daemon(wanted, targets, as_json=args.json)
    if told is None:
        told = _here(args, wanted, targets)
    if told["word"]:
        print(told["word"], file=sys.stderr)
    if told["lost"]:
        print(f"{told['lost']} packets came faster than they could be taken: try a lower --rate", file=sys.stderr)
    return int(told["failed"])


def _more(file: str | None) -> list[str]:
    if not file:
        return []
    if file == "-":
        octets = sys.stdin.buffer.read()
    else:
        with open(file, "rb") as one:  # noqa: PTH123 - pathlib would cost a tenth of the start
            octets = one.read()
    try:
        text = octets.decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"--file {file} is no text: {error}") from None
    return [line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")]


def _by_the_daemon(wanted: dict[str, Any], targets: list[str], *, as_json: bool) -> dict[str, Any] | None:
    """None where there is no daemon."""
    path = handover.control_socket()
    if path is None:
        from probe.agent.config import load

        path = load().control.socket
    write = sys.stdout.write

    def shown(row: str) -> None:
        write(_shown(json.loads(row)) + "\n")

    def plain(row: str) -> None:
        write(row + "\n")

    def tell(text: str) -> None:
        print(f"… {text}", file=sys.stderr, flush=True)

    return handover.through_daemon(path, wanted, targets, plain if as_json else shown, tell) if path else None


def _here(args: argparse.Namespace, wanted: dict[str, Any], targets: list[str]) -> dict[str, Any]:
    from pathlib import Path

    import msgspec

    from probe.agent.config import load
    from probe.agent.paths import PAUSED
    from probe.engine.bulk.drive import alone
    from probe.engine.bulk.rows import perform
    from probe.engine.bulk.setup import place
    from probe.engine.bulk.wanted import Wanted

    config = load(args.config)
    if args.interface:
        config = msgspec.structs.replace(config, probe=msgspec.structs.replace(config.probe, interface=args.interface))
    if Path(config.probe.state_dir, PAUSED).exists():  # what it says costs more to read than all the rest
        from probe.agent.pause import Pause, PausedError

        if Pause(Path(config.probe.state_dir)).on:
            raise PausedError
    where = place(config, args.rate)
    try:
        told = alone(perform(where, Wanted(targets=targets, **wanted), config.measure.resolver))
    finally:
        where.budget.flush()
    for row in told.rows:
        print(msgspec.json.encode(row).decode() if args.json else _shown(row))
    return {"failed": told.failed, "lost": told.lost, "word": told.word}


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
