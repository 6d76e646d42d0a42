"""``colibri lists``: from three keys to a bundle that a probe accepts, as it is typed."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from probe.cli import lists
from probe.model.errors import ColibriError, ConfigError, UsageError
from tests.agent.forgery import LIST


def run(*words: object) -> int:
    parser = argparse.ArgumentParser(prog="colibri lists")
    lists.add_arguments(parser)
    return lists.run(parser.parse_args([str(word) for word in words]))


@pytest.fixture
def keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    made = {}
    for name in ("amina", "yacine", "online"):
        run("key", tmp_path / f"{name}.pem")
        made[name] = capsys.readouterr().out.strip()
    return made


def test_from_keys_to_a_bundle(tmp_path: Path, keys: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    place = ["--repository", tmp_path / "r"]
    run("init", "--signer", keys["amina"], "--signer", keys["yacine"], "--online", keys["online"], *place)
    (tmp_path / "list.toml").write_text(LIST)
    assert run("stage", tmp_path / "list.toml", *place) == 0
    run("sign", "--key", tmp_path / "amina.pem", *place)
    with pytest.raises(UsageError, match="not enough signatures yet"):
        run("publish", "--key", tmp_path / "online.pem", *place)
    run("sign", "--key", tmp_path / "yacine.pem", *place)
    capsys.readouterr()
    assert run("publish", "--key", tmp_path / "online.pem", *place) == 0
    assert "bundle.json" in capsys.readouterr().out
    config = tmp_path / "colibri.toml"
    config.write_text("")
    check = ["check", tmp_path / "r/bundle.json", "--root", tmp_path / "r/root.json", "--config", config]
    assert run(*check) == 0
    assert "  https://press.example/  tcp_reset  \n" in capsys.readouterr().out
    bundle = tmp_path / "r/bundle.json"
    bundle.write_text(bundle.read_text().replace("press", "prEss"))
    with pytest.raises(ColibriError, match="a probe would refuse it: "):
        run(*check)


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    (tmp_path / "list.toml").write_text("[[targets]]\ntargt = 1\n")
    with pytest.raises(ConfigError, match="there is no such option; did you mean 'target'"):
        run("stage", tmp_path / "list.toml", "--repository", tmp_path / "r")
    (tmp_path / "bundle.json").write_text("{}")
    with pytest.raises(UsageError, match="there is no such file"):
        run("check", tmp_path / "bundle.json", "--root", tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        run("sign", "--key", tmp_path / "none.pem")
