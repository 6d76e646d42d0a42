"""The book of requests. What it refuses stands in test_requests_forged.py; here is what it takes, and what it keeps."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.agent.findings import instant
from probe.agent.lists_repository import public_text
from probe.agent.requests import Book, RefusedError
from probe.engine.guard import Guard
from probe.model.config import RequestsConfig
from probe.model.request import ALL
from tests.agent.forgery import NAME, NOW, Signers, request

SIGNERS = Signers()


def book(folder: Path, *keys: str) -> Book:
    config = RequestsConfig(signed_by=list(keys or [public_text(SIGNERS.asker)]))
    return Book(folder, NAME, config, Guard, wall=lambda: NOW, synchronised=lambda: True)


def test_one_for_all_and_one_among_many(tmp_path: Path) -> None:
    taken = book(tmp_path).take(request(SIGNERS, probes=[ALL]), "measure")
    assert taken.sequence == 1000
    assert book(tmp_path).take(request(SIGNERS, probes=["p-x", NAME], sequence=1001), "measure").sequence == 1001


def test_each_key_counts_for_itself(tmp_path: Path) -> None:
    both = book(tmp_path, public_text(SIGNERS.asker), public_text(SIGNERS.one))
    both.take(request(SIGNERS, sequence=5000), "measure")
    both.take(request(SIGNERS, SIGNERS.one, sequence=1), "measure")
    with pytest.raises(RefusedError, match="sequence 4999 was used"):
        both.take(request(SIGNERS, sequence=4999), "measure")


def test_it_is_written_down_before_it_is_carried_out(tmp_path: Path) -> None:
    (tmp_path / "requests.json").mkdir()  # nothing can be written there
    with pytest.raises(OSError, match="requests"):
        book(tmp_path)


def test_what_is_refused_uses_up_no_number(tmp_path: Path) -> None:
    one = book(tmp_path)
    with pytest.raises(RefusedError):
        one.take(request(SIGNERS, sequence=9000, not_after=instant(NOW - 1)), "measure")
    one.take(request(SIGNERS, sequence=2), "measure")


def test_time_never_goes_behind_what_was_signed(tmp_path: Path) -> None:
    one = book(tmp_path)
    assert one.now() == NOW
    one.take(request(SIGNERS, issued_at=instant(NOW + 200), not_after=instant(NOW + 600)), "measure")
    assert one.now() == NOW + 200
    assert book(tmp_path).now() == NOW + 200


@given(st.binary(max_size=400))
def test_no_bytes_are_too_odd(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    with pytest.raises(RefusedError):
        book(tmp_path_factory.getbasetemp()).take(data, "measure")


def test_a_stop_needs_no_measurement(tmp_path: Path) -> None:
    assert book(tmp_path).take(request(SIGNERS, command="stop", measurement="", options={}), "stop").command == "stop"
