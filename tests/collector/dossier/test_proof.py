"""The signed heartbeats of a silence go with the dossier, and whoever changes one is found out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
import pytest

from probe.collector.dossier.check import check
from probe.collector.dossier.make import make
from probe.collector.dossier.pack import unpack
from probe.collector.dossier.proof import FILE, faults
from probe.collector.incidents.model import HOUR
from tests.collector.dossier.conftest import KEY, NOW, START
from tests.collector.test_heartbeats_table import beat

if TYPE_CHECKING:
    from tests.collector.conftest import Desk, FakeProbe

QUIET = range(30, 44)  # hours in which nobody measures


@pytest.fixture
def silent(desk: Desk, probes: Callable[..., FakeProbe], monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """A dossier of two homes with a bad day and a silence in it; one of them lived, and so did a stranger."""
    monkeypatch.setattr("probe.collector.dossier.make.pdf", str.encode)
    homes = [probes(f"home{number}") for number in range(2)]
    for hour in range(0, 72, 2):
        if hour not in QUIET:
            desk.give(*(p.finding("interfered" if 24 <= hour < 48 else "clean", START + hour * HOUR) for p in homes))
    for hour in range(24, 50):
        for one in (homes[0], probes("stranger")):
            desk.give(beat(one, START + hour * HOUR + 60_000), received_at=START + 50 * HOUR)
    (row,) = desk.reader.incidents(10)
    return unpack(make(desk.reader, row.id, KEY, NOW, "x.zip").data, "x.zip")


def test_they_are_there_signed_and_of_the_silence_alone(silent: dict[str, bytes]) -> None:
    beats = [msgspec.json.decode(line) for line in silent[FILE].splitlines()]
    assert {one["probe"] for one in beats} == {"home0"}
    assert len(beats) == len(QUIET) + 1, "the hour after the last result, too"
    assert check(silent, "x.zip").wrong == []


def test_where_nobody_was_silent_there_is_no_such_file(files: dict[str, bytes]) -> None:
    assert FILE not in files


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda line: line.replace(b'"measured":3', b'"measured":4'), "its signature does not fit"),
        (lambda line: line.replace(b"home0", b"home1"), "is not of home1's key"),
        (lambda line: line.replace(b"home0", b"home7"), "is not of home7's key"),
        (lambda _: b"{}", "missing required field"),
        (lambda line: line[:-5], "line 2"),
    ],
)
def test_a_changed_one_is_found_out(
    silent: dict[str, bytes], spoil: Callable[[bytes], bytes], said: str
) -> None:
    lines = silent[FILE].splitlines()
    keys = msgspec.json.decode(silent["keys.json"])
    assert list(faults(silent[FILE], keys)) == []
    changed = b"\n".join([lines[0], spoil(lines[1]), *lines[2:]])
    (fault,) = faults(changed, keys)
    assert fault.startswith(f"{FILE}, line 2: ")
    assert said in fault
    assert fault in check(silent | {FILE: changed}, "x.zip").wrong
