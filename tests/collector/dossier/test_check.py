"""Whoever changes anything in a dossier is found out."""

from __future__ import annotations

import gzip

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from probe.collector.dossier.check import check, key_id
from probe.collector.dossier.manifest import KEY, MANIFEST, SIGNATURE, Manifest, manifest_of, signed
from probe.model.errors import MalformedRecord

OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))


def wrong(files: dict[str, bytes]) -> list[str]:
    return check(files, "x.zip").wrong


def resigned(files: dict[str, bytes]) -> dict[str, bytes]:
    """The same files, signed anew by somebody else: only what is inside can give him away."""
    rest = {name: data for name, data in files.items() if name not in (MANIFEST, SIGNATURE, KEY)}
    return rest | dict(signed(manifest_of("x", "2026-01-01T00:00:00.000Z", "x", rest.items()), OTHER))


@pytest.mark.parametrize("name", ["findings.jsonl", "incident.json", "keys.json", "README.txt"])
def test_a_changed_file(files: dict[str, bytes], name: str) -> None:
    assert f"{name}: was changed (its SHA-256 is another)" in wrong(files | {name: files[name] + b"\n"})


def test_a_missing_file_and_one_too_many(files: dict[str, bytes]) -> None:
    assert wrong(files | {"extra": b""}) == ["extra: is not in the manifest"]
    del files["case.txt"]
    assert wrong(files) == ["case.txt: is missing"]


def test_another_signature_or_key(files: dict[str, bytes]) -> None:
    sentence = f"{SIGNATURE}: does not fit {MANIFEST} and {KEY}"
    assert wrong(files | {SIGNATURE: resigned(files)[SIGNATURE]}) == [sentence]
    assert wrong(files | {KEY: b"nonsense"}) == [sentence]
    assert wrong({name: data for name, data in files.items() if name != SIGNATURE}) == [sentence]


def test_a_changed_finding_is_seen_even_if_all_is_signed_anew(files: dict[str, bytes]) -> None:
    lines = files["findings.jsonl"].splitlines()
    finding = msgspec.json.decode(lines[3])
    finding["verdict"] = "down"
    files["findings.jsonl"] = b"\n".join([*lines[:3], msgspec.json.encode(finding), *lines[4:]])
    assert wrong(resigned(files)) == ["findings.jsonl, line 4: its signature does not fit, or is not of home1's key"]


def test_so_is_another_capture_a_broken_one_and_one_that_belongs_to_nothing(files: dict[str, bytes]) -> None:
    name = next(name for name in files if name.startswith("evidence/"))
    changed = gzip.compress(gzip.decompress(files[name]) + b"\0\0\0\0")
    assert wrong(resigned(files | {name: changed})) == [f"{name}: is not the capture that its finding names"]
    assert wrong(resigned(files | {name: b"nonsense"}))[0].startswith(f"{name}: neither gzip nor zlib")
    alone = "evidence/0195.pcapng.gz"
    assert wrong(resigned(files | {alone: changed})) == [f"{alone}: no finding is about it"]


def test_lines_and_keys_that_can_not_be_read(files: dict[str, bytes]) -> None:
    broken = resigned(files | {"findings.jsonl": b'{"id": 1}\n', "keys.json": b"[1]"})
    found = wrong(broken)
    assert found[0].startswith("keys.json: ")
    assert found[1].startswith("findings.jsonl, line 1: ")


def test_what_is_no_dossier(files: dict[str, bytes]) -> None:
    with pytest.raises(MalformedRecord, match=r"x\.zip.*holds no manifest\.json"):
        check({}, "x.zip")
    with pytest.raises(MalformedRecord, match=r"manifest\.json: "):
        check(files | {MANIFEST: b"{"}, "x.zip")


def test_keys_have_short_names(files: dict[str, bytes]) -> None:
    assert len(key_id(check(files, "x").key)) == 16
    assert key_id("nonsense") == "no key"
    assert msgspec.json.decode(files[MANIFEST], type=Manifest).recompute.startswith("colibri replay")
