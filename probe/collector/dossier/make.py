"""A whole dossier: contents, cover, manifest, signature, zip; stamped with the time if asked."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

import msgspec

from probe import __version__
from probe.collector import instants
from probe.collector.dossier.check import key_id
from probe.collector.dossier.contents import contents
from probe.collector.dossier.cover import cover
from probe.collector.dossier.facts import facts
from probe.collector.dossier.manifest import KEY, manifest_of, signed
from probe.collector.dossier.pack import pack
from probe.collector.dossier.pdf import NoPdf, pdf
from probe.collector.dossier.phrases import Recipient
from probe.collector.languages.language import SOURCE, Code
from probe.collector.store import Reader
from probe.model.errors import UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

Stamp = Callable[[bytes], list[tuple[str, bytes]]]
"""From the manifest to the files of its time stamp."""


class Made(msgspec.Struct, frozen=True):
    """The zip, and what could not be done as wanted, a line each."""

    data: bytes
    notes: list[str]


def make(
    reader: Reader, incident_id: str, key: Ed25519PrivateKey, now: int, file: str, *,
    to: Recipient = "regulator", language: Code = SOURCE, stamp: Stamp | None = None, consents: Collection[str] = (),
) -> Made:  # fmt: skip
    """A dossier. ``file``: how it will be called; ``now`` in ms; ``to``: whom its cover addresses; ``consents``: probes
    whose owners agreed to be the only one of their operator.

    Raises UsageError for an unknown incident, StoreError, and what ``stamp`` raises.
    """
    row = reader.incident(incident_id)
    if row is None:
        raise UsageError(f"there is no incident {incident_id}: `colibri collector incidents` lists them")
    found = contents(reader, row, now, consents, file=file, cover=f"cover-{language}.pdf")
    signs = dict(signed(b"", key))[KEY].decode().strip()
    said = facts(reader, row, found.findings, found.captured, now, consents)
    page = cover(said, to, language, now, file=file, key=key_id(signs))
    notes = list[str]()
    try:
        face = f"cover-{language}.pdf", pdf(page)
    except NoPdf as error:
        notes.append(f"the cover is HTML: {error}")
        face = f"cover-{language}.html", page.encode()
        found = contents(reader, row, now, consents, file=file, cover=face[0])
    files = [face, *found.files]
    manifest = manifest_of(row.id, instants.to_text(now), f"colibri {__version__}", files)
    stamps = stamp(manifest) if stamp is not None else []
    return Made(pack([*signed(manifest, key), *stamps, *files]), notes)
