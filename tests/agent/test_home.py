"""The page's socket: it tells, it changes a little for whoever has the code, and it can aim nothing."""

from __future__ import annotations

import asyncio
import grp
import json
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest

from probe.agent import choices
from probe.agent.home import HomeSocket, code_file
from probe.agent.page_code import code
from probe.agent.paths import PAUSED
from probe.agent.pause import Pause
from probe.model.config import PageConfig
from probe.model.finding import Line
from probe.model.home import Category, Change, Changed, HomeRequest, Look, View

pytestmark = pytest.mark.loopback

GROUP = grp.getgrgid(os.getgid()).gr_name
VIEW = View(
    probe="p-1", software="colibri 1", since="2026-01-01T00:00:00.000Z", now="2026-01-01T00:00:00.000Z", line=Line(),
    link="up", clock="synchronised", feed="none", trouble="", waiting=0, dropped=0, planned=1, bytes_per_day=1,
    paused={}, counts={}, findings=[], categories=[Category("politics", 3, on=False)], stalled=[],
)  # fmt: skip


async def ask(path: Path, request: HomeRequest | bytes) -> Any:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(request if isinstance(request, bytes) else msgspec.json.encode(request) + b"\n")
    got = json.loads(await reader.read())
    writer.close()
    return got


async def change(path: Path, **fields: Any) -> Changed:
    return msgspec.convert(await ask(path, Change(source="192.168.1.2", **fields)), Changed)


def serving(
    folder: Path, scene: Callable[[Path, Pause, list[str]], Coroutine[Any, Any, None]]
) -> None:
    async def main() -> None:
        pause, reloads = Pause(folder), list[str]()
        server = HomeSocket(folder / "page.sock", GROUP, folder / "code", folder, lambda: VIEW, pause)
        server.chosen = lambda: reloads.append("reload")
        async with server:
            await scene(folder / "page.sock", pause, reloads)

    (folder / "code").write_text("K7QM-3XWD\n")
    asyncio.run(main())


def test_it_tells_what_there_is_to_show(tmp_path: Path) -> None:
    async def scene(path: Path, _pause: Pause, _reloads: list[str]) -> None:
        assert msgspec.convert(await ask(path, Look()), View) == VIEW

    serving(tmp_path, scene)


@pytest.mark.parametrize(
    "request_line",
    [
        b'{"command": "measure", "measurement": "dns_injection", "options": {"target": "example.com"}}\n',
        b'{"command": "status"}\n', b'{"command": "pause"}\n', b'{"command": "resume"}\n', b"{}\n", b"[]\n",
        b'{"command": "look", "target": "example.com"}\n', b'{"command": "change"}\n',
        b'{"command": "change", "code": "K7QM-3XWD", "target": "example.com"}\n',
        b'{"command": "change", "code": "' + b"x" * 65 + b'"}\n',
    ],
)  # fmt: skip
def test_nothing_can_be_measured_or_changed_by_another_request(tmp_path: Path, request_line: bytes) -> None:
    async def scene(path: Path, pause: Pause, reloads: list[str]) -> None:
        answer = await ask(path, request_line)
        assert answer["error"].startswith("bad request")
        assert not pause.on
        assert reloads == []

    serving(tmp_path, scene)


def test_with_the_code_it_is_paused_and_resumed(tmp_path: Path) -> None:
    async def scene(path: Path, pause: Pause, reloads: list[str]) -> None:
        assert await change(path, code="k7qm 3xwd", paused=True) == Changed("")
        assert list(Pause(tmp_path).holders) == ["home"]
        assert await change(path, code="K7QM-3XWD", paused=False) == Changed("")
        assert not pause.on
        assert reloads == []

    serving(tmp_path, scene)


def test_the_operator_s_pause_is_not_the_page_s_to_lift(tmp_path: Path) -> None:
    async def scene(path: Path, pause: Pause, _reloads: list[str]) -> None:
        pause.hold("operator")
        assert await change(path, code="K7QM-3XWD", paused=False) == Changed("operator")
        assert pause.on

    serving(tmp_path, scene)


def test_categories_of_the_lists_are_chosen_and_no_others(tmp_path: Path) -> None:
    async def scene(path: Path, _pause: Pause, reloads: list[str]) -> None:
        chosen = {"politics": True, "never heard of": True}
        assert await change(path, code="K7QM-3XWD", categories=chosen) == Changed("")
        assert choices.read(tmp_path).categories == {"politics": True}
        assert reloads == ["reload"]
        assert await change(path, code="K7QM-3XWD", categories={"never heard of": True}) == Changed("")
        assert reloads == ["reload"]

    serving(tmp_path, scene)


def test_a_wrong_code_changes_nothing_and_many_are_not_heard(tmp_path: Path) -> None:
    async def scene(path: Path, pause: Pause, reloads: list[str]) -> None:
        for _ in range(5):
            assert await change(path, code="wrong", paused=True, categories={"politics": True}) == Changed("code")
        late = await change(path, code="K7QM-3XWD", paused=True)
        assert late.refused == "later"
        assert 0 < late.wait_s <= 60
        assert not pause.on
        assert reloads == []
        assert not (tmp_path / choices.FILE).exists()

    serving(tmp_path, scene)


def test_a_disk_that_fails_is_told(tmp_path: Path) -> None:
    async def scene(path: Path, pause: Pause, _reloads: list[str]) -> None:
        (tmp_path / PAUSED).mkdir()  # nothing can be put in its place
        answer = await ask(path, Change(code="K7QM-3XWD", paused=True))
        assert "error" in answer
        assert answer["exit_status"] == 1
        assert pause.on

    serving(tmp_path, scene)


def test_the_code_is_where_the_configuration_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probe.agent.home.GIVEN", tmp_path / "given")
    assert code_file(PageConfig(), tmp_path) == tmp_path / "page-code"
    assert code_file(PageConfig(code_file="/boot/code"), tmp_path) == Path("/boot/code")
    (tmp_path / "given").write_text("K7QM-3XWD\n")
    assert code_file(PageConfig(), tmp_path) == tmp_path / "given"
    (tmp_path / "given").unlink()
    assert code(code_file(PageConfig(), tmp_path)) == (tmp_path / "page-code").read_text().strip()
