"""``colibri probe``: rows of what came back from a small lab, and what is refused."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from probe.cli.main import main
from probe.lab.lab import Lab

pytestmark = pytest.mark.lab

SERVER, OTHER, SILENT = "203.0.113.10", "203.0.113.11", "203.0.113.12"
ROUTER = "198.18.1.2"
ALLOW = '["198.18.0.0/15", "203.0.113.0/24"]'


@pytest.fixture(scope="module")
def chain() -> Iterator[Lab]:
    """A client, two routers, a server."""
    with Lab.chain(2, rtt=0.005) as lab:
        yield lab


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration that opens the lab."""
    path = tmp_path / "colibri.toml"
    path.write_text(
        f'[probe]\nstate_dir = "{tmp_path}"\n[safety]\nallow_networks = {ALLOW}\npackets_per_second = 2000\n'
        f'target_packets_per_second = 2000\n[measure]\nresolver = "{SERVER}"\n'
    )
    return path


def rows(lab: Lab, capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> list[dict[str, Any]]:
    with lab.enter("chain"):
        assert main(["probe", *arguments, "--json"]) == status
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_ways(chain: Lab, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for more in ([], ["--icmp"]):
        found = rows(chain, capsys, "sweep", SERVER, OTHER, "--hops", "4", "--config", str(config), *more)
        assert [row["target"] for row in found] == [SERVER, OTHER]
        for row in found:
            assert [hop["ttl"] for hop in row["hops"]] == [1, 2, 3]
            assert row["hops"][1]["address"] == "198.18.1.2"
            assert row["hops"][2]["address"] == row["target"]
            assert row["hops"][2]["rtt_ms"] > 4


def test_what_is_inside_the_home_has_no_address(
    chain: Lab, tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(config.read_text().replace(ALLOW, '["203.0.113.0/24"]'))
    (row,) = rows(chain, capsys, "sweep", SERVER, "--hops", "3", "--config", str(config))
    assert (row["hops"][0]["home"], row["hops"][0]["address"]) == (True, "")
    with chain.enter("chain"):
        assert main(["probe", "sweep", SERVER, SILENT, "--hops", "3", "--config", str(config)]) == 0
    out = capsys.readouterr().out
    assert "inside the home" in out
    assert "198.18.1.10" not in out


def test_ports_and_a_file(chain: Lab, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = tmp_path / "list"
    listed.write_text(f"# mine\n{SERVER}\n\n{SILENT}\n{SERVER}\n")
    found = rows(chain, capsys, "ports", "--file", str(listed), "--ports", "80,81", "--config", str(config))
    assert [(row["target"], row["port"], row["said"]) for row in found] == [
        (SERVER, 80, "open"), (SERVER, 81, "closed"), (SILENT, 80, ""), (SILENT, 81, ""),
    ]  # fmt: skip
    with chain.enter("chain"):
        assert main(["probe", "ports", SILENT, "--ports", "80", "--config", str(config)]) == 0
    assert capsys.readouterr().out.split() == [SILENT, "80", "silent"]


def test_names(chain: Lab, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = rows(chain, capsys, "dns", "press.example", "no.example", "--linger", "0.1", "--config", str(config))
    assert [row["name"] for row in found] == ["press.example", "no.example"]
    (answer,) = found[0]["answers"]
    assert answer["records"] == [f"1 {SERVER}"]
    assert answer["ttl"] == 62
    assert [one["rcode"] for one in found[1]["answers"]] == [3]
    with chain.enter("chain"):
        assert main(["probe", "dns", "press.example", "--linger", "0", "--config", str(config)]) == 0
    assert f"1 {SERVER} (TTL 62" in capsys.readouterr().out


def test_a_resolver_where_nothing_listens(chain: Lab, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # It is asked thrice, so the error about the first question is there before the second is sent.
    with chain.enter("chain"):
        assert main(["probe", "dns", "a.example", "--resolver", ROUTER, "--linger", "0", "--config", str(config)]) == 0
    told = capsys.readouterr()
    assert told.out == "a.example  no answer\n"
    assert told.err == f"queries came back from {ROUTER} or a router before it (ECONNREFUSED)\n"


def test_the_days_bytes_are_counted_with_those_of_others(
    chain: Lab, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        rows(chain, capsys, "ports", SERVER, "--ports", "81", "--config", str(config))
    # Once or, on a busy machine, several times each.
    assert msgspec.json.decode((tmp_path / "sent.json").read_bytes())["octets"] in range(120, 361, 60)


def test_nothing_is_sent_while_paused(
    chain: Lab, config: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    config.write_text(config.read_text() + '[control]\nsocket = ""\n')
    assert main(["pause", "--config", str(config)]) == 0
    with chain.enter("chain"):
        assert main(["probe", "ports", SERVER, "--config", str(config)]) == 1
    assert "paused" in capsys.readouterr().err
    assert not (tmp_path / "sent.json").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [(["sweep"], 2, "needs targets"), (["sweep", "192.168.1.1"], 1, "never measured"),
     (["sweep", "press"], 2, "not an IP"),
     (["sweep", SERVER, "--hops", "70"], 2, "1 to 64"), (["ports", SERVER, "--ports", "80,x"], 2, "--ports"),
     (["ports", SERVER, "--ports", "0"], 2, "1 to 65535"), (["dns", "a..b"], 1, "a..b"),
     (["sweep", SERVER, "--file", "/no/such"], 1, "/no/such"),
     (["sweep", "--file", sys.executable], 2, "no text"), (["nonsense"], 2, "nonsense"),
     (["sweep", SERVER, "--interface", "no-such"], 1, "no-such")],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(
    chain: Lab, config: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, words: str
) -> None:
    with chain.enter("chain"):
        assert main(["probe", *arguments, "--config", str(config)] if len(arguments) > 1 or arguments == ["sweep"]
                    else ["probe", *arguments]) == status  # fmt: skip
    told = capsys.readouterr()
    assert words in told.err
    assert told.out == ""
    assert len(told.err.splitlines()) == 1
