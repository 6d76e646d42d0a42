"""``colibri request``: ask probes for a measurement, or stop them, with a key that is kept offline (docs/lists.md)."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from probe.model.errors import ColibriError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``colibri request measure|stop|resume``, ``send`` and ``log``."""
    verbs = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    measure = verbs.add_parser("measure", help="measure something once")
    measure.add_argument("kind", metavar="KIND", help="which measurement, such as tcp-reset")
    measure.add_argument("target", metavar="TARGET", help="what to measure")
    measure.add_argument("--option", metavar="NAME=VALUE", action="append", default=[], help="an option of its own")
    stop = verbs.add_parser("stop", help="send nothing any more, until told to resume")
    resume = verbs.add_parser("resume", help="take a stop back")
    for one, minutes in ((measure, 15.0), (stop, 43200.0), (resume, 1440.0)):
        one.add_argument("--probe", metavar="NAME", action="append", default=[], help="a probe; may be given again")
        one.add_argument("--all", action="store_true", help="every probe")
        one.add_argument("--minutes", metavar="N", type=float, default=minutes,
                         help=f"minutes in which it may arrive (default {minutes:g})")  # fmt: skip
        one.add_argument("--key", metavar="FILE", required=True, help="the private key (colibri lists key)")
    sending = verbs.add_parser("send", help="hand a signed request to the broker")
    sending.add_argument("file", metavar="FILE", help="the request, as the others print it; - is standard input")
    sending.add_argument("--config", metavar="FILE", help="configuration file (TOML), which names the broker")
    log = verbs.add_parser("log", help="what was asked of this device, and what it did")
    log.add_argument("--config", metavar="FILE", help="configuration file (TOML), which names the state folder")
    log.add_argument("--json", action="store_true", help="one JSON object a line")


def run(args: argparse.Namespace) -> int:
    """Print a signed request, send one, or show the log. Raises UsageError, ConfigError, ColibriError, OSError."""
    if args.action == "log":
        return _log(args)
    return _send(args) if args.action == "send" else _sign(args)


def _sign(args: argparse.Namespace) -> int:
    import os
    import time
    from pathlib import Path

    import msgspec

    from probe.agent.findings import instant, uuid7
    from probe.agent.lists_repository import read_key
    from probe.agent.requests import LONGEST, signed
    from probe.measurements import load, parse_options
    from probe.model.request import ALL, Request

    if bool(args.probe) == args.all:
        raise UsageError("give --probe NAME, or --all")
    if not 0 < args.minutes * 60 <= LONGEST[args.action]:
        raise UsageError(f"--minutes: {LONGEST[args.action] / 60:g} are the most for {args.action}")
    measurement, options = "", dict[str, Any]()
    if args.action == "measure":
        kind = load(args.kind)
        measurement = kind.name
        for text in args.option:
            name, equals, value = text.partition("=")
            if not equals:
                raise UsageError(f"--option: {text!r} is not NAME=VALUE")
            options[name.replace("-", "_")] = value
        options["target"] = args.target
        parse_options(kind, options)
    now = time.time()
    try:
        request = msgspec.convert(
            {"schema": "colibri.request/1", "id": uuid7(now, os.urandom), "probes": [ALL] if args.all else args.probe,
             "sequence": int(now * 1000), "issued_at": instant(now), "not_after": instant(now + args.minutes * 60),
             "command": args.action, "measurement": measurement, "options": options},
            Request,
        )  # fmt: skip
    except msgspec.ValidationError as error:
        raise UsageError(str(error)) from None
    key = read_key(Path(args.key))
    print(msgspec.json.encode(signed(request, key)).decode())
    return 0


def _send(args: argparse.Namespace) -> int:
    import sys
    from pathlib import Path

    import msgspec

    from probe.model.request import ALL, Request, topic

    data = (sys.stdin.buffer.read() if args.file == "-" else Path(args.file).read_bytes()).strip()
    try:
        request = msgspec.json.decode(data, type=Request)
    except msgspec.DecodeError as error:
        raise UsageError(f"{args.file}: is not a request: {error}") from None
    # What stops or resumes all of them must reach those that come later, too.
    retain = request.command != "measure" and ALL in request.probes
    send(args.config, {topic(probe, request.command): data for probe in request.probes}, retain=retain)
    print(f"the broker has it: {request.command} for {', '.join(request.probes)}")
    return 0


def send(config_file: str | None, messages: Mapping[str, bytes], *, retain: bool) -> None:
    """Publish, and see the broker take it. Raises ConfigError, ColibriError where it does not."""
    import asyncio

    from probe.agent.config import load

    mqtt = load(config_file).mqtt
    if not mqtt.host:
        raise UsageError("which broker? --config FILE with [mqtt] host")
    asyncio.run(_publish(mqtt, messages, retain))


async def _publish(mqtt: Any, messages: Mapping[str, bytes], retain: bool) -> None:
    import asyncio

    from probe.agent.connection import connect
    from probe.agent.link import Acknowledged, Closed

    try:
        link = await connect(mqtt, "", "operator")
    except OSError as error:
        raise ColibriError(f"no connection to {mqtt.host}: {error}") from None
    try:
        for topic, payload in messages.items():
            link.publish(topic, payload, retain=retain)
        async with asyncio.timeout(20):
            while link.outstanding:
                match await link.inbox.get():
                    case Acknowledged(_, failure) if failure and failure != "No matching subscribers":
                        raise ColibriError(f"the broker refuses it: {failure}")
                    case Closed(reason):
                        raise ColibriError(f"the broker has closed the connection: {reason}")
    except TimeoutError:
        raise ColibriError("the broker did not take it in 20 s") from None
    finally:
        await link.close()


def _log(args: argparse.Namespace) -> int:
    from pathlib import Path

    import msgspec

    from probe.agent.asked import read
    from probe.agent.config import load

    for entry in read(Path(load(args.config).probe.state_dir)):
        told = [entry.at, entry.what, entry.outcome, entry.subject, entry.reason, entry.by]
        print(msgspec.json.encode(entry).decode() if args.json else "  ".join(filter(None, told)))
    return 0
