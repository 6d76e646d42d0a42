"""From HTML to PDF."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from probe.collector.dossier.pdf import NoPdf, pdf

PAGE = """<!doctype html><html lang="ar" dir="rtl"><head><title>عنوان</title>
<meta name="dcterms.created" content="2026-01-01T00:00:00Z"></head>
<body style="font-family: Amiri"><h1>حجب الإنترنت</h1><p>Text <bdi>198.51.100.10</bdi></p>
<img src="file:///etc/hostname" alt=""><img src="http://127.0.0.1:1/x.png" alt=""></body></html>"""


def text(data: bytes, tmp_path: Path) -> str:
    (tmp_path / "x.pdf").write_bytes(data)
    done = subprocess.run(["pdftotext", "-raw", tmp_path / "x.pdf", "-"], capture_output=True, check=True)
    return done.stdout.decode()


def test_a_page_is_text_tagged_and_the_same_each_time(tmp_path: Path) -> None:
    data = pdf(PAGE)
    assert data.startswith(b"%PDF-1.7")
    assert data == pdf(PAGE)
    assert data != pdf(PAGE.replace("Text", "Other"))
    told = text(data, tmp_path)
    assert "198.51.100.10" in told
    assert "الإنترنت" in "".join(sign for sign in told if sign not in "\u200e\u200f\u202a\u202b\u202c\u2068\u2069")
    info = subprocess.run(["pdfinfo", tmp_path / "x.pdf"], capture_output=True, text=True, check=True).stdout
    assert "Tagged:          yes" in info
    assert "عنوان" in info
    fonts = subprocess.run(["pdffonts", tmp_path / "x.pdf"], capture_output=True, text=True, check=True).stdout
    assert "Amiri" in fonts


@pytest.mark.parametrize("error", [ImportError("No module named 'weasyprint'"), OSError("cannot load libpango\nmore")])
def test_without_weasyprint_or_its_libraries(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    class Finder:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "weasyprint":
                raise error

    for name in [name for name in sys.modules if name.split(".")[0] == "weasyprint"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    with pytest.raises(NoPdf, match=r"no PDF is made: .*colibri-probe\[dossier\]") as told:
        pdf(PAGE)
    assert "\n" not in str(told.value)
