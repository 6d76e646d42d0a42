"""``colibri enrol``: a person with an installed package and a code."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from probe.agent.enrol_files import applied
from probe.cli import enrol
from probe.collector.enrol.desk import Desk
from probe.collector.instants import DAY, now
from probe.model.config import Config, EnrolmentConfig, ProbeConfig
from probe.model.errors import ColibriError, ConfigError
from tests.collector.enrol.server import Server


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="colibri enrol")
    enrol.add_arguments(parser)
    return parser.parse_args(words)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "colibri.toml"
    path.write_text(f'[probe]\nstate_dir = "{tmp_path}/state"\n')
    return path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    one = Server(tmp_path_factory.mktemp("enrol"), broker_port=18883)
    yield one
    one.close()


@pytest.mark.loopback
def test_a_code_makes_a_probe(server: Server, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = Desk(EnrolmentConfig(), server.authority, server.register).hand_out("", now(), DAY)
    words = [code.lower(), "--server", server.url, "--fingerprint", server.authority.fingerprint]
    words += ["--config", str(config)]
    assert enrol.run(parse(*words)) == 0
    said = capsys.readouterr().out
    name = re.search(r"enrolled as (p-\w+);", said)
    assert name
    assert "it will publish to localhost:18883" in said
    used = applied(Config(probe=ProbeConfig(state_dir=str(config.parent / "state"))))
    assert (used.probe.id, used.mqtt.host) == (name[1], "localhost")
    with pytest.raises(ColibriError, match="used by another device"):  # it has made a new key meanwhile
        enrol.run(parse(*words))


def test_what_is_missing_or_away_is_one_line(config: Path) -> None:
    with pytest.raises(ConfigError, match=r"enrol\.server: is missing: give --server"):
        enrol.run(parse("X", "--config", str(config)))
    with pytest.raises(ConfigError, match=r"enrol\.server: 'hub' is not"):
        enrol.run(parse("X", "--server", "hub", "--config", str(config)))
    with pytest.raises(ColibriError, match=r"https://127\.0\.0\.1:1: .*refused"):
        enrol.run(parse("X", "--server", "https://127.0.0.1:1", "--config", str(config)))
