"""A whole dossier: contents, manifest, signature, zip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe import __version__
from probe.collector import instants
from probe.collector.dossier.contents import contents
from probe.collector.dossier.manifest import manifest_of, signed
from probe.collector.dossier.pack import pack
from probe.collector.store import Reader
from probe.model.errors import UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def make(reader: Reader, incident_id: str, key: Ed25519PrivateKey, now: int, file: str) -> bytes:
    """The zip. ``file``: how it will be called; ``now`` in ms.

    Raises UsageError for an unknown incident, StoreError.
    """
    row = reader.incident(incident_id)
    if row is None:
        raise UsageError(f"there is no incident {incident_id}: `colibri collector incidents` lists them")
    files = contents(reader, row, now, file=file)
    manifest = manifest_of(row.id, instants.to_text(now), f"colibri {__version__}", files)
    return pack([*signed(manifest, key), *files])
