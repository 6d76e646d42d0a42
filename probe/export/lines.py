"""Findings as JSON lines, read one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from probe.model.errors import MalformedRecord
from probe.model.finding import Finding

LONGEST = 1 << 20
"""Most bytes of one line: a finding of the feed has 64 KiB at most, so what is longer is none."""


def findings(stream: BinaryIO, where: str) -> Iterator[Finding]:
    """The findings of a stream of JSON lines, blank lines passed over; no more than one line is held at a time.

    Raises MalformedRecord for the first line that is no finding, as ``where:NUMBER``.
    """
    decoder = msgspec.json.Decoder(Finding)
    number = 0
    while line := stream.readline(LONGEST + 1):
        number += 1
        if len(line) > LONGEST:
            raise MalformedRecord(f"{where}:{number}", f"a line of more than {LONGEST} bytes is no finding")
        if not line.strip():
            continue
        try:
            yield decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedRecord(f"{where}:{number}", f"not a finding: {error}") from None
