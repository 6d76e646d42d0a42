"""A device and a real enrolment server: first certificate, renewal, refusals, and answers that are not for it."""

from __future__ import annotations

import ssl
import time
from pathlib import Path

import msgspec
import pytest
from cryptography import x509

from probe.agent import enrol as enrol_module
from probe.agent.enrol import Enrolment, RefusedError
from probe.agent.enrol_files import EnrolFiles
from probe.agent.enrol_tls import ask
from probe.collector.enrol.desk import Desk
from probe.collector.instants import DAY, now
from probe.model.config import EnrolConfig, EnrolmentConfig
from probe.model.enrol import Enrolled, Refusal
from probe.model.errors import ColibriError, ConfigError
from tests.collector.enrol.server import Server

pytestmark = pytest.mark.loopback


class Device:
    """A device with an empty state folder and a code of its own. Its clock can be wrong."""

    def __init__(self, server: Server, folder: Path, *, code: str | None = None) -> None:
        self.skew, self.synchronised = 0.0, True
        desk = Desk(EnrolmentConfig(), server.authority, server.register)
        self.config = EnrolConfig(
            server=server.url, code=code or desk.hand_out("", now(), DAY), fingerprint=server.authority.fingerprint
        )
        self.files = EnrolFiles(folder)

    @property
    def enrolment(self) -> Enrolment:
        return Enrolment(
            self.config, self.files, wall=lambda: time.time() + self.skew, synchronised=lambda: self.synchronised
        )


def age(server: Server, device: Device, days: float) -> None:
    """Let the device's certificate be one that was given so many days ago."""
    key, name = device.files.pending(), "p-agedprobe"
    at = round(now() - days * DAY)
    issued = server.authority.client(key.public_key(), name, at, 30)
    shown = b"aged" + issued.serial.encode()
    with server.register.writing():
        if server.register.probe(name) is None:
            server.register.add_probe(name, "", at)
        server.register.add_certificate(name, shown, issued)
    device.files.keep(
        Enrolled(name=name, certificate=issued.pem, authority=server.authority.pem, now="", renew_after="", expires=""),
        server.url,
    )


def test_a_code_becomes_a_certificate(server: Server, tmp_path: Path) -> None:
    device = Device(server, tmp_path)
    answer = device.enrolment.first()
    member = device.files.membership
    assert member is not None
    assert (member.name, member.server) == (answer.name, server.url)
    row = server.register.probe(answer.name)
    assert row is not None
    assert not device.enrolment.due()


@pytest.mark.parametrize("skew", [-50 * 365 * 86400.0, 40 * 365 * 86400.0])
def test_a_clock_that_is_not_set_does_not_stand_in_the_way(server: Server, tmp_path: Path, skew: float) -> None:
    device = Device(server, tmp_path)
    device.synchronised, device.skew = False, skew
    device.enrolment.first()
    assert device.enrolment.due()  # it can't know: the server does
    with pytest.raises(RefusedError, match="not time") as refused:
        device.enrolment.renew()
    assert refused.value.reason == "too_early"
    age(server, device, 25)
    device.enrolment.renew()


def test_it_renews_at_two_thirds_for_a_new_key(server: Server, tmp_path: Path) -> None:
    device = Device(server, tmp_path)
    age(server, device, 19)
    assert not device.enrolment.due()
    age(server, device, 21)
    assert device.enrolment.due()
    before = x509.load_pem_x509_certificate(device.files.identity.read_bytes())
    answer = device.enrolment.renew()
    after = x509.load_pem_x509_certificate(device.files.identity.read_bytes())
    assert answer.name == "p-agedprobe"
    assert before.public_key() != after.public_key()
    assert not device.enrolment.due()
    ssl.create_default_context().load_cert_chain(device.files.identity)  # key and certificate belong together


def test_who_was_off_for_months_is_renewed_all_the_same(server: Server, tmp_path: Path) -> None:
    device = Device(server, tmp_path)
    age(server, device, 100)
    device.enrolment.renew()


def test_the_answer_that_was_lost_comes_again(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device(server, tmp_path)
    real = ask

    def lose(*arguments: object) -> tuple[int, bytes]:
        real(*arguments)  # type: ignore[arg-type]
        raise ConnectionResetError("lost")

    monkeypatch.setattr(enrol_module, "ask", lose)
    with pytest.raises(ConnectionResetError):
        device.enrolment.first()
    monkeypatch.undo()
    before = len(server.register.probes())
    device.enrolment.first()
    assert len(server.register.probes()) == before


def test_refusals_say_what_to_do(server: Server, tmp_path: Path) -> None:
    device = Device(server, tmp_path)
    answer = device.enrolment.first()
    other = Device(server, tmp_path / "other", code=device.config.code)
    with pytest.raises(RefusedError, match="ask for a new one"):
        other.enrolment.first()
    with server.register.writing():
        server.register.mark_revoked(answer.name, now())
    with pytest.raises(RefusedError, match="was revoked"):
        device.enrolment.renew()


def test_another_server_gets_no_code(server: Server, tmp_path: Path) -> None:
    device = Device(server, tmp_path)
    device.config = msgspec.structs.replace(device.config, fingerprint="ab" * 32)
    with pytest.raises(ConfigError, match="another authority"):
        device.enrolment.first()
    device.config = msgspec.structs.replace(device.config, fingerprint="")
    with pytest.raises(ssl.SSLCertVerificationError):  # nobody whom this system trusts
        device.enrolment.first()
    authority = tmp_path / "authority.pem"
    authority.write_text(server.authority.pem)
    device.config = msgspec.structs.replace(device.config, ca=str(authority))
    device.enrolment.first()


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"enrol\.code: is missing"):
        Enrolment(EnrolConfig(server="https://x.example"), EnrolFiles(tmp_path)).first()
    with pytest.raises(ConfigError, match="never enrolled"):
        Enrolment(EnrolConfig(), EnrolFiles(tmp_path)).renew()


def forged(answer: Enrolled, how: str, server: Server, device: Device) -> Enrolled:
    key = device.files.pending().public_key()
    issue = server.authority.client
    changes = {
        "another key": {"certificate": answer.certificate},
        "another name": {"certificate": issue(key, "p-other", now(), 30).pem},
        "a name of others": {"certificate": issue(key, "collector", now(), 30).pem, "name": "collector"},
        "no token": {"certificate": issue(key, "a/b", now(), 30).pem, "name": "a/b"},
        "no certificate": {"certificate": "-----BEGIN X-----\n"},
        "another authority": {"authority": answer.certificate},
    }
    return msgspec.structs.replace(answer, **changes[how])


@pytest.mark.parametrize(
    "how", ["another key", "another name", "a name of others", "no token", "no certificate", "another authority"]
)
def test_an_answer_that_is_not_for_this_device_is_not_kept(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    device = Device(server, tmp_path)
    kept = device.enrolment.first()
    before = device.files.identity.read_bytes()
    lie = msgspec.json.encode(forged(kept, how, server, device))
    monkeypatch.setattr(enrol_module, "ask", lambda *_: (200, lie))
    with pytest.raises((ColibriError, OSError), match=r"certificate|enrolment server"):
        device.enrolment.renew()
    assert device.files.identity.read_bytes() == before


def test_a_server_can_not_rename_a_probe(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(server, tmp_path)
    kept = device.enrolment.first()
    key = device.files.pending().public_key()
    lie = msgspec.structs.replace(
        kept, name="p-other", certificate=server.authority.client(key, "p-other", now(), 30).pem
    )
    monkeypatch.setattr(enrol_module, "ask", lambda *_: (200, msgspec.json.encode(lie)))
    with pytest.raises(ColibriError, match=r"would rename p-\w+ to p-other"):
        device.enrolment.renew()


@pytest.mark.parametrize("said", [b"", b"<html>", msgspec.json.encode(Refusal("bad_code"))[:-1]])
def test_who_answers_otherwise_is_no_enrolment_server(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    device = Device(server, tmp_path)
    device.config = msgspec.structs.replace(device.config, ca="", fingerprint=device.config.fingerprint)
    monkeypatch.setattr(enrol_module, "pinned", lambda *_: server.authority.pem)
    monkeypatch.setattr(enrol_module, "ask", lambda *_: (502, said))
    with pytest.raises(OSError, match="does not answer as an enrolment server"):
        device.enrolment.first()
