"""What may be asked for, as JSON says it."""

from __future__ import annotations

import msgspec
import pytest

from probe.engine.bulk.wanted import Wanted


def test_what_is_not_said_is_as_on_the_command_line() -> None:
    wanted = msgspec.json.decode(b'{"kind": "ports", "targets": ["192.0.2.1"]}', type=Wanted)
    assert wanted == Wanted("ports", ["192.0.2.1"], 0, 30, 80, False, [80, 443], "", 0.5)


@pytest.mark.parametrize(
    ("more", "words"),
    [('"hops": 0', "hops"), ('"port": 65536', "port"), ('"ports": [80, 0]', "ports"), ('"linger": 3601', "linger"),
     ('"linger": -1', "linger"), ('"rate": -1', "rate"), ('"kind": "flood"', "kind"), ('"spoof": true', "spoof"),
     ('"targets": [1]', "targets")],
)  # fmt: skip
def test_what_is_out_of_range_or_unknown_is_refused(more: str, words: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=words):
        msgspec.json.decode(f'{{"kind": "sweep", {more}}}', type=Wanted)
