"""Handing work to the daemon: where it listens, by a look at the configuration; and every way in which a talk ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from probe.agent import config
from probe.agent.control import ControlSocket
from probe.agent.pause import Pause
from probe.cli import handover
from probe.cli.handover import RefusedError, control_socket, look, through_daemon
from probe.engine.bulk.rows import Told
from probe.engine.bulk.wanted import Wanted
from probe.model.config import ControlConfig
from probe.model.errors import CannotMeasure
from tests.agent.conftest import eventually
from tests.agent.test_thousands import Fake, desk


def test_it_knows_what_the_others_know() -> None:
    assert ControlConfig().socket == handover.SOCKET
    assert str(config.PATH) == handover.PATH
    assert config.VARIABLE == handover.VARIABLE


@pytest.mark.parametrize(
    ("text", "path"),
    [("", handover.SOCKET), ("# [control]\n[line]\noperator = 'x'\n", handover.SOCKET),
     ("[measure]\ncontrol_name = 'a.example'\n", handover.SOCKET),
     ("[collector]\ncontrol = ['p-1']\n[control]\ngroup = \"staff\"\n", handover.SOCKET),
     ('[control]\nsocket = "/run/x.sock"\n[safety]\nallow_networks = [\n  "203.0.113.0/24",\n]\n', "/run/x.sock"),
     ('[control]\nsocket = ""\n', ""),
     # What is for a real reader:
     ('["control"]\nsocket = "/x"\n', None), ('control.socket = "/x"\n', None), ('control = {socket = "/x"}\n', None),
     ("[control]\nsocket = '/x'\n", None), ('[control] # ours\nsocket = "/x"\n', None),
     ('[control]\nsocket = "/x" # ours\n', None), ('[ control ]\nsocket = "/x"\n', None),
     ('"\\u0063ontrol".socket = "/x"\n', None), ('[control]\nsock = "/x"\n', None), ('[control]\nsocket\n', None),
     ('x = """\n[control]\nsocket = "/x"\n"""\n', None), ("x = [\n[true]\n]\ncontrol.socket = '/x'", None)],
)  # fmt: skip
def test_a_look_at_a_configuration(text: str, path: str | None) -> None:
    assert look(text) == path


PIECES = st.sampled_from([
    "[control]", "[ control ]", '["control"]', "[control.socket]", "[[control]]", "[line]", "[[collector.notify]]",
    "[true]", "[1]", 'socket = "/a"', 'socket = "/b"', "socket = '/c'", 'group = "g"', 'control.socket = "/d"', "],",
    "x = [", "]", '"a",', 'control = {socket = "/e"}', 'x = """', '"""', "x = '''", "'''", "# [control]",
    'y = "[control]"', "", ' socket = "/f" ', 'socket = "/g" # h', 'socket="/i"', "z = [[1], [", "control_name = 'a'",
    "\\", "\r", "inf = 1",
])  # fmt: skip


@given(st.lists(PIECES, max_size=7).map("\n".join))
def test_a_look_never_tells_another_socket_than_toml_does(text: str) -> None:
    found = look(text)
    try:
        table = tomli.loads(text)
    except tomli.TOMLDecodeError:
        return  # the daemon that runs has read a better one
    if found is not None:
        section = table.get("control", {})
        assert isinstance(section, dict)
        assert section.get("socket", handover.SOCKET) == found


@given(st.text(alphabet='[]control="\'\\\n#.{} socketx1', max_size=40))
def test_nor_of_any_other_text(text: str) -> None:
    found = look(text)
    try:
        table = tomli.loads(text)
    except tomli.TOMLDecodeError:
        return
    assert found is None or table.get("control", {}).get("socket", handover.SOCKET) == found


def test_which_file_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "colibri.toml"
    named = {handover.VARIABLE: str(file)}
    assert control_socket(named) is None  # a real reader says what is wrong with it
    file.write_bytes(b"\xff")
    assert control_socket(named) is None
    file.write_text('[control]\nsocket = "beside"\n')
    assert control_socket(named) is None  # it is relative to the file
    file.write_text('[control]\nsocket = "/run/mine.sock"\n')
    assert control_socket(named) == "/run/mine.sock"
    monkeypatch.setattr(handover, "PATH", str(file))
    assert control_socket({}) == "/run/mine.sock"
    monkeypatch.setattr(handover, "PATH", str(tmp_path / "none"))
    assert control_socket({handover.VARIABLE: ""}) == handover.SOCKET
    monkeypatch.setenv(handover.VARIABLE, str(file))
    assert control_socket() == "/run/mine.sock"


class Daemon:
    """A control socket with a fake engine, in a thread of its own."""

    def __init__(self, folder: Path) -> None:
        self.path, self.engine = str(folder / "control"), Fake()
        self._folder, self._ready = folder, threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    async def _serve(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        thousands = desk(self._folder, self.engine)
        measure: Any = None
        async with ControlSocket(Path(self.path), "", measure, dict, Pause(self._folder), thousands):
            self._ready.set()
            await self._over.wait()

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    one = Daemon(tmp_path)
    one.start()
    yield one
    if one._thread.is_alive():
        one.stop()


def ask(path: str, *targets: str) -> tuple[dict[str, Any] | None, list[str], list[str]]:
    rows: list[str] = []
    told: list[str] = []
    return through_daemon(path, {"kind": "ports"}, targets, rows.append, told.append), rows, told


@pytest.mark.loopback
def test_rows_come_as_the_daemon_wrote_them(daemon: Daemon) -> None:
    many = [f"t{i}" for i in range(2500)]
    end, rows, told = ask(daemon.path, *many)
    assert end == {"failed": False, "lost": 0, "word": ""}
    assert rows == [f'{{"target":"{name}","port":80,"said":"open"}}' for name in many]
    assert told == []
    assert daemon.engine.asked[0].targets == many


@pytest.mark.loopback
def test_an_end_with_something_to_say_is_read(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    async def told(_wanted: Wanted) -> Told:
        return Told(iter(()), True, 1, 3, "so it is")

    monkeypatch.setattr(daemon.engine, "by_the_thousand", told)
    assert ask(daemon.path, "a") == ({"failed": True, "lost": 3, "word": "so it is"}, [], [])


JSON = st.recursive(st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(), st.lists, max_leaves=5)


@given(JSON)
def test_what_is_encoded_is_json(value: object) -> None:
    assert json.loads(handover.encoded(value)) == value


@pytest.mark.loopback
def test_what_it_refuses_keeps_its_exit_status(daemon: Daemon) -> None:
    with pytest.raises(RefusedError, match="plug it in") as caught:
        ask(daemon.path, "fails")
    assert caught.value.exit_status == 1
    with pytest.raises(RefusedError, match="<= 60000") as caught:
        ask(daemon.path, *("a" for _ in range(60_001)))
    assert caught.value.exit_status == 2


@pytest.mark.loopback
def test_without_a_daemon_nobody_is_asked(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "left"))
    for path in ("none", "left", "x" * 200, "nu\0ll"):
        assert ask(str(tmp_path / path), "a") == (None, [], [])


@pytest.mark.loopback
def test_a_daemon_that_goes_away_is_told(daemon: Daemon) -> None:
    def soon() -> None:
        eventually(lambda: daemon.engine.under_way)
        daemon.stop()

    threading.Thread(target=soon).start()
    with pytest.raises(CannotMeasure, match="broke off"):
        ask(daemon.path, "hangs")


@pytest.mark.loopback
def test_ctrl_c_ends_the_job_in_the_daemon(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "colibri.toml").write_text(f'[control]\nsocket = "{daemon.path}"\n')
    environment = os.environ | {handover.VARIABLE: str(tmp_path / "colibri.toml")}
    argv = [sys.executable, "-m", "probe", "probe", "ports", "hangs"]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what is run in the background ignores it
    try:
        client = subprocess.Popen(argv, env=environment, stderr=subprocess.PIPE)
    finally:
        signal.signal(signal.SIGINT, before)
    with client:
        try:
            eventually(lambda: daemon.engine.under_way)
            client.send_signal(signal.SIGINT)
            assert client.communicate(timeout=30)[1] == b""
            assert client.returncode == 130
            eventually(lambda: not daemon.engine.under_way)
        finally:
            client.kill()


@pytest.mark.loopback
def test_the_second_is_told_that_it_waits(daemon: Daemon) -> None:
    told: list[str] = []
    ends: list[object] = []

    def second() -> None:
        ends.append(through_daemon(daemon.path, {"kind": "ports"}, ["a"], lambda _: None, told.append))

    with socket.socket(socket.AF_UNIX) as first:
        first.connect(daemon.path)
        first.sendall(b'{"command": "probe", "kind": "ports", "targets": ["hangs"]}\n')
        eventually(lambda: daemon.engine.under_way)
        waiting = threading.Thread(target=second)
        waiting.start()
        eventually(lambda: told)
        time.sleep(0.02)
        assert ends == []
    waiting.join(20)
    assert told == ["waiting for another job to end"]
    assert len(ends) == 1
