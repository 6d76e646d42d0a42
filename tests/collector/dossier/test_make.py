"""A whole dossier."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from probe.collector.dossier.check import check
from probe.collector.dossier.make import make
from probe.collector.dossier.manifest import MANIFEST
from probe.collector.dossier.pack import unpack
from probe.collector.dossier.pdf import NoPdf
from probe.collector.dossier.stamp import RESPONSE
from probe.model.errors import UsageError
from tests.collector.dossier.conftest import KEY, NOW

if TYPE_CHECKING:
    from tests.collector.conftest import Desk


def test_it_is_true_to_itself_and_the_same_each_time(desk: Desk, incident: str) -> None:
    made = make(desk.reader, incident, KEY, NOW, "x.zip")
    assert made.notes == []
    found = check(unpack(made.data, "x.zip"), "x.zip")
    assert (found.incident, found.findings, found.captures, found.wrong) == (incident, 24, 8, [])
    assert (found.judged, found.stamped, found.notes) == (0, None, [])
    assert make(desk.reader, incident, KEY, NOW, "x.zip") == made


def test_without_weasyprint_the_cover_is_html_and_a_line_says_so(
    desk: Desk, incident: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(page: str) -> bytes:
        raise NoPdf("no PDF is made: no WeasyPrint")

    monkeypatch.setattr("probe.collector.dossier.make.pdf", none)
    made = make(desk.reader, incident, KEY, NOW, "x.zip", language="ar")
    assert made.notes == ["the cover is HTML: no PDF is made: no WeasyPrint"]
    files = unpack(made.data, "x.zip")
    assert 'dir="rtl"' in files["cover-ar.html"].decode()
    assert "cover-ar.html" in files["README.txt"].decode()
    assert check(files, "x.zip").wrong == []


def test_a_stamp_is_of_the_manifest_and_not_in_it(
    desk: Desk, incident: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("probe.collector.dossier.make.pdf", str.encode)
    seen: list[bytes] = []

    def stamp(manifest: bytes) -> list[tuple[str, bytes]]:
        seen.append(manifest)
        return [(RESPONSE, b"stamp")]

    files = unpack(make(desk.reader, incident, KEY, NOW, "x.zip", stamp=stamp).data, "x.zip")
    assert seen == [files[MANIFEST]]
    assert files[RESPONSE] == b"stamp"
    assert RESPONSE not in files[MANIFEST].decode()


def test_an_unknown_incident(desk: Desk) -> None:
    with pytest.raises(UsageError, match="no incident 0123"):
        make(desk.reader, "0123", KEY, NOW, "x.zip")
