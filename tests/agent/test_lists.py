"""Lists that come over the feed: accepted once they are vouched for, in force until they expire."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from probe.agent import lists
from probe.agent.config import load_targets
from probe.agent.requests import RefusedError
from probe.engine.guard import Guard
from probe.model.config import Config, ProbeConfig, TargetsConfig
from tests.agent.forgery import LIST, NOW, Signers, bundle_bytes


@pytest.fixture
def signers() -> Signers:
    return Signers()


def probe(folder: Path, root: Path) -> Config:
    return Config(probe=ProbeConfig(state_dir=str(folder)), targets=TargetsConfig(root=str(root)))


def test_a_list_is_taken_through_a_process_of_its_own(tmp_path: Path, signers: Signers) -> None:
    repository = signers.repository(tmp_path / "offline")
    first = bundle_bytes(signers.publish(repository))
    config = probe(tmp_path / "state", repository.root)
    accepted = asyncio.run(lists.take(first, config, Guard(), NOW))
    assert accepted is not None
    assert accepted.version == 1
    assert [entry.target for entry in lists.in_force(config, NOW)] == ["https://press.example/"]
    assert asyncio.run(lists.take(first, config, Guard(), NOW)) is None  # the same again
    second = bundle_bytes(signers.publish(repository, LIST.replace("press", "news")))
    assert asyncio.run(lists.take(second, config, Guard(), NOW)) is not None
    assert [entry.target for entry in lists.in_force(config, NOW)] == ["https://news.example/"]
    with pytest.raises(RefusedError, match="BadVersionNumberError"):
        asyncio.run(lists.take(first, config, Guard(), NOW))
    assert [entry.target for entry in lists.in_force(config, NOW)] == ["https://news.example/"]


def accept(config: Config, text: str = LIST, **dates: str) -> None:
    folder = lists.folder_of(config)
    folder.mkdir(parents=True)
    told = {"expires": "2026-12-01T00:00:00.000Z", "signed": "2026-11-01T00:00:00.000Z", **dates}
    (folder / "accepted.json").write_bytes(msgspec.json.encode({"version": 3, "targets": text, **told}))


def test_an_expired_list_is_not_measured_any_more(tmp_path: Path) -> None:
    config = probe(tmp_path, tmp_path / "root")
    accept(config)
    ends = lists.epoch("2026-12-01T00:00:00.000Z")
    assert len(lists.in_force(config, ends - 1)) == 1
    assert lists.in_force(config, ends + 1) == []


def test_a_clock_that_was_set_back_does_not_keep_it_alive(tmp_path: Path) -> None:
    config = probe(tmp_path, tmp_path / "root")
    accept(config, expires="2026-10-01T00:00:00.000Z")  # its metadata was seen a month after
    assert lists.in_force(config, 0.0) == []


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff", None])
def test_a_damaged_list_is_none(tmp_path: Path, damage: bytes | None) -> None:
    config = probe(tmp_path, tmp_path / "root")
    assert lists.in_force(config, NOW) == []
    accept(config, "[[targets]]\ntargt = 1" if damage is None else LIST)
    if damage is not None:
        (lists.folder_of(config) / "accepted.json").write_bytes(damage)
    assert lists.in_force(config, NOW) == []


def test_it_comes_beside_the_lists_of_the_configuration(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('[[targets]]\ntarget = "own.example"\nmeasurements = ["dns_injection"]\n')
    config = Config(probe=ProbeConfig(state_dir=str(tmp_path)), targets=TargetsConfig(files=[str(own)], root="r"))
    accept(config, expires="2099-01-01T00:00:00.000Z")
    assert [entry.target for entry in load_targets(config)] == ["own.example", "https://press.example/"]
    without = msgspec.structs.replace(config, targets=TargetsConfig(files=[str(own)]))
    assert [entry.target for entry in load_targets(without)] == ["own.example"]


def test_a_child_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "_WITHIN", 0.05)
    with pytest.raises(TimeoutError):
        asyncio.run(lists._verified(b"{}", tmp_path, tmp_path, NOW))
