"""``colibri request``: what it signs a probe takes, and the broker is handed nothing unsigned by accident."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from probe.agent.asked import Asked
from probe.agent.lists_repository import make_key
from probe.agent.requests import Book
from probe.cli import request
from probe.engine.guard import Guard
from probe.model.config import RequestsConfig
from probe.model.errors import ColibriError, UsageError
from probe.model.request import topic
from tests.agent.conftest import Broker, FakeCollector, eventually


def run(*words: str | Path) -> int:
    parser = argparse.ArgumentParser(prog="colibri request")
    request.add_arguments(parser)
    return request.run(parser.parse_args([str(word) for word in words]))


@pytest.fixture
def key(tmp_path: Path) -> Path:
    make_key(tmp_path / "key.pem")
    return tmp_path / "key.pem"


def public(key: Path) -> str:
    from probe.agent.lists_repository import public_text, read_key

    return public_text(read_key(key))


def test_what_it_prints_a_probe_takes(tmp_path: Path, key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = RequestsConfig(signed_by=[public(key)])
    book = Book(tmp_path, "p-x", config, Guard, wall=time.time, synchronised=lambda: True)
    run("measure", "tcp-reset", "https://press.example/", "--option", "control-name=good.example", "--probe", "p-x",
        "--key", key)  # fmt: skip
    taken = book.take(capsys.readouterr().out.strip().encode(), "measure")
    assert taken.options == {"target": "https://press.example/", "control_name": "good.example"}
    time.sleep(0.002)  # its number is the time
    run("stop", "--all", "--key", key)
    assert book.take(capsys.readouterr().out.strip().encode(), "stop").probes == ["all"]


@pytest.mark.parametrize("words", [
    ["stop"], ["stop", "--all", "--probe", "p-x"], ["stop", "--all", "--minutes", "99999"],
    ["measure", "flood", "x.example", "--all"], ["measure", "tcp-reset", "x.example", "--all", "--option", "x"],
    ["measure", "tcp-reset", "x.example", "--all", "--option", "payload=00"], ["stop", "--probe", "A/B"],
])  # fmt: skip
def test_wrong_words(key: Path, words: list[str]) -> None:
    with pytest.raises(UsageError):
        run(*words, "--key", key)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    one = Broker(tmp_path)
    one.start()
    yield one
    one.stop()


@pytest.mark.loopback
def test_the_broker_is_handed_it(
    tmp_path: Path, key: Path, broker: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    collector = FakeCollector(tmp_path, broker.port)
    config = tmp_path / "colibri.toml"
    config.write_text(f'[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\n')
    run("resume", "--probe", "p-x", "--probe", "p-y", "--key", key)
    file = tmp_path / "request.json"
    file.write_text(capsys.readouterr().out)
    assert run("send", file, "--config", config) == 0
    for probe in ("p-x", "p-y"):
        eventually(lambda probe=probe: collector.on(topic(probe, "resume")))  # type: ignore[misc]
    collector.close()
    file.write_text("{}")
    with pytest.raises(UsageError, match="is not a request"):
        run("send", file, "--config", config)
    broker.stop()
    run("stop", "--all", "--key", key)
    file.write_text(capsys.readouterr().out.splitlines()[-1])
    with pytest.raises(ColibriError, match="no connection to 127"):
        run("send", file, "--config", config)


def test_the_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "colibri.toml"
    config.write_text(f'[probe]\nstate_dir = "{tmp_path}"\n')
    Asked(tmp_path, lambda: 0.0).note("request", "refused", "measure", "expired", "key=")
    assert run("log", "--config", config) == 0
    assert capsys.readouterr().out == "1970-01-01T00:00:00.000Z  request  refused  measure  expired  key=\n"
    run("log", "--json", "--config", config)
    assert json.loads(capsys.readouterr().out)["reason"] == "expired"
