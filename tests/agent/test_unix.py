"""The socket under the control socket and the page's: its longest request, silence, and who comes twice."""

from __future__ import annotations

import asyncio
import grp
import json
import os
from pathlib import Path

import pytest

from probe.agent import unix
from probe.agent.unix import LONGEST_REQUEST, UnixServer, failure, send

pytestmark = pytest.mark.loopback

GROUP = grp.getgrgid(os.getgid()).gr_name


async def echo(line: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    send(writer, {"heard": line.decode("ascii")})


async def say(path: Path, line: bytes) -> dict[str, object]:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(line)
    answer: dict[str, object] = json.loads(await reader.read())
    writer.close()
    return answer


def test_a_line_is_answered_and_one_that_is_none_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with UnixServer(tmp_path / "deep/er/s", GROUP, echo):
            assert await say(tmp_path / "deep/er/s", b"hello\n") == {"heard": "hello\n"}
            assert "bad request" in str((await say(tmp_path / "deep/er/s", b"\xff\n"))["error"])
            assert "bad request" in str((await say(tmp_path / "deep/er/s", b"x" * (LONGEST_REQUEST + 2)))["error"])

    asyncio.run(main())


def test_who_says_nothing_is_sent_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unix, "_REQUEST_WITHIN", 0.05)

    async def main() -> None:
        async with UnixServer(tmp_path / "s", GROUP, echo):
            assert await say(tmp_path / "s", b"no end of line") == failure("no request came", 2)

    asyncio.run(main())


def test_a_failure_is_one_line() -> None:
    assert failure("a\nb  c", 1) == {"error": "a b c", "exit_status": 1}
