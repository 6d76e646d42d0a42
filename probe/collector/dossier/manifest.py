"""What a dossier holds, by hash, and who says so: an Ed25519 signature (RFC 8032) over the manifest's own bytes."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

import msgspec

from probe.model import canonical
from probe.model.finding import Digest, Instant, Name

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

MANIFEST, SIGNATURE, KEY = "manifest.json", "manifest.json.sig", "manifest.key"
"""The manifest; the signature over its bytes and the public key, both in base64 on one line."""

RECOMPUTE = "colibri replay evidence/*.pcapng.gz"
"""The command that judges all captures of a dossier anew."""


class Listed(msgspec.Struct, frozen=True):
    """One file of a dossier."""

    name: str
    bytes: int
    sha256: Digest


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a dossier, and how to judge it anew."""

    schema: Literal["colibri.dossier/1"] = "colibri.dossier/1"
    incident: Name
    made_at: Instant
    software: Name
    recompute: str
    files: list[Listed]


def sha256(data: bytes) -> str:
    """In hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def manifest_of(incident: str, made_at: str, software: str, files: Iterable[tuple[str, bytes]]) -> bytes:
    """Canonical JSON (RFC 8785) of the manifest of some files, by name."""
    manifest = Manifest(
        incident=incident, made_at=made_at, software=software, recompute=RECOMPUTE,
        files=[Listed(name, len(data), sha256(data)) for name, data in sorted(files)],
    )  # fmt: skip
    return canonical.canonical(msgspec.to_builtins(manifest))


def signed(manifest: bytes, key: Ed25519PrivateKey) -> list[tuple[str, bytes]]:
    """The manifest, its signature and the public key, as files."""
    public = key.public_key().public_bytes_raw()
    return [
        (MANIFEST, manifest),
        (SIGNATURE, base64.b64encode(key.sign(manifest)) + b"\n"),
        (KEY, base64.b64encode(public) + b"\n"),
    ]
