"""The control socket: ad hoc runs, status, who may use it, and one clear line for a bad request."""

from __future__ import annotations

import asyncio
import base64
import grp
import json
import os
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from probe.agent import control
from probe.agent.control import (
    ControlSocket,
    MeasureRequest,
    PauseRequest,
    ProbeRequest,
    Request,
    ResumeRequest,
    StatusRequest,
    ask,
)  # fmt: skip
from probe.agent.paths import PAUSED
from probe.agent.pause import Pause
from probe.model.errors import CannotMeasure, NoRoute
from probe.model.finding import Finding
from tests.agent.conftest import make_finding
from tests.agent.test_thousands import Fake, desk

pytestmark = pytest.mark.loopback

GROUP = grp.getgrgid(os.getgid()).gr_name


async def measure(request: MeasureRequest, progress: Callable[[str], None]) -> tuple[Finding, bytes]:
    progress(f"asking for {request.options['target']}")
    await asyncio.sleep(0.01)
    if request.measurement == "no_route":
        raise NoRoute("no route", "plug it in")
    progress("done")
    return make_finding(1), b"packets"


def serving(
    path: Path, scene: Callable[[], Coroutine[Any, Any, None]], run: Any = measure, runner: Any = None
) -> None:
    thousands = desk(path.parent, runner)

    async def main() -> None:
        async with ControlSocket(path, GROUP, run, lambda: {"probe": "p-1"}, Pause(path.parent), thousands):
            await scene()

    asyncio.run(main())


async def answers(path: Path, request: Request) -> list[dict[str, Any]]:
    return [answer async for answer in ask(path, request)]


async def say(path: Path, line: bytes) -> list[dict[str, Any]]:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(line)
    got = await reader.read()
    writer.close()
    return [json.loads(text) for text in got.splitlines()]


def test_a_run_streams_its_progress_then_the_finding_and_its_packets(tmp_path: Path) -> None:
    async def scene() -> None:
        got = await answers(tmp_path / "s", MeasureRequest("dns_injection", {"target": "example.com"}))
        assert got[:2] == [{"progress": "asking for example.com"}, {"progress": "done"}]
        assert got[2]["finding"]["id"] == make_finding(1).id
        assert base64.b64decode(got[2]["pcapng"]) == b"packets"
        assert len(got) == 3

    serving(tmp_path / "s", scene)


def test_what_cannot_be_measured_says_why_and_the_exit_status(tmp_path: Path) -> None:
    async def scene() -> None:
        got = await answers(tmp_path / "s", MeasureRequest("no_route", {"target": "x"}))
        assert got[-1] == {"error": "no route (plug it in)", "exit_status": 1}

    serving(tmp_path / "s", scene)


def test_status_is_one_object(tmp_path: Path) -> None:
    async def scene() -> None:
        assert await answers(tmp_path / "s", StatusRequest()) == [{"probe": "p-1"}]

    serving(tmp_path / "s", scene)


def test_pause_and_resume_are_written_down_and_answered(tmp_path: Path) -> None:
    async def scene() -> None:
        (held,) = await answers(tmp_path / "s", PauseRequest())
        assert list(held["paused"]) == ["home"]
        assert Pause(tmp_path).holders == held["paused"]
        assert await answers(tmp_path / "s", ResumeRequest()) == [{"paused": {}}]
        assert not (tmp_path / PAUSED).exists()

    serving(tmp_path / "s", scene)


def test_a_pause_that_cannot_be_written_down_is_in_force_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    pause = Pause(tmp_path / "state")
    (tmp_path / "state").rmdir()
    (tmp_path / "state").touch()  # a file where the folder should be

    async def main() -> None:
        async with ControlSocket(tmp_path / "s", GROUP, measure, dict, pause, desk(tmp_path)):
            (answer,) = await answers(tmp_path / "s", PauseRequest())
            assert answer["error"].startswith("it can't be written down, so it is paused until the daemon ends: ")
            assert answer["exit_status"] == 1
            assert pause.on

    asyncio.run(main())


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b"not json\n", "malformed"),
        (b'{"command": "reboot"}\n', "Invalid value 'reboot'"),
        (b'{"command": "measure"}\n', "missing required field `measurement`"),
        (b'{"command": "measure", "measurement": "x", "port": 1}\n', "unknown field `port`"),
        (b"[]\n", "Expected `object`"),
        (b"\n", "bad request"),
        (b"x" * 200_000 + b"\n", "bad request"),
        (b'"\xff"\n', "bad request"),
    ],
)
def test_a_bad_request_gets_one_clear_line(tmp_path: Path, line: bytes, what: str) -> None:
    async def scene() -> None:
        (answer,) = await say(tmp_path / "s", line)
        assert what in answer["error"]
        assert answer["exit_status"] == 2
        assert await answers(tmp_path / "s", StatusRequest()) == [{"probe": "p-1"}]

    serving(tmp_path / "s", scene)


def test_the_group_and_nobody_else_may_use_it(tmp_path: Path) -> None:
    async def scene() -> None:
        status = (tmp_path / "s").stat()
        assert status.st_mode & 0o777 == 0o660
        assert status.st_gid == os.getgid()

    serving(tmp_path / "s", scene)
    assert not (tmp_path / "s").exists()


def test_a_group_that_there_is_not_is_told_and_not_fatal(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with ControlSocket(tmp_path / "s", "no-such-group", measure, dict, Pause(tmp_path), desk(tmp_path)):
            assert (tmp_path / "s").stat().st_mode & 0o777 == 0o660

    asyncio.run(main())
    assert "no-such-group" in caplog.text


def test_a_client_that_goes_takes_its_run_along(tmp_path: Path) -> None:
    ended = asyncio.Event()

    async def forever(_request: MeasureRequest, progress: Callable[[str], None]) -> tuple[Finding, bytes]:
        progress("begun")
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()
        raise AssertionError

    async def scene() -> None:
        async for _ in ask(tmp_path / "s", MeasureRequest("x")):
            break
        await asyncio.wait_for(ended.wait(), 5)

    serving(tmp_path / "s", scene, forever)


def test_the_end_of_the_daemon_ends_runs_and_tells_the_client(tmp_path: Path) -> None:
    async def forever(_request: MeasureRequest, progress: Callable[[str], None]) -> tuple[Finding, bytes]:
        progress("begun")
        await asyncio.sleep(3600)
        raise AssertionError

    async def main() -> None:
        got: list[dict[str, Any]] = []

        async def client() -> None:
            got.extend([answer async for answer in ask(tmp_path / "s", MeasureRequest("x"))])

        async with ControlSocket(tmp_path / "s", GROUP, forever, dict, Pause(tmp_path), desk(tmp_path)):
            waiting = asyncio.create_task(client())
            await asyncio.sleep(0.1)
        await asyncio.wait_for(waiting, 5)
        assert got == [{"progress": "begun"}]

    asyncio.run(main())


def test_only_so_many_runs_at_once_and_the_others_are_told(tmp_path: Path) -> None:
    under_way = most = 0

    async def counted(_request: MeasureRequest, _progress: Callable[[str], None]) -> tuple[Finding, bytes]:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.05)
        under_way -= 1
        return make_finding(1), b""

    async def scene() -> None:
        got = await asyncio.gather(*(answers(tmp_path / "s", MeasureRequest("x")) for _ in range(5)))
        assert all("finding" in one[-1] for one in got)
        assert {"progress": "waiting for other runs to end"} in [answer for one in got for answer in one]

    serving(tmp_path / "s", scene, counted)
    assert most == 2


def test_where_no_daemon_runs_asking_fails_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        asyncio.run(answers(tmp_path / "s", StatusRequest()))
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "s"))
    with pytest.raises(ConnectionRefusedError):
        asyncio.run(answers(tmp_path / "s", StatusRequest()))


def test_a_socket_left_by_a_killed_daemon_is_replaced_and_a_living_ones_is_not(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "s"))

    async def scene() -> None:
        with pytest.raises(CannotMeasure, match="another daemon listens"):
            async with ControlSocket(tmp_path / "s", GROUP, measure, dict, Pause(tmp_path), desk(tmp_path)):
                pass
        assert await answers(tmp_path / "s", StatusRequest()) == [{"probe": "p-1"}]

    serving(tmp_path / "s", scene)


async def ports(path: Path, *targets: str) -> list[dict[str, Any]]:
    """Asked as the command asks: the targets in lines of their own."""
    head = json.dumps({"command": "probe", "kind": "ports", "count": len(targets)})
    lists = (json.dumps(targets[at : at + 100]) for at in range(0, len(targets), 100))
    return await say(path, "".join(f"{line}\n" for line in (head, *lists)).encode())


END = {"failed": False, "lost": 0, "word": ""}


def test_work_by_the_thousand_is_rows_and_then_the_end(tmp_path: Path) -> None:
    async def scene() -> None:
        many = [f"t{i}" for i in range(1000)]
        *rows, end = await ports(tmp_path / "s", *many)
        assert [row["row"]["target"] for row in rows] == many
        assert end == END
        *rows, end = await answers(tmp_path / "s", ProbeRequest(kind="ports", targets=["a"]))
        assert rows == [{"row": {"target": "a", "port": 80, "said": "open"}}]
        assert await ports(tmp_path / "s", "a", "fails") == [{"error": "no route (plug it in)", "exit_status": 1}]

    serving(tmp_path / "s", scene)


@pytest.mark.parametrize(
    ("lines", "what"),
    [(b'{"command": "probe", "kind": "flood"}\n', "flood"),
     (b'{"command": "probe", "kind": "ports", "count": 60001}\n', "<= 60000"),
     (b'{"command": "probe", "kind": "ports", "count": 1}\n{}\n', "Expected `array`"),
     (b'{"command": "probe", "kind": "ports", "count": 1}\n[]\n', "0 targets, where 1 were to come"),
     (b'{"command": "probe", "kind": "ports", "count": 1}\n["a", "b"]\n', "2 targets, where 1 were to come"),
     (b'{"command": "probe", "kind": "ports", "count": 2}\n["a"]\n["' + b"x" * 200_000 + b'"]\n', "limit")],
)  # fmt: skip
def test_a_list_that_is_none_gets_one_clear_line(tmp_path: Path, lines: bytes, what: str) -> None:
    runner = Fake()

    async def scene() -> None:
        (answer,) = await say(tmp_path / "s", lines)
        assert what in answer["error"]
        assert answer["exit_status"] == 2

    serving(tmp_path / "s", scene, runner=runner)
    assert not runner.asked


def test_a_list_that_does_not_come_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "_LIST_WITHIN", 0.05)

    async def scene() -> None:
        (answer,) = await say(tmp_path / "s", b'{"command": "probe", "kind": "ports", "count": 2}\n["a"]\n')
        assert answer == {"error": "no request came", "exit_status": 2}

    serving(tmp_path / "s", scene)


def test_one_job_at_a_time_and_who_goes_takes_his_along(tmp_path: Path) -> None:
    runner = Fake()

    async def scene() -> None:
        request = b'{"command": "probe", "kind": "ports", "targets": ["hangs"]}\n'
        _, writer = await asyncio.open_unix_connection(tmp_path / "s")
        writer.write(request)
        await runner.begun.wait()
        second = asyncio.create_task(ports(tmp_path / "s", "a"))
        await asyncio.sleep(0.02)
        assert len(runner.asked) == 1
        writer.close()
        told = await asyncio.wait_for(second, 10)
        assert told[0] == {"progress": "waiting for another job to end"}
        assert told[-1] == END

    serving(tmp_path / "s", scene, runner=runner)
    assert (runner.most, runner.under_way) == (1, 0)


def test_rows_that_nobody_takes_make_way_for_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "_TAKEN_WITHIN", 0.05)

    async def scene() -> None:
        reader, writer = await asyncio.open_unix_connection(tmp_path / "s", limit=1 << 10)
        lists = (json.dumps([f"{i:0500}" for i in range(at, at + 100)]) for at in range(0, 10_000, 100))
        writer.write(b'{"command": "probe", "kind": "ports", "count": 10000}\n')
        writer.write("".join(f"{line}\n" for line in lists).encode())
        await writer.drain()
        assert (await ports(tmp_path / "s", "a"))[-1] == END
        taken = await reader.read()
        assert taken.startswith(b'{"row":')
        assert not taken.endswith(b'"word":""}\n')
        writer.close()

    serving(tmp_path / "s", scene)
