"""``colibri collector dossier`` and ``check``: from real packets to a dossier, and back to its verdicts."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from probe.cli.main import main
from probe.collector.dossier.manifest import KEY, MANIFEST, SIGNATURE, manifest_of, signed
from probe.collector.dossier.pack import pack, unpack
from probe.collector.incidents.model import HOUR
from probe.engine.record import unseal
from probe.model import feed
from probe.model.finding import Evidence, Finding
from tests.collector.conftest import ATLAS, Desk, FakeProbe, free_port
from tests.collector.dossier import authority
from tests.collector.dossier.conftest import KEY as SIGNER
from tests.collector.dossier.conftest import START

GOLDEN = Path(__file__).parents[1] / "measurements/golden"
PACKED = (GOLDEN / "dns_injection.pcapng.gz").read_bytes()
PCAPNG = gzip.decompress(PACKED)
Run = Callable[..., tuple[int, str, str]]


def bad(probe: FakeProbe, at: int) -> tuple[Finding, tuple[str, bytes]]:
    """A finding with evidence that bears it out."""
    finding = probe.finding(
        "interfered", at, version=unseal(PCAPNG)[1].version, evidence=Evidence(9, hashlib.sha256(PCAPNG).hexdigest(), 9)
    )
    return finding, (feed.evidence(probe.name, finding.id), PACKED)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration whose database holds one incident, of two homes."""
    desk = Desk(tmp_path / "findings.sqlite3")
    for number in range(2):
        probe = FakeProbe(f"home{number}", ATLAS)
        for hour in range(0, 72, 6):
            at = START + hour * HOUR + number * 60_000
            desk.give(*(bad(probe, at) if 24 <= hour < 48 else [probe.finding("clean", at)]), received_at=at)
    desk.close()
    path = tmp_path / "colibri.toml"
    path.write_text(f'[collector]\ndatabase = "{tmp_path}/findings.sqlite3"\n')
    return path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``colibri collector …``: exit status, output, errors."""

    def command(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main(["collector", *map(str, words)])
        told = capsys.readouterr()
        return status, told.out, told.err

    return command


@pytest.fixture
def incident(config: Path, run: Run) -> str:
    return str(json.loads(run("incidents", "--config", config, "--json")[1])["id"])


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cover without its drawing, which takes a second and is another test's affair."""
    monkeypatch.setattr("probe.collector.dossier.make.pdf", str.encode)


@pytest.mark.usefixtures("quick")
def test_it_is_made_and_every_verdict_is_computed_again(config: Path, incident: str, run: Run, tmp_path: Path) -> None:
    output = tmp_path / "case.zip"
    status, told, errors = run(
        "dossier", incident, "--config", config, "--output", output, "--lang", "fr", "--to", "court"
    )
    assert (status, errors) == (0, "")
    assert str(output) in told
    files = unpack(output.read_bytes(), "x")
    assert "À l’attention du tribunal" in files["cover-fr.pdf"].decode()
    status, told, errors = run("check", output)
    assert (status, errors) == (0, "")
    assert "8 of 8 captures give the verdict of their finding again" in told
    assert "everything is as it was signed" in told
    status, told, _ = run("check", output, "--json")
    assert (status, json.loads(told)["judged"], json.loads(told)["wrong"]) == (0, 8, [])


@pytest.mark.usefixtures("quick")
def test_the_same_store_and_time_give_the_same_bytes(
    config: Path, incident: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1770163200")
    made = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        assert run("dossier", incident, "--config", config, "--output", tmp_path / folder / "x.zip")[0] == 0
        made.append((tmp_path / folder / "x.zip").read_bytes())
    assert made[0] == made[1]
    assert json.loads(unpack(made[0], "x")[MANIFEST])["made_at"] == "2026-02-04T00:00:00.000Z"


@pytest.mark.usefixtures("quick")
def test_a_verdict_that_the_packets_do_not_give_is_found_out(
    config: Path, incident: str, run: Run, tmp_path: Path
) -> None:
    output = tmp_path / "case.zip"
    run("dossier", incident, "--config", config, "--output", output)
    files = unpack(output.read_bytes(), "x")
    # A liar with a key of his own: findings, keys and manifest are signed anew, the packets are real.
    liar, lines = FakeProbe("home0", ATLAS, seed=1), []
    for line in files["findings.jsonl"].splitlines():
        lines.append(line)
        finding = json.loads(line)
        if finding["verdict"] == "clean" or finding["probe"]["id"] != "home0":
            continue
        lied = liar.finding("down", START, id=finding["id"], version=finding["version"],
                            evidence=Evidence(9, hashlib.sha256(PCAPNG).hexdigest(), 9))  # fmt: skip
        lines[-1] = msgspec.json.encode(lied)
    keys = json.loads(files["keys.json"]) | {"home0": lied.signature.key if lied.signature else ""}
    rest = {name: data for name, data in files.items() if name not in (MANIFEST, SIGNATURE, KEY)}
    rest |= {"findings.jsonl": b"\n".join(lines), "keys.json": json.dumps(keys).encode()}
    manifest = manifest_of(incident, "2026-01-01T00:00:00.000Z", "x", rest.items())
    output.write_bytes(pack([*signed(manifest, SIGNER), *rest.items()]))
    status, told, _ = run("check", output)
    assert status == 1
    assert "4 of 8 captures give the verdict" in told
    assert told.count("judged anew it is interfered dns_injection, its finding says down") == 4


@pytest.mark.loopback
@pytest.mark.usefixtures("quick")
def test_a_time_stamp_and_whom_to_trust(config: Path, incident: str, run: Run, tmp_path: Path) -> None:
    trust, output = authority.found(tmp_path / "tsa"), tmp_path / "case.zip"
    with authority.serve(tmp_path / "tsa") as asked:
        words = ("dossier", incident, "--config", config, "--output", output, "--timestamp", asked.url)
        assert run(*words)[::2] == (0, "")
    status, told, _ = run("check", output, "--trust", trust)
    assert status == 0
    assert "by CN=Test TSA" in told
    status, told, _ = run("check", output)
    assert status == 1
    assert "manifest.json.tsr: the time stamp does not hold" in told


@pytest.mark.loopback
@pytest.mark.usefixtures("quick")
def test_an_authority_that_gives_none(config: Path, incident: str, run: Run, tmp_path: Path) -> None:
    url, output = f"http://127.0.0.1:{free_port()}/", tmp_path / "case.zip"
    words = ("dossier", incident, "--config", config, "--output", output, "--timestamp", url)
    status, _, errors = run(*words)
    assert (status, errors.count("\n")) == (1, 1)
    assert "gave no time stamp" in errors
    assert not output.exists()
    status, _, errors = run(*words, "--timestamp-optional")
    assert (status, errors.count("\n")) == (0, 1)
    assert errors.startswith("without a time stamp: ")
    assert run("check", output)[0] == 0


@pytest.mark.parametrize(("words", "status", "said"), [
    (["dossier", "0000"], 2, "there is no incident 0000"),
    (["dossier", "0000", "--timestamp-optional"], 2, "--timestamp-optional needs --timestamp"),
    (["check", "none.zip"], 1, "none.zip"),
    (["check", "{config}"], 1, "no whole zip"),
    (["check", "{zip}"], 1, "holds no manifest.json"),
    (["check", "{zip}", "--trust", "none.pem"], 1, "none.pem"),
])  # fmt: skip
def test_what_is_wrong_is_one_line(
    config: Path, run: Run, tmp_path: Path, words: list[str], status: int, said: str
) -> None:  # fmt: skip
    empty = tmp_path / "empty.zip"
    empty.write_bytes(pack([]))
    words = [word.format(config=config, zip=empty) for word in words]
    found, told, errors = run(*words, *(["--config", config] if words[0] == "dossier" else []))
    assert (found, told, errors.count("\n")) == (status, "", 1)
    assert said in errors


def test_wrong_keys_and_words(config: Path, incident: str, run: Run, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text("nonsense")
    status, _, errors = run("dossier", incident, "--config", config, "--key", key)
    assert (status, errors.count("\n")) == (2, 1)
    assert "is not an Ed25519 key" in errors
    for words in (["--lang", "de"], ["--to", "nobody"]):
        status, _, errors = run("dossier", incident, "--config", config, *words)
        assert (status, errors.count("\n")) == (2, 1)
        assert "invalid choice" in errors


@pytest.mark.parametrize("missing", ["babel", "jinja2"])
def test_without_the_extra_it_says_how_to_mend_it(config: Path, incident: str, missing: str) -> None:
    script = (
        f"import sys\nsys.modules[{missing!r}] = None\nfrom probe.cli.main import main\n"
        f"sys.exit(main(['collector', 'dossier', {incident!r}, '--config', {str(config)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"colibri: a dossier needs {missing}: pip install 'colibri-probe[dossier]'\n"
