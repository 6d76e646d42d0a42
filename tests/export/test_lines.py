"""JSON lines: what is a finding is read, what is none is named with its place."""

from __future__ import annotations

import io

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.export import lines
from probe.model.errors import MalformedRecord
from probe.model.finding import Finding
from tests.samples import SAMPLE

LINE = msgspec.json.encode(SAMPLE)


def read(data: bytes) -> list[Finding]:
    return list(lines.findings(io.BytesIO(data), "some.jsonl"))


def test_findings_are_read_and_blank_lines_passed_over() -> None:
    assert read(LINE + b"\n\n  \r\n" + LINE) == [msgspec.convert(SAMPLE, Finding)] * 2
    assert read(b"") == []


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (b"nonsense", "JSON is malformed"), (b"[]", "Expected `object`"), (LINE[:100], "malformed"),
        (LINE.replace(b"interfered", b"blocked"), "$.verdict"), (b'"\xff\xfe"', "Expected `object`"),
        (LINE.replace(b"Example Telecom", b"\xff\xfe"), "utf"), (b"[" * 100_000, "not a finding"),
        (b" " * lines.LONGEST + b"{}", f"more than {lines.LONGEST} bytes"),
    ],
)  # fmt: skip
def test_what_is_no_finding_is_named_with_its_place(bad: bytes, said: str) -> None:
    stream = lines.findings(io.BytesIO(LINE + b"\n\n" + bad + b"\n" + LINE), "some.jsonl")
    assert next(stream).id == SAMPLE["id"]
    with pytest.raises(MalformedRecord, match=r"^some\.jsonl:3: ") as caught:
        next(stream)
    assert said in str(caught.value)


@given(st.binary(max_size=200))
def test_any_bytes_are_findings_or_refused(data: bytes) -> None:
    said = ""
    try:
        read(data)
    except MalformedRecord as error:
        said = str(error)
    assert said.startswith("some.jsonl:") or not data.strip()
