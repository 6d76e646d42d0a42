"""The zip."""

from __future__ import annotations

import io
import warnings
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.collector.dossier import pack as module
from probe.collector.dossier.pack import pack, unpack
from probe.model.errors import MalformedRecord

FILES = {"a.txt": b"text" * 100, "evidence/x.gz": b"packed"}


def test_there_and_back_and_the_same_bytes_each_time() -> None:
    data = pack(FILES.items())
    assert unpack(data, "x") == FILES
    assert pack(FILES.items()) == data
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert {entry.filename: entry.compress_type for entry in archive.infolist()} == {
            "a.txt": zipfile.ZIP_DEFLATED, "evidence/x.gz": zipfile.ZIP_STORED,
        }  # fmt: skip


@given(st.binary(max_size=200), st.integers(0, 400), st.integers(1, 255))
def test_nothing_else_comes_out_than_files_or_our_own_error(junk: bytes, at: int, flip: int) -> None:
    data = bytearray(pack(FILES.items()))
    data[at % len(data)] ^= flip
    for broken in (junk, bytes(data), bytes(data[: at % len(data)])):
        try:
            unpack(broken, "x")
        except MalformedRecord as error:
            assert "x" in str(error)  # noqa: PT017 - either is right


def test_a_zip_that_opens_to_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 100)
    with pytest.raises(MalformedRecord, match="opens to more than 100 bytes"):
        unpack(pack(FILES.items()), "x")


def test_a_name_that_comes_twice() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of it
        twice = pack([("a", b"1"), ("a", b"2")])
    with pytest.raises(MalformedRecord, match="names a file twice"):
        unpack(twice, "x")
