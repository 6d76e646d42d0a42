"""``colibri probe``: rows of what came back from a small lab, and what is refused; by a daemon, and without one."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.agent.asked import read
from probe.agent.config import load
from probe.agent.daemon import engine
from probe.agent.pause import Pause
from probe.agent.session import Session
from probe.cli import handover
from probe.cli import probe as verb
from probe.cli.main import main
from probe.cli.parser import Parser
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
        f'[control]\nsocket = "{tmp_path}/control"\n'
    )
    return path


Do = Callable[..., int]
"""``colibri probe`` with these words, in the home; its exit status."""


@pytest.fixture(params=["direct", "daemon"])
def do(request: pytest.FixtureRequest, chain: Lab, config: Path, monkeypatch: pytest.MonkeyPatch) -> Do:
    """Both ways."""
    monkeypatch.setenv("COLIBRI_CONFIG", str(config))
    if request.param == "daemon":
        monkeypatch.setattr(verb, "_here", None)  # nothing is done but by the daemon

    async def scene(words: list[str]) -> int:
        async with Session(load(), [], engine):
            return await asyncio.to_thread(main, words)

    def doing(*words: str) -> int:
        with chain.enter("chain"):
            if request.param == "daemon":
                return asyncio.run(scene(["probe", *words]))
            return main(["probe", *words, "--direct"])

    return doing


def rows(do: Do, capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> list[dict[str, Any]]:
    assert do(*arguments, "--json") == status
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_ways(do: Do, capsys: pytest.CaptureFixture[str]) -> None:
    for more in ([], ["--icmp"]):
        found = rows(do, capsys, "sweep", SERVER, OTHER, "--hops", "4", *more)
        assert [row["target"] for row in found] == [SERVER, OTHER]
        for row in found:
            assert [hop["ttl"] for hop in row["hops"]] == [1, 2, 3]
            assert row["hops"][1]["address"] == "198.18.1.2"
            assert row["hops"][2]["address"] == row["target"]
            assert 4 < row["hops"][2]["rtt_ms"] < 1000  # 5; on a busy machine it takes longer


def test_what_is_inside_the_home_has_no_address(do: Do, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(config.read_text().replace(ALLOW, '["203.0.113.0/24"]'))
    (row,) = rows(do, capsys, "sweep", SERVER, "--hops", "3")
    assert (row["hops"][0]["home"], row["hops"][0]["address"]) == (True, "")
    assert do("sweep", SERVER, SILENT, "--hops", "3") == 0
    out = capsys.readouterr().out
    assert "inside the home" in out
    assert "198.18.1.10" not in out


def test_ports_and_a_file(do: Do, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = tmp_path / "list"
    listed.write_text(f"# mine\n{SERVER}\n\n{SILENT}\n{SERVER}\n")
    found = rows(do, capsys, "ports", "--file", str(listed), "--ports", "80,81")
    assert [(row["target"], row["port"], row["said"]) for row in found] == [
        (SERVER, 80, "open"), (SERVER, 81, "closed"), (SILENT, 80, ""), (SILENT, 81, ""),
    ]  # fmt: skip
    assert do("ports", SILENT, "--ports", "80") == 0
    assert capsys.readouterr().out.split() == [SILENT, "80", "silent"]


def test_names(do: Do, capsys: pytest.CaptureFixture[str]) -> None:
    found = rows(do, capsys, "dns", "press.example", "no.example", "--linger", "0.1")
    assert [row["name"] for row in found] == ["press.example", "no.example"]
    (answer,) = found[0]["answers"]
    assert answer["records"] == [f"1 {SERVER}"]
    assert answer["ttl"] == 62
    assert [one["rcode"] for one in found[1]["answers"]] == [3]
    assert do("dns", "press.example", "--linger", "0") == 0
    assert f"1 {SERVER} (TTL 62" in capsys.readouterr().out


def test_a_resolver_where_nothing_listens(do: Do, capsys: pytest.CaptureFixture[str]) -> None:
    # It is asked thrice, so the error about the first question is there before the second is sent.
    assert do("dns", "a.example", "--resolver", ROUTER, "--linger", "0") == 0
    told = capsys.readouterr()
    assert told.out == "a.example  no answer\n"
    assert told.err == f"queries came back from {ROUTER} or a router before it (ECONNREFUSED)\n"


def test_the_days_bytes_are_counted_with_those_of_others(
    do: Do, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        rows(do, capsys, "ports", SERVER, "--ports", "81")
    # Once or, on a busy machine, several times each.
    assert msgspec.json.decode((tmp_path / "sent.json").read_bytes())["octets"] in range(120, 361, 60)


def test_nothing_is_sent_while_paused(do: Do, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    Pause(tmp_path).hold("home")
    assert do("ports", SERVER) == 1
    assert capsys.readouterr().err == "colibri: the probe is paused (colibri resume)\n"
    assert not (tmp_path / "sent.json").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [(["sweep"], 2, "needs targets"), (["sweep", "192.168.1.1"], 1, "never measured"),
     (["sweep", "press"], 2, "not an IP"),
     (["sweep", SERVER, "--hops", "70"], 2, "1 to 64"), (["ports", SERVER, "--ports", "80,x"], 2, "--ports"),
     (["ports", SERVER, "--ports", "0"], 2, "1 to 65535"), (["dns", "a..b"], 1, "a..b"),
     (["dns", "a.example", "--linger", "nan"], 2, "0 to 3600"),
     (["sweep", SERVER, "--file", "/no/such"], 1, "/no/such"),
     (["sweep", "--file", sys.executable], 2, "no text"), (["nonsense"], 2, "nonsense")],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(
    do: Do, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, words: str
) -> None:
    assert do(*arguments) == status
    told = capsys.readouterr()
    assert words in told.err
    assert told.out == ""
    assert len(told.err.splitlines()) == 1


WORDS = st.sampled_from([
    SERVER, "a.example", "", "-", "--", "--json", "--direct", "--icmp", "--file", "list", "--rate", "5", "0", "x", "-5",
    "--hops", "30", "--ports", "80,81", "80,x", "--resolver", "--linger", "0.5", "nan", "--rate=7", "--nonsense",
    "--config", "--help", "99999", "1e3", " 7", "--port", "a b",
])  # fmt: skip


@given(st.sampled_from(["sweep", "ports", "dns", "nonsense"]), st.lists(WORDS, max_size=7))
def test_plain_words_are_taken_as_argparse_takes_them(kind: str, words: list[str]) -> None:
    taken = verb.plain([kind, *words])
    parser = Parser()
    verb.add_arguments(parser)
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            wanted = vars(parser.parse_args([kind, *words]))
    except SystemExit:
        wanted = None
    if taken is not None:
        assert vars(taken) == wanted


def test_plain_words_are_what_is_mostly_typed() -> None:
    taken = verb.plain(["sweep", "--hops", "12", SERVER, OTHER, "--json"])
    assert taken is not None
    assert (taken.targets, taken.hops, taken.json, taken.icmp) == ([SERVER, OTHER], 12, True, False)
    assert verb.plain([]) is None


def test_an_interface_that_there_is_not(chain: Lab, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with chain.enter("chain"):
        assert main(["probe", "sweep", SERVER, "--interface", "no-such", "--config", str(config)]) == 1
    assert "no-such" in capsys.readouterr().err


@pytest.mark.parametrize("more", ["--direct", "--config", "--interface"])
def test_the_daemon_is_not_asked_where_another_way_is_wanted(
    chain: Lab, config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], more: str
) -> None:
    monkeypatch.setattr(handover, "through_daemon", None)
    monkeypatch.setenv("COLIBRI_CONFIG", str(config))
    value = {"--config": [str(config)], "--interface": ["lo"]}.get(more, [])
    with chain.enter("chain"):
        assert main(["probe", "ports", "192.168.1.1", more, *value]) == 1
    assert "never measured" in capsys.readouterr().err


def test_without_a_daemon_it_is_done_here(
    chain: Lab, config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLIBRI_CONFIG", str(config))  # it names a socket where nobody listens
    with chain.enter("chain"):
        assert main(["probe", "ports", SERVER, "--ports", "80"]) == 0
    assert capsys.readouterr().out == f"{SERVER}  80  open\n"


@pytest.mark.parametrize("do", ["daemon"], indirect=True)
def test_a_socket_that_only_a_reader_of_toml_finds(
    do: Do, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(config.read_text().replace("[control]", '["control"]'))
    assert handover.control_socket() is None
    assert rows(do, capsys, "ports", SERVER, "--ports", "80") == [{"target": SERVER, "port": 80, "said": "open"}]


@pytest.mark.parametrize("do", ["daemon"], indirect=True)
def test_what_the_daemon_was_asked_is_in_its_log(do: Do, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows(do, capsys, "ports", SERVER, OTHER, "--ports", "80")
    assert do("sweep", "192.168.1.1") == 1
    told = [(one.what, one.outcome, one.subject, one.reason, one.by) for one in read(tmp_path)]
    subject = f"ports of 2 targets: {SERVER}, {OTHER}"
    assert told[:2] == [("measurement", "accepted", subject, "", "socket"),
                        ("measurement", "done", subject, told[1][3], "socket")]  # fmt: skip
    assert told[1][3].endswith(" packets")
    subject = "sweep of 1 targets: 192.168.1.1"
    assert [one[1:3] for one in told[2:]] == [("accepted", subject), ("failed", subject)]
    assert "never measured" in told[3][3]
