"""``colibri replay``: recorded verdicts judged again. (The evidence is that of tests/measurements/golden.)"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import msgspec
import pytest

from probe.cli.main import main
from probe.cli.replay import DIFFERS
from probe.engine.record import seal, unseal

GOLDEN = Path(__file__).parents[1] / "measurements/golden"
RESET = GOLDEN / "tcp_reset.pcapng.gz"


@pytest.fixture
def altered(tmp_path: Path) -> Path:
    """Evidence whose log claims another verdict than its packets support."""
    records, log = unseal(gzip.decompress((GOLDEN / "dns_injection.pcapng.gz").read_bytes()))
    path = tmp_path / "altered.pcapng"
    path.write_bytes(seal(records, msgspec.structs.replace(log, verdict="clean", technique=""))[1])
    return path


def test_evidence_is_judged_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(RESET), "--exit-verdict"]) == 0
    out = capsys.readouterr().out
    assert "tcp_reset of http://press.example/: interfered tcp_reset" in out
    assert "between hop 2 (198.18.30.2) and hop 3 (198.18.30.3)" in out
    assert "as recorded" in out


def test_plain_files_and_several_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = tmp_path / "plain.pcapng"
    plain.write_bytes(gzip.decompress(RESET.read_bytes()))
    assert main(["replay", "--json", str(plain), str(GOLDEN / "dns_injection.pcapng.gz")]) == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["agrees"], first["measurement"], first["recorded"]["verdict"]) == (True, "tcp_reset", "interfered")
    assert second["judgement"]["interference"]["technique"] == "dns_injection"


def test_another_verdict_than_recorded_is_said(altered: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(altered)]) == 0
    assert "OTHERWISE than recorded: clean" in capsys.readouterr().out
    assert main(["replay", str(altered), "--exit-verdict"]) == DIFFERS


@pytest.mark.parametrize("keep", [0, 10, 300, 5000])
def test_a_cut_file_is_one_line_and_status_1(tmp_path: Path, keep: int, capsys: pytest.CaptureFixture[str]) -> None:
    for name, whole in (("cut.gz", RESET.read_bytes()), ("cut", gzip.decompress(RESET.read_bytes()))):
        path = tmp_path / name
        path.write_bytes(whole[:keep])
        assert main(["replay", str(path)]) == 1
        captured = capsys.readouterr()
        assert (captured.out, captured.err.count("\n")) == ("", 1)
        assert str(path) in captured.err


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(tmp_path / "none.pcapng")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_evidence_without_the_packets_that_rules_ask_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records, log = unseal(gzip.decompress(RESET.read_bytes()))
    path = tmp_path / "short.pcapng"
    path.write_bytes(seal(records, msgspec.structs.replace(log, batches=log.batches[:2]))[1])
    assert main(["replay", str(path)]) == 1
    assert "rules of today ask for more" in capsys.readouterr().err


CAPTURES = Path(__file__).parents[1] / "engine/captures"


def test_a_capture_of_others_is_judged_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(CAPTURES / "dns-race.pcap"), str(CAPTURES / "honest.pcap")]) == 0
    out = capsys.readouterr().out
    assert "dns_injection of press.example: interfered dns_injection" in out
    assert "honest.pcap: capture of capture: inconclusive" in out
    assert main(["replay", str(CAPTURES / "dns-race.pcap"), "--exit-verdict"]) == DIFFERS
    assert main(["replay", str(CAPTURES / "honest.pcap"), "--exit-verdict"]) == 0


def test_a_capture_of_others_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packed = tmp_path / "resets.pcapng.gz"
    packed.write_bytes(gzip.compress((CAPTURES / "resets.pcapng").read_bytes()))
    assert main(["replay", "--json", str(packed)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    shown = json.loads(line)
    assert (shown["file"], shown["measurement"], shown["version"]) == (str(packed), "capture", "1")
    assert [one["rule"] for one in shown["judgements"]] == ["tcp_reset/captured-reset-from-nearer"]
