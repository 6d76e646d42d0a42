"""What enrolment leaves on the device, and what the configuration becomes by it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from probe.agent.enrol_files import EnrolFiles, Membership, applied
from probe.collector.enrol.authority import Authority
from probe.model.config import Config, MqttConfig, ProbeConfig, TlsConfig
from probe.model.enrol import Broker, Enrolled
from probe.model.errors import ConfigError

START = 1_790_000_000_000
with tempfile.TemporaryDirectory() as _folder:
    ISSUED = Authority(Path(_folder), START).client(
        ec.generate_private_key(ec.SECP256R1()).public_key(), "p-abcdefghij", START, 30
    )
ANSWER = Enrolled(
    name="p-abcdefghij", certificate=ISSUED.pem,
    authority="-----BEGIN CERTIFICATE-----\nAQ==\n-----END CERTIFICATE-----\n", broker=Broker("hub.example", 8883),
    now="2026-01-01T00:00:00.000Z", renew_after="2026-01-21T00:00:00.000Z", expires="2026-01-31T00:00:00.000Z",
)  # fmt: skip


def enrolled(folder: Path) -> EnrolFiles:
    files = EnrolFiles(folder)
    files.pending()
    files.keep(ANSWER, "https://hub.example:8444")
    return files


def test_the_key_stays_the_same_until_the_certificate_has_come(tmp_path: Path) -> None:
    first = EnrolFiles(tmp_path).pending()
    again = EnrolFiles(tmp_path).pending()
    assert isinstance(first, ec.EllipticCurvePrivateKey)
    assert first.public_key() == again.public_key()
    assert (tmp_path / "enrol/pending.pem").stat().st_mode & 0o777 == 0o600
    files = enrolled(tmp_path)
    assert not (tmp_path / "enrol/pending.pem").exists()
    assert files.pending().public_key() != first.public_key()


def test_a_damaged_key_is_made_anew(tmp_path: Path) -> None:
    EnrolFiles(tmp_path).pending()
    (tmp_path / "enrol/pending.pem").write_bytes(b"half")
    assert isinstance(EnrolFiles(tmp_path).pending(), ec.EllipticCurvePrivateKey)


def test_certificate_and_key_are_one_file_of_the_daemon_s_alone(tmp_path: Path) -> None:
    files = enrolled(tmp_path)
    text = files.identity.read_text()
    assert "BEGIN CERTIFICATE" in text
    assert "BEGIN PRIVATE KEY" in text
    assert files.identity.stat().st_mode & 0o777 == 0o600
    begins, ends = ISSUED.begins / 1000, ISSUED.ends / 1000
    broker = Broker("hub.example", 8883)
    assert files.membership == Membership("p-abcdefghij", "https://hub.example:8444", broker, begins, ends)


@pytest.mark.parametrize("cut_after", [1, 2, 3])
def test_a_power_cut_while_it_is_kept_leaves_the_old_or_the_new(
    tmp_path: Path, cut_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, written = EnrolFiles(tmp_path), 0
    files.pending()
    whole = EnrolFiles._write

    def write(self: EnrolFiles, path: Path, data: bytes, mode: int) -> None:
        nonlocal written
        written += 1
        if written == cut_after:
            raise KeyboardInterrupt
        whole(self, path, data, mode)

    monkeypatch.setattr(EnrolFiles, "_write", write)
    with pytest.raises(KeyboardInterrupt):
        files.keep(ANSWER, "https://hub.example:8444")
    assert EnrolFiles(tmp_path).membership is None
    monkeypatch.undo()
    enrolled(tmp_path)


def test_what_enrolment_brought_is_used(tmp_path: Path) -> None:
    config = Config(probe=ProbeConfig(state_dir=str(tmp_path), id="my-own"))
    assert applied(config) is config
    enrolled(tmp_path)
    used = applied(config)
    assert used.probe.id == "p-abcdefghij"
    assert (used.mqtt.host, used.mqtt.port) == ("hub.example", 8883)
    folder = tmp_path / "enrol"
    assert used.mqtt.tls == TlsConfig(f"{folder}/authority.pem", f"{folder}/identity.pem", "")


def test_a_broker_and_a_certificate_of_the_file_s_own_win(tmp_path: Path) -> None:
    enrolled(tmp_path)
    probe = ProbeConfig(state_dir=str(tmp_path))
    assert applied(Config(probe=probe, mqtt=MqttConfig(host="b.example", port=7))).mqtt.host == "b.example"
    own = Config(probe=probe, mqtt=MqttConfig(host="b.example", tls=TlsConfig(certificate="/mine.pem")))
    assert applied(own) == own


def test_damage_is_named(tmp_path: Path) -> None:
    files = enrolled(tmp_path)
    (tmp_path / "enrol/enrolled.json").write_bytes(b'{"name": "p-x", "server": "https://hub.example"}')
    files.identity.write_bytes(b"half")
    with pytest.raises(ConfigError, match=r"identity\.pem: can't be read"):
        files.validity()
    (tmp_path / "enrol/enrolled.json").write_bytes(b"{")
    with pytest.raises(ConfigError, match=r"enrolled\.json: can't be read"):
        applied(Config(probe=ProbeConfig(state_dir=str(tmp_path))))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_enrols_the_daemon_can_read(tmp_path: Path) -> None:
    try:
        os.chown(tmp_path, 12345, 12345)
    except OSError:
        pytest.skip("this namespace has no such user")
    files = enrolled(tmp_path)
    assert {files.identity.stat().st_uid, files.identity.parent.stat().st_uid} == {12345}


def test_a_certificate_s_dates_are_known_without_reading_it(tmp_path: Path) -> None:
    files = enrolled(tmp_path)
    assert files.validity() == (ISSUED.begins / 1000, ISSUED.ends / 1000)
    (tmp_path / "enrol/enrolled.json").write_bytes(b'{"name": "p-abcdefghij", "server": "https://hub.example"}')
    assert files.validity() == (ISSUED.begins / 1000, ISSUED.ends / 1000)  # as an older version left it


def test_the_daemon_loads_nothing_heavy_for_it(tmp_path: Path) -> None:
    enrolled(tmp_path)
    script = (
        "import sys\nfrom probe.agent import session\nfrom probe.agent.enrol import Enrolment\n"
        "from probe.agent.enrol_files import EnrolFiles\nfrom probe.model.config import EnrolConfig\n"
        f"Enrolment(EnrolConfig(), EnrolFiles({str(tmp_path)!r})).due()\n"
        "print(sorted({'cryptography.x509', 'tuf', 'urllib3', 'securesystemslib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
