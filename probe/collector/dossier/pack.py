"""The zip around a dossier: the same bytes for the same files."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterable

from probe.model.errors import MalformedRecord

MOST = 1 << 30
"""Most bytes that a dossier may open to: a small zip can hold a great deal of nothing."""
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say: when it was made stands in the manifest


def pack(files: Iterable[tuple[str, bytes]]) -> bytes:
    """A zip of files by name. What is compressed already is stored."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files:
            entry = zipfile.ZipInfo(name, _LONG_AGO)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_STORED if name.endswith(".gz") else zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return out.getvalue()


def unpack(data: bytes, where: str) -> dict[str, bytes]:
    """Files by name. Raises MalformedRecord if it is no zip, is damaged, too large, or names a file twice."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if sum(entry.file_size for entry in entries) > MOST:
                raise MalformedRecord(where, f"opens to more than {MOST} bytes")
            if len({entry.filename for entry in entries}) < len(entries):
                raise MalformedRecord(where, "names a file twice")
            return {entry.filename: archive.read(entry) for entry in entries}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
        raise MalformedRecord(where, f"no whole zip: {error}") from None
