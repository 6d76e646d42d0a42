"""How a TCP connection went: what came first decides."""

from __future__ import annotations

import pytest

from probe.export import attempts
from probe.export.details import Connection, Event


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        ("", None), ("lost_race", None), ("refused", "connection_refused"), ("timeout", "generic_timeout_error"),
        ("unreachable", "host_unreachable"), ("error", "unknown_failure: error"),
    ],
)  # fmt: skip
def test_a_handshake(failure: str, said: str | None) -> None:
    assert attempts.dialled(Connection(5.0, failure=failure)) == said


@pytest.mark.parametrize(
    ("resets", "fins", "data", "failure", "said"),
    [
        ([], 0, [], "", "generic_timeout_error"), ([], 1, [], "", "eof_error"), ([2.0], 0, [], "", "connection_reset"),
        ([2.0], 1, [9.0], "", "connection_reset"), ([9.0], 0, [2.0], "", None), ([], 1, [2.0, 3.0], "", None),
        ([], 0, [], "lost_race", "connection_reset"),
    ],
)  # fmt: skip
def test_what_was_sent(resets: list[float], fins: int, data: list[float], failure: str, said: str | None) -> None:
    one = Connection(5.0, [Event(at) for at in resets], fins, [Event(at) for at in data], failure)
    assert attempts.went(one) == said


def test_how_long_it_took() -> None:
    assert attempts.took(Connection(23.241, [Event(0.314)], 1, [Event(22.759)])) == 0.023555
    assert attempts.took(Connection(23.0)) == 0.023
    assert attempts.took(Connection()) == 0.0
    assert attempts.seconds(1.2345678) == 0.001235
