"""The manifest's bytes and their signature."""

from __future__ import annotations

import base64

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from probe.collector.dossier.manifest import KEY, MANIFEST, SIGNATURE, Manifest, manifest_of, sha256, signed

OWN = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
FILES = [("b", b"2"), ("a", b"1")]


def test_files_are_listed_by_name_whatever_their_order() -> None:
    data = manifest_of("0123", "2026-01-01T00:00:00.000Z", "colibri 1", FILES)
    assert data == manifest_of("0123", "2026-01-01T00:00:00.000Z", "colibri 1", reversed(FILES))
    manifest = msgspec.json.decode(data, type=Manifest)
    assert [(one.name, one.bytes, one.sha256) for one in manifest.files] == [
        ("a", 1, sha256(b"1")), ("b", 1, sha256(b"2")),
    ]  # fmt: skip


def test_the_signature_is_over_the_manifests_own_bytes() -> None:
    files = dict(signed(b"{}", OWN))
    OWN.public_key().verify(base64.b64decode(files[SIGNATURE]), files[MANIFEST])
    assert base64.b64decode(files[KEY]) == OWN.public_key().public_bytes_raw()
