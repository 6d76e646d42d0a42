"""The process that verifies a bundle: its words and its exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from securesystemslib.signer import SSlibKey

from probe.agent.findings import instant
from probe.agent.lists import Accepted
from probe.agent.lists_child import verify
from probe.model.errors import MalformedRecord
from probe.model.request import Bundle
from tests.agent.forgery import LIST, NOW, Signers, bundle_bytes, resigned


@pytest.fixture
def signers() -> Signers:
    return Signers()


def child(data: bytes, root: Path, folder: Path) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "probe.agent.lists_child", str(root), str(folder), str(NOW)]
    return subprocess.run(command, input=data, capture_output=True, timeout=60, check=False)


def test_its_answer_is_the_list(tmp_path: Path, signers: Signers) -> None:
    repository = signers.repository(tmp_path / "offline")
    done = child(bundle_bytes(signers.publish(repository)), repository.root, tmp_path / "state")
    assert (done.returncode, done.stderr) == (0, b"")
    accepted = msgspec.json.decode(done.stdout, type=Accepted)
    assert accepted.targets == LIST
    assert accepted.signed == instant(NOW)


@pytest.mark.parametrize(
    ("data", "word"), [(b"x", "JSON is malformed"), (b'{"schema": "colibri.lists/1", "files": {}}', "bundle: ")]
)
def test_its_reason_is_one_line(tmp_path: Path, signers: Signers, data: bytes, word: str) -> None:
    repository = signers.repository(tmp_path / "offline")
    signers.publish(repository)
    done = child(data, repository.root, tmp_path / "state")
    assert done.returncode == 1
    assert done.stdout == b""
    assert word in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1


def test_a_root_that_is_none_is_said(tmp_path: Path) -> None:
    done = child(b'{"schema": "colibri.lists/1", "files": {}}', tmp_path / "none", tmp_path)
    assert done.returncode == 1
    assert b"No such file" in done.stderr
    with pytest.raises(MalformedRecord):
        verify(Bundle("colibri.lists/1", {}), json.dumps({"signed": {}}).encode(), tmp_path, NOW)


def test_keys_can_be_changed_and_the_old_ones_then_sign_nothing(tmp_path: Path, signers: Signers) -> None:
    """A signer is lost: the others sign a root without them, and probes with the first root follow."""
    repository = signers.repository(tmp_path / "offline")
    first = signers.publish(repository)
    gone = Signers()

    def change(signed: Any) -> None:
        signed.version = 2
        new = SSlibKey.from_crypto(gone.one.public_key())
        old = SSlibKey.from_crypto(signers.three.public_key())
        for role in ("root", "targets"):
            signed.add_key(new, role)
            signed.revoke_key(old.keyid, role)

    second = resigned(first.files["1.root.json"], [signers.one, signers.two], change)
    by_old = Bundle("colibri.lists/1", first.files | {"2.root.json": second})  # its list is signed by one and three
    with pytest.raises(MalformedRecord, match="signed by 1/2"):
        verify(by_old, repository.root.read_bytes(), tmp_path / "state", NOW)
    name = "1.targets.json"
    by_new = Bundle("colibri.lists/1", {**by_old.files, name: resigned(first.files[name], [signers.one, gone.one])})
    assert verify(by_new, repository.root.read_bytes(), tmp_path / "state", NOW).version == 1
