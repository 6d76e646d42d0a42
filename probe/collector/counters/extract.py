"""From what a server answered to the number in it."""

from __future__ import annotations

import asyncio
import re
import sys
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import msgspec

from probe.collector.counters import match, numbers
from probe.collector.counters.numbers import Count
from probe.model.config import CounterConfig
from probe.model.errors import ConfigError, MalformedRecord

SECONDS = 5.0
"""What a pattern may take on one page."""


def check(config: CounterConfig, where: str) -> None:
    """Whether it says where the number is. Raises ConfigError, naming the option."""
    if bool(config.pattern) == bool(config.json):
        raise ConfigError(where, "needs one of pattern and json")
    if config.json and not config.json.startswith("/"):
        raise ConfigError(f"{where}.json", f"{config.json!r} is no JSON Pointer: it begins with /")
    if config.pattern:
        try:
            groups = re.compile(config.pattern).groups
        except (re.error, RecursionError) as error:
            raise ConfigError(f"{where}.pattern", f"is no regular expression: {error}") from None
        if groups != 1:
            raise ConfigError(f"{where}.pattern", f"needs one group round the number, and has {groups}")


async def count(config: CounterConfig, body: bytes, content_type: str) -> Count:
    """The number in an answer. Raises MalformedRecord with the reason why there is none."""
    if config.json:
        return from_json(body, config.json)
    found = await _matched(config.pattern, text(body, content_type))
    if not found:
        raise MalformedRecord(config.url, "the pattern matches nothing on the page")
    if len(found) > 1:
        raise MalformedRecord(config.url, f"the pattern matches several: {', '.join(map(repr, found[:3]))}")
    return numbers.parse(found[0])


def from_json(body: bytes, pointer: str) -> Count:
    """The number that a JSON Pointer (RFC 6901) leads to. Raises MalformedRecord."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise MalformedRecord(pointer, f"the answer is not JSON: {error}") from None
    for part in pointer.split("/")[1:]:
        value = _step(value, part.replace("~1", "/").replace("~0", "~"), pointer)
    return numbers.of_json(value)


def text(body: bytes, content_type: str) -> str:
    """A page as text, in the character set that it says, or in UTF-8."""
    header = EmailMessage()
    header["Content-Type"] = content_type.encode("ascii", "replace").decode().replace("\r", "").replace("\n", "")
    charset = header.get_content_charset("utf-8")
    try:
        return body.decode(charset, "replace")
    except LookupError:
        return body.decode("utf-8", "replace")


def _step(value: Any, part: str, pointer: str) -> Any:
    if isinstance(value, dict) and part in value:
        return value[part]
    if isinstance(value, list) and re.fullmatch("0|[1-9][0-9]{0,8}", part) and int(part) < len(value):
        return value[int(part)]
    raise MalformedRecord(pointer, f"there is no {part!r} in the answer")


async def _matched(pattern: str, page: str) -> list[str]:
    program = [sys.executable, "-I", "-S", str(Path(match.__file__))]
    process = await asyncio.create_subprocess_exec(
        *program, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(SECONDS):
            output, _ = await process.communicate(msgspec.json.encode({"pattern": pattern, "text": page}))
    except TimeoutError:
        raise MalformedRecord(repr(pattern), f"took more than {SECONDS:g} s on the page") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise MalformedRecord(repr(pattern), "failed on the page")
    return msgspec.json.decode(output, type=list[str])
