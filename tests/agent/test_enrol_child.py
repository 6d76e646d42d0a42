"""The process that enrols: what it says, and that the daemon learns the same as if it had asked itself."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from probe.agent.enrol import RefusedError
from probe.agent.enrol_child import Apart, Said
from probe.agent.enrol_files import EnrolFiles
from probe.collector.enrol.desk import Desk
from probe.collector.instants import DAY, now
from probe.model.config import EnrolConfig, EnrolmentConfig
from probe.model.errors import ColibriError
from tests.collector.enrol.server import Server

pytestmark = pytest.mark.loopback


def member_of(server: Server, code: str = "") -> EnrolConfig:
    desk = Desk(EnrolmentConfig(), server.authority, server.register)
    code = code or desk.hand_out("", now(), DAY)
    return EnrolConfig(server=server.url, code=code, fingerprint=server.authority.fingerprint)


def test_a_code_becomes_a_certificate_and_then_it_is_too_early_for_another(server: Server, tmp_path: Path) -> None:
    device = Apart(member_of(server), tmp_path)
    answer = device.first()
    member = EnrolFiles(tmp_path).membership
    assert member is not None
    assert member.name == answer.name
    assert device.files.validity()[1] > time.time() + 20 * DAY / 1000
    with pytest.raises(RefusedError, match="not time") as refused:
        device.renew()
    assert refused.value.reason == "too_early"


def test_a_wrong_code_is_refused(server: Server, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="the code is wrong") as refused:
        Apart(member_of(server, "ABCD-EFGH-JKLM"), tmp_path).first()
    assert refused.value.reason == "bad_code"


def test_trouble_is_told_in_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(ColibriError, match=r"refused"):
        Apart(EnrolConfig(server="https://localhost:1", code="ABCD-EFGH-JKLM"), tmp_path).first()
    with pytest.raises(ColibriError, match=r"enrol\.code: is missing"):
        Apart(EnrolConfig(server="https://localhost:1"), tmp_path).first()
    with pytest.raises(ColibriError, match="never enrolled"):
        Apart(EnrolConfig(server="https://localhost:1"), tmp_path).renew()


def test_a_process_that_dies_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ColibriError, match="ended with status 1"):
        Apart(EnrolConfig(server="https://localhost:1", code="x"), tmp_path).first()


def test_what_it_prints_is_one_of_three(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "probe.agent.enrol_child", "renew", str(tmp_path)],
        input=msgspec.json.encode(EnrolConfig()), capture_output=True, timeout=60, check=True,
    )  # fmt: skip
    said = msgspec.json.decode(done.stdout, type=Said)
    assert said == Said(trouble="enrol: this device was never enrolled")


def test_the_daemon_keeps_nothing_of_it(server: Server, tmp_path: Path) -> None:
    script = (
        "import sys, msgspec\nfrom probe.agent.enrol_child import Apart\nfrom probe.model.config import EnrolConfig\n"
        f"config = msgspec.json.decode({msgspec.json.encode(member_of(server))!r}, type=EnrolConfig)\n"
        f"Apart(config, {str(tmp_path)!r}).first()\n"
        "print(sorted({'cryptography', 'http.client', 'email'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == "[]\n"
