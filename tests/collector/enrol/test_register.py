"""The register: what is written is there after a kill, all of it or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from probe.collector.enrol.authority import Issued
from probe.collector.enrol.register import Register
from probe.model.errors import StoreError


def issued(serial: str, ends: int = 100) -> Issued:
    return Issued("pem " + serial, serial, 0, ends)


def test_probes_with_their_newest_certificate(tmp_path: Path) -> None:
    register = Register(tmp_path)
    with register.writing():
        register.add_probe("p-a", "Amina", 5)
        register.add_certificate("p-a", b"1", issued("aa", 100))
        register.add_certificate("p-a", b"2", issued("bb", 200), "aa")
        register.add_probe("p-b", "", 6)
    assert [(row.name, row.label, row.ends, row.certificates, row.revoked) for row in register.probes()] == [
        ("p-b", "", 0, 0, None), ("p-a", "Amina", 200, 2, None),
    ]  # fmt: skip
    assert register.followed("aa")
    assert not register.followed("bb")
    assert register.by_serial("bb") == ("p-a", issued("bb", 200))
    assert register.by_serial("cc") is None
    assert register.certificate("p-a", b"1") == issued("aa", 100)
    assert register.certificate("p-b", b"1") is None
    register.close()


def test_all_certificates_of_the_revoked_are_on_the_list(tmp_path: Path) -> None:
    register = Register(tmp_path)
    with register.writing():
        for name, serials in {"p-a": ["a1", "a2"], "p-b": ["b1"]}.items():
            register.add_probe(name, "", 1)
            for serial in serials:
                register.add_certificate(name, serial.encode(), issued(serial))
        register.mark_revoked("p-a", 7)
        register.mark_revoked("p-a", 9)
    row = register.probe("p-a")
    assert row is not None
    assert row.revoked == 7
    assert register.revoked_serials() == ["a1", "a2"]
    register.close()


def test_whose_certificate_has_ended_and_was_not_cut_since(tmp_path: Path) -> None:
    register = Register(tmp_path)
    with register.writing():
        for name, ends in {"p-a": [100, 300], "p-b": [200], "p-c": [100], "p-d": [50], "p-e": []}.items():
            register.add_probe(name, "", 0)
            for end in ends:
                register.add_certificate(name, b"k", issued(f"{name}{end}", end))
        register.mark_revoked("p-d", 60)
    assert register.ended(100) == []
    assert register.ended(201) == [("p-c", 100), ("p-b", 200)]
    with register.writing():
        register.mark_cut("p-b", 200)
    assert register.ended(301) == [("p-c", 100), ("p-a", 300)]
    with register.writing():
        register.add_certificate("p-b", b"k", issued("again", 400))
    assert register.ended(401) == [("p-c", 100), ("p-a", 300), ("p-b", 400)]
    register.close()


def test_an_error_inside_leaves_nothing(tmp_path: Path) -> None:
    register = Register(tmp_path)

    def twice() -> None:
        with register.writing():
            register.add_probe("p-a", "", 1)
            register.add_probe("p-a", "", 1)

    with pytest.raises(StoreError, match="UNIQUE"):
        twice()
    assert register.probes() == []
    register.close()


def test_codes_are_kept_as_digests_and_forgotten_when_they_are_old(tmp_path: Path) -> None:
    register = Register(tmp_path)
    register.add_code(b"d1", "one", 0, 50)
    register.add_code(b"d2", "two", 10, 90)
    assert register.waiting(40) == [("one", 50), ("two", 90)]
    register.add_code(b"d3", "three", 60, 95)
    assert register.code(b"d1") is None
    assert register.waiting(60) == [("two", 90), ("three", 95)]
    register.close()


def test_two_hands_in_one_register(tmp_path: Path) -> None:
    service, person = Register(tmp_path), Register(tmp_path)
    person.add_code(b"d", "", 0, 10)
    assert service.code(b"d") is not None
    assert (tmp_path / "registry.sqlite3").stat().st_mode & 0o777 == 0o600
    service.close()
    person.close()


def test_a_file_that_is_no_register_is_named(tmp_path: Path) -> None:
    (tmp_path / "registry.sqlite3").write_bytes(b"not a database, but long enough to look at" * 10)
    with pytest.raises(StoreError, match=r"registry\.sqlite3: file is not a database"):
        Register(tmp_path)
