"""The probe's id and key: made once, kept, never readable by others."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from probe.agent.identity import Identity
from probe.model.canonical import verify
from probe.model.ed25519 import library
from probe.model.errors import ConfigError
from tests.agent.conftest import make_finding


def test_the_id_is_made_once_and_kept(tmp_path: Path) -> None:
    first = Identity(tmp_path)
    assert re.fullmatch(r"p-[a-z2-7]{10}", first.id)
    assert Identity(tmp_path).id == first.id
    assert Identity(tmp_path / "other").id != first.id


def test_the_configured_id_wins(tmp_path: Path) -> None:
    assert Identity(tmp_path, "p-mine").id == "p-mine"
    assert list(tmp_path.iterdir()) == []


def test_the_key_is_made_at_its_first_use_and_is_nobody_elses(tmp_path: Path) -> None:
    identity = Identity(tmp_path)
    path = tmp_path / "device-key.pem"
    assert not path.exists()
    signed = identity.sign(make_finding(1))
    assert path.stat().st_mode & 0o777 == 0o600
    assert verify(msgspec.json.decode(msgspec.json.encode(signed)), identity.public_key)
    assert Identity(tmp_path).public_key == identity.public_key


@pytest.mark.parametrize("damage", [b"", b"p-/#", b"\xff\xfe", b"x" * 70])
def test_a_damaged_id_is_named_and_not_replaced(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "probe-id").write_bytes(damage)
    with pytest.raises(ConfigError, match="probe-id: is not a probe's id"):
        Identity(tmp_path)
    assert (tmp_path / "probe-id").read_bytes() == damage


X25519 = (
    b"-----BEGIN PRIVATE KEY-----\n"
    b"MC4CAQAwBQYDK2VuBCIEIHgQiHTzM0gYmBZJMEtCZBnpBRGhPSDSTVxMMjuxAUd3\n"
    b"-----END PRIVATE KEY-----\n"
)


@pytest.mark.parametrize("damage", [b"", b"garbage", X25519])
def test_a_damaged_key_is_named_and_not_replaced(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "device-key.pem").write_bytes(damage)
    with pytest.raises(ConfigError, match=r"device-key\.pem: is not an Ed25519 key"):
        Identity(tmp_path).sign(make_finding(1))
    assert (tmp_path / "device-key.pem").read_bytes() == damage


def test_a_key_that_somebody_wrote_in_another_form_is_taken(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "device-key.pem").write_bytes(b"# mine\n" + pem)
    public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    assert Identity(tmp_path).public_key == public


def test_signing_needs_no_more_than_libsodium(tmp_path: Path) -> None:
    if library() is None:
        pytest.skip("libsodium is not installed")
    script = (
        "import sys; from pathlib import Path; from probe.agent.identity import Identity; "
        f"Identity(Path({str(tmp_path)!r})).public_key; print('cryptography' in sys.modules)"
    )
    for _ in range(2):  # when it is made, and when it is read
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30)
        assert done.stdout.strip() == "False"
