"""Runs several parts of a measurement side by side: their batches become one."""

from __future__ import annotations

from collections.abc import Sequence

from probe.measurements import Part, T
from probe.model.exchange import Step


def together(parts: Sequence[Part[T]]) -> Part[list[T]]:
    """Drive all parts in step; returns their results in order. Those that end early wait for the others."""
    results: dict[int, T] = {}
    wanted: dict[int, list[Step]] = {}
    for i, part in enumerate(parts):
        try:
            wanted[i] = next(part)
        except StopIteration as stop:
            results[i] = stop.value
    while wanted:
        exchanges = iter((yield [step for steps in wanted.values() for step in steps]))
        following: dict[int, list[Step]] = {}
        for i, steps in wanted.items():
            heard = [next(exchanges) for _ in steps]
            try:
                following[i] = parts[i].send(heard)
            except StopIteration as stop:
                results[i] = stop.value
        wanted = following
    return [results[i] for i in range(len(parts))]
