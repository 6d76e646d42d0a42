"""Sessions of certificates that have ended: what is tried again, and who is asked. (Real sessions:
tests/deploy/test_broker.py.)"""

from __future__ import annotations

import logging

import msgspec
import pytest

from probe.collector.enrol import ended
from probe.collector.enrol.revoke import Pass
from probe.collector.instants import DAY
from probe.model.enrol import Enrolled, First
from tests.collector.conftest import free_port
from tests.collector.enrol.conftest import START, Office, csr

LATER = START + 40 * DAY


@pytest.fixture
def name(office: Office) -> str:
    answer = office.desk.first(First(office.code(), csr()), START)
    assert isinstance(answer, Enrolled)
    return answer.name


@pytest.mark.parametrize("names", [[], ["127.0.0.1", "localhost"]])
def test_a_broker_that_is_not_there_is_told_and_looked_for_again(
    office: Office, name: str, names: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    config = msgspec.structs.replace(office.config, names=names, broker_port=free_port())
    with caplog.at_level(logging.WARNING):
        assert ended.look(config, office.authority, LATER) == []
    assert "may still stand: " + ("the broker at localhost" if names else "no name of the broker") in caplog.text
    assert [one for one, _ in office.register.ended(LATER)] == [name]


def test_each_is_cut_once_at_the_first_of_the_broker_s_names_that_answers(
    office: Office, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[tuple[str, str, int, bool]] = []

    def enters(one: Pass, host: str, port: int, *_: object, last_words: bool = False) -> bool:
        tried.append((one.name, host, port, last_words))
        return host == "second"

    monkeypatch.setattr(Pass, "enters", enters)
    config = msgspec.structs.replace(office.config, names=["first", "second", "third"], broker_port=0)
    assert ended.look(config, office.authority, START + DAY) == []
    assert ended.look(config, office.authority, LATER) == [name]
    assert tried == [(name, "first", 8883, True), (name, "second", 8883, True)]
    assert ended.look(config, office.authority, LATER) == []
    config = msgspec.structs.replace(config, names=["first"])
    other = office.desk.first(First(office.code(), csr()), START)
    assert isinstance(other, Enrolled)
    assert ended.look(config, office.authority, LATER) == []
    assert [one for one, _ in office.register.ended(LATER)] == [other.name]


def test_one_look_is_bounded(office: Office, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ended, "MOST", 1)
    monkeypatch.setattr(Pass, "enters", lambda *_args, **_more: True)
    second = office.desk.first(First(office.code(), csr()), START)
    assert isinstance(second, Enrolled)
    config = msgspec.structs.replace(office.config, names=["localhost"])
    looks = [ended.look(config, office.authority, LATER) for _ in range(3)]
    assert sorted(looks[0] + looks[1]) == sorted([name, second.name])
    assert looks[2] == []
