"""``colibri probe sweep|ports|dns``: many targets at once, as rows of what came back. No verdict, nothing published.

Where a daemon runs, it does the work (:mod:`probe.cli.handover`), with its own budget; and then nothing is loaded here
that only the work needs.
"""

from __future__ import annotations

import sys

from probe.cli import handover
from probe.model.errors import UsageError

TYPE_CHECKING = False  # importing typing would cost as much as the interpreter's own start
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from typing import Any

_MOST = 65535
_LINGER = 3600.0
_WANTED = ("kind", "rate", "hops", "port", "icmp", "ports", "resolver", "linger")


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= _MOST:
        raise _no(f"a number from 1 to {_MOST}")
    return number


def _list(text: str) -> list[int]:
    return [_count(one) for one in text.split(",")]


def _linger(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= _LINGER:
        raise _no(f"seconds from 0 to {_LINGER:.0f}")
    return seconds


def _no(why: str) -> Exception:
    from argparse import ArgumentTypeError

    return ArgumentTypeError(why)


Option = tuple[str, "Callable[[str], Any]", object, str]
"""Its value's name ("": it takes none), what makes the value of a text, the default, and the help."""
_OF_ALL: dict[str, Option] = {
    "--file": ("FILE", str, None, "more of them, one a line; - is standard input"),
    "--rate": ("N", _count, 0, "packets a second, within [safety]"),
    "--json": ("", bool, False, "one JSON object a line, nothing else"),
    "--direct": ("", bool, False, "here, not through the daemon"),
    "--config": ("FILE", str, None, "configuration file (then the daemon is not asked)"),
    "--interface": ("IF", str, None, "network interface (then the daemon is not asked)"),
}
_KINDS: dict[str, tuple[str, str, dict[str, Option]]] = {
    "sweep": ("ADDR", "the routers on the ways to addresses", {
        "--hops": ("N", _count, 30, "farthest TTL, 30"),
        "--port": ("N", _count, 80, "TCP port, 80"),
        "--icmp": ("", bool, False, "echo requests instead of SYNs"),
    }),
    "ports": ("ADDR", "which ports of addresses are open, closed or silent", {
        "--ports": ("N,N…", _list, [80, 443], "TCP ports, 80 and 443"),
    }),
    "dns": ("NAME", "all answers of a resolver to queries for names", {
        "--resolver": ("ADDR", str, "", "whom to ask; else that of [measure]"),
        "--linger": ("SECONDS", _linger, 0.5, "listen so long in the end, 0.5"),
    }),
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the three kinds."""
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
    for kind, (what, told, own) in _KINDS.items():
        one = kinds.add_parser(kind, help=told)
        one.add_argument("targets", metavar=what, nargs="*", help="and as many as you like")
        for name, (value, convert, default, words) in (_OF_ALL | own).items():
            if value:
                one.add_argument(name, metavar=value, type=convert, default=default, help=words)
            else:
                one.add_argument(name, action="store_true", help=words)


class Given:
    """What was typed, as ``argparse.Namespace`` has it."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.__dict__.update(given)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)  # for type checkers: its attributes are those of the options


def plain(words: list[str]) -> Given | None:
    """The words as argparse would take them, if they are as plain as they mostly are: targets side by side, options
    whole, their values in words of their own. None: argparse has the say. It would be a third of the client's start."""
    if not words or words[0] not in _KINDS:
        return None
    options = _OF_ALL | _KINDS[words[0]][2]
    given: dict[str, Any] = {name[2:]: default for name, (_, _, default, _) in options.items()}
    targets: list[str] = []
    ended, rest = False, iter(words[1:])
    for word in rest:
        if not word.startswith("-"):
            if ended:
                return None
            targets.append(word)
            continue
        ended = bool(targets)
        if word not in options:
            return None
        value, convert, _, _ = options[word]
        text = next(rest, "-") if value else "plain"
        if text.startswith("-"):
            return None
        try:
            given[word[2:]] = convert(text)
        except Exception:  # noqa: BLE001 - whatever is wrong with it, argparse says it
            return None
    return Given({"kind": words[0], "targets": targets, **given})


def run(args: argparse.Namespace | Given) -> int:
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
        import json

        write(_shown(json.loads(row)) + "\n")

    def as_it_is(row: str) -> None:
        write(row + "\n")

    def tell(text: str) -> None:
        print(f"… {text}", file=sys.stderr, flush=True)

    return handover.through_daemon(path, wanted, targets, as_it_is if as_json else shown, tell) if path else None


def _here(args: argparse.Namespace | Given, wanted: dict[str, Any], targets: list[str]) -> dict[str, Any]:
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
