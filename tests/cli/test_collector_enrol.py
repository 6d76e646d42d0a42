"""``colibri collector enrol|list|revoke|issue``: what the operator types."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from probe.cli import collector
from probe.collector.enrol.desk import Desk
from probe.collector.enrol.register import Register
from probe.collector.instants import now
from probe.model.config import EnrolmentConfig
from probe.model.enrol import Enrolled, First
from probe.model.errors import UsageError
from tests.collector.enrol.conftest import csr


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "colibri.toml"
    path.write_text('[collector.enrol]\nfolder = "town"\nnames = ["hub.example"]\nlisten = "0.0.0.0:8444"\n')
    return path


def run(config: Path, *words: str) -> int:
    parser = argparse.ArgumentParser(prog="colibri collector")
    collector.add_arguments(parser)
    return collector.run(parser.parse_args([*words, "--config", str(config)]))


def enrolled(config: Path, code: str) -> str:
    from probe.collector.enrol.authority import Authority

    folder = config.parent / "town"
    register = Register(folder)
    answer = Desk(EnrolmentConfig(), Authority(folder, now()), register).first(First(code, csr()), now())
    register.close()
    assert isinstance(answer, Enrolled)
    return answer.name


def test_what_it_prints_is_the_device_s_configuration(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(config, "enrol", "--label", "Amina") == 0
    printed = tomllib.loads(capsys.readouterr().out)["enrol"]
    assert printed["server"] == "https://hub.example:8444"
    assert len(printed["fingerprint"]) == 64
    assert enrolled(config, printed["code"]).startswith("p-")


def test_many_codes_as_json(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(config, "enrol", "--count", "3", "--json", "--label", "École") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len({line["code"] for line in lines}) == 3
    assert {line["label"] for line in lines} == {"École"}


@pytest.mark.parametrize("words", [["--days", "0"], ["--days", "400"], ["--count", "0"], ["--count", "1001"]])
def test_too_many_or_for_too_long(config: Path, words: list[str]) -> None:
    with pytest.raises(UsageError, match="--days takes up to 365"):
        run(config, "enrol", *words)


def test_the_list_and_a_revocation(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(config, "list") == 0
    assert capsys.readouterr().out == "no probes and no open codes\n"
    run(config, "enrol", "--json", "--count", "2", "--label", "Amina")
    code = json.loads(capsys.readouterr().out.splitlines()[0])["code"]
    name = enrolled(config, code)
    run(config, "list", "--json")
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = [(row["probe"], row["state"], row["label"]) for row in rows]
    assert told == [(name, "valid", "Amina"), ("", "code", "Amina")]
    assert run(config, "revoke", name, "--no-broker") == 0
    assert "the broker was not asked" in capsys.readouterr().out
    run(config, "list")
    assert f"{name}  revoked  Amina" in capsys.readouterr().out


def test_wrong_words(config: Path) -> None:
    with pytest.raises(UsageError, match="which broker"):
        run(config, "revoke", "p-x")
    with pytest.raises(UsageError, match="is not HOST:PORT"):
        run(config, "revoke", "p-x", "--broker", "hub")
    with pytest.raises(UsageError, match="no probe is called 'p-x'"):
        run(config, "revoke", "p-x", "--no-broker")
    with pytest.raises(UsageError, match="names that begin with p-"):
        run(config, "issue", "p-x")


def test_certificates_for_the_rest_of_the_town(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(config, "issue", "collector", "--output", str(out)) == 0
    assert run(config, "issue", "hub.example", "--server", "--also", "192.0.2.7", "--output", str(out)) == 0
    for name, purpose in (("collector", "sslclient"), ("hub.example", "sslserver")):
        subprocess.run(
            ["openssl", "verify", "-CAfile", out / "authority.pem", "-purpose", purpose, out / f"{name}.pem"],
            check=True, capture_output=True,
        )  # fmt: skip
        assert (out / f"{name}.key").stat().st_mode & 0o777 == 0o600


def test_the_module_is_light() -> None:
    script = "import sys, probe.cli.collector; print(sorted({'cryptography', 'sqlite3', 'ssl'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
