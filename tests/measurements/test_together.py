"""Parts side by side."""

from __future__ import annotations

import pytest

from probe.measurements import Part
from probe.measurements._together import together
from probe.model.exchange import Exchange, PauseStep, Step


def part(name: str, sizes: list[int]) -> Part[str]:
    """Yields batches of these sizes; checks that it is sent its own exchanges; returns what it saw."""
    seen = []
    for number, size in enumerate(sizes):
        batch: list[Step] = [PauseStep(seconds=100 * number + i) for i in range(size)]
        exchanges = yield batch
        assert [one.step for one in exchanges] == batch
        seen.append(len(exchanges))
    return f"{name}{seen}"


def test_batches_are_merged_and_split_again() -> None:
    merged = together([part("a", [2, 1]), part("b", [1, 0, 3]), part("c", [])])
    batch = next(merged)
    for size in (3, 1):
        assert len(batch) == size
        batch = merged.send([Exchange(step=step) for step in batch])
    assert len(batch) == 3
    with pytest.raises(StopIteration) as ended:
        merged.send([Exchange(step=step) for step in batch])
    assert ended.value.value == ["a[2, 1]", "b[1, 0, 3]", "c[]"]
