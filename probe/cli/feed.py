"""``colibri feed``: findings as they arrive on the feed."""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from probe.agent.link import Message


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``colibri feed [--json] [--topic FILTER] [--count N] [--timeout SECONDS] [--config FILE]``."""
    parser.add_argument("--json", action="store_true", help="messages as they are, one a line")
    parser.add_argument("--topic", metavar="FILTER", help="MQTT topic filter; default: all findings")
    parser.add_argument("--count", metavar="N", type=_positive, help="end after so many messages")
    parser.add_argument("--timeout", metavar="SECONDS", type=_positive, help="end after so many seconds")
    parser.add_argument("--config", metavar="FILE", help="configuration file (TOML), which names the broker")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1: {text}")
    return number


def run(args: argparse.Namespace) -> int:
    """Print what arrives. Raises CannotMeasure where there is no broker, it can't be reached, or the certificate is one
    whose owner would lose the connection."""
    return asyncio.run(_print(args))


async def _print(args: argparse.Namespace) -> int:
    from probe.agent.config import load
    from probe.agent.listen import FINDINGS, listen, must_be_a_reader_s
    from probe.model.errors import CannotMeasure

    config = load(args.config)
    if not config.mqtt.host:
        raise CannotMeasure("no broker is configured", "set [mqtt] host")
    must_be_a_reader_s(config)
    left = args.count
    stream = listen(config.mqtt, config.probe.id or "colibri-feed", args.topic or FINDINGS, args.timeout)
    async with aclosing(stream) as messages:
        async for message in messages:
            text = _as_json(message) if args.json else _for_a_person(message)
            if text:
                print(text, flush=True)
            else:
                print(f"{message.topic}: a message that is not JSON", file=sys.stderr)
            if left is not None and (left := left - 1) == 0:
                break
    return 0


def _as_json(message: Message) -> str:
    """One line of JSON; empty if the message is none."""
    import msgspec

    try:
        return msgspec.json.format(message.payload, indent=-1).decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def _for_a_person(message: Message) -> str:
    """A finding at a glance; of anything else the topic and what it says. Nothing that could steer a terminal."""
    import msgspec

    from probe.cli.show import at_a_glance
    from probe.model.finding import Finding

    try:
        text = at_a_glance(msgspec.json.decode(message.payload, type=Finding))
    except msgspec.DecodeError:
        text = f"{message.topic}  {message.payload.decode('utf-8', 'replace')}"
    return "".join(character if character.isprintable() or character == "\n" else "�" for character in text)
