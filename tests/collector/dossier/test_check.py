"""Whoever changes anything in a dossier is found out."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from probe.collector.dossier.check import Again, Judge, check, key_id
from probe.collector.dossier.manifest import KEY, MANIFEST, SIGNATURE, Manifest, manifest_of, signed
from probe.collector.dossier.stamp import RESPONSE, ask
from probe.model.errors import MalformedRecord
from tests.collector.conftest import PCAPNG
from tests.collector.dossier import authority

OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))


def wrong(files: dict[str, bytes]) -> list[str]:
    return check(files, "x.zip").wrong


def resigned(files: dict[str, bytes]) -> dict[str, bytes]:
    """The same files, signed anew by somebody else: only what is inside can give him away."""
    rest = {name: data for name, data in files.items() if name not in (MANIFEST, SIGNATURE, KEY)}
    return rest | dict(signed(manifest_of("x", "2026-01-01T00:00:00.000Z", "x", rest.items()), OTHER))


@pytest.mark.parametrize("name", ["findings.jsonl", "incident.json", "keys.json", "README.txt"])
def test_a_changed_file(files: dict[str, bytes], name: str) -> None:
    assert f"{name}: was changed (its SHA-256 is another)" in wrong(files | {name: files[name] + b"\n"})


def test_a_missing_file_and_one_too_many(files: dict[str, bytes]) -> None:
    assert wrong(files | {"extra": b""}) == ["extra: is not in the manifest"]
    del files["case.txt"]
    assert wrong(files) == ["case.txt: is missing"]


def test_another_signature_or_key(files: dict[str, bytes]) -> None:
    sentence = f"{SIGNATURE}: does not fit {MANIFEST} and {KEY}"
    assert wrong(files | {SIGNATURE: resigned(files)[SIGNATURE]}) == [sentence]
    assert wrong(files | {KEY: b"nonsense"}) == [sentence]
    assert wrong({name: data for name, data in files.items() if name != SIGNATURE}) == [sentence]


def test_a_changed_finding_is_seen_even_if_all_is_signed_anew(files: dict[str, bytes]) -> None:
    lines = files["findings.jsonl"].splitlines()
    finding = msgspec.json.decode(lines[3])
    finding["verdict"] = "down"
    files["findings.jsonl"] = b"\n".join([*lines[:3], msgspec.json.encode(finding), *lines[4:]])
    assert wrong(resigned(files)) == ["findings.jsonl, line 4: its signature does not fit, or is not of home1's key"]


def test_so_is_another_capture_a_broken_one_and_one_that_belongs_to_nothing(files: dict[str, bytes]) -> None:
    name = next(name for name in files if name.startswith("evidence/"))
    changed = gzip.compress(gzip.decompress(files[name]) + b"\0\0\0\0")
    assert wrong(resigned(files | {name: changed})) == [f"{name}: is not the capture that its finding names"]
    assert wrong(resigned(files | {name: b"nonsense"}))[0].startswith(f"{name}: neither gzip nor zlib")
    alone = "evidence/0195.pcapng.gz"
    assert wrong(resigned(files | {alone: changed})) == [f"{alone}: no finding is about it"]


def test_lines_and_keys_that_can_not_be_read(files: dict[str, bytes]) -> None:
    broken = resigned(files | {"findings.jsonl": b'{"id": 1}\n', "keys.json": b"[1]"})
    found = wrong(broken)
    assert found[0].startswith("keys.json: ")
    assert found[1].startswith("findings.jsonl, line 1: ")


def judge(verdict: str = "", technique: str = "", version: str = "1", failure: str = "") -> Judge:
    return lambda _capture, _name: Again(verdict, technique, version, "1", failure)


def test_every_capture_is_judged_again(files: dict[str, bytes]) -> None:
    asked: list[tuple[bytes, str]] = []

    def note(capture: bytes, name: str) -> Again:
        asked.append((capture, name))
        return Again("interfered", "dns_injection", "1", "1")

    found = check(files, "x.zip", note)
    assert (found.judged, found.wrong, found.notes) == (8, [], [])
    assert {name for _, name in asked} == {name for name in files if name.startswith("evidence/")}
    assert {capture for capture, _ in asked} == {PCAPNG}


@pytest.mark.parametrize(("again", "said"), [
    (judge("clean", ""), "judged anew it is clean, its finding says interfered dns_injection"),
    (judge("interfered", "tcp_reset"), "judged anew it is interfered tcp_reset, its finding says"),
    (judge(failure="the rules of today ask for more"), "the rules of today ask for more, its finding says"),
])  # fmt: skip
def test_a_claim_that_its_packets_do_not_bear_out(files: dict[str, bytes], again: Judge, said: str) -> None:
    found = check(files, "x.zip", again)
    assert found.judged == 0
    assert len(found.wrong) == 8
    assert all(said in one for one in found.wrong)


def test_newer_rules_may_judge_otherwise(files: dict[str, bytes]) -> None:
    found = check(files, "x.zip", judge("inconclusive", "", version="2"))
    assert (found.judged, found.wrong) == (0, [])
    assert len(found.notes) == 8
    assert "(rules version 1, today's are 2)" in found.notes[0]


def test_a_capture_that_is_no_evidence(files: dict[str, bytes]) -> None:
    def refuse(capture: bytes, name: str) -> Again:
        raise MalformedRecord(name, "a capture without a log")

    found = check(files, "x.zip", refuse)
    assert found.judged == 0
    assert [one.partition(": ")[2] for one in found.wrong] == ["a capture without a log"] * 8


@pytest.mark.loopback
def test_the_time_stamp(files: dict[str, bytes], tmp_path: Path) -> None:
    trust = authority.found(tmp_path / "tsa").read_bytes()
    with authority.serve(tmp_path / "tsa") as asked:
        files |= dict(ask(asked.url, files[MANIFEST]))
    found = check(files, "x.zip", trust=trust)
    assert found.wrong == []
    assert found.stamped is not None
    assert found.stamped.authority == "CN=Test TSA"
    (wrong,) = check(files | {RESPONSE: files[RESPONSE][:-1]}, "x.zip", trust=trust).wrong
    assert wrong.startswith("manifest.json.tsr: the time stamp does not hold")
    (wrong,) = check(files, "x.zip").wrong  # nobody believes a test's authority
    assert wrong.startswith("manifest.json.tsr: the time stamp does not hold")


def test_a_time_stamp_that_is_wanted_and_not_there_or_can_not_be_checked(
    files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check(files, "x.zip", trust=b"").notes == ["it bears no time stamp"]
    monkeypatch.setitem(sys.modules, "rfc3161_client", None)
    found = check(files | {RESPONSE: b"x"}, "x.zip")
    assert found.wrong == []
    assert "manifest.json.tsr was not checked: time stamps need rfc3161-client" in found.notes[0]


def test_what_is_no_dossier(files: dict[str, bytes]) -> None:
    with pytest.raises(MalformedRecord, match=r"x\.zip.*holds no manifest\.json"):
        check({}, "x.zip")
    with pytest.raises(MalformedRecord, match=r"manifest\.json: "):
        check(files | {MANIFEST: b"{"}, "x.zip")


def test_keys_have_short_names(files: dict[str, bytes]) -> None:
    assert len(key_id(check(files, "x").key)) == 16
    assert key_id("nonsense") == "no key"
    assert msgspec.json.decode(files[MANIFEST], type=Manifest).recompute.startswith("colibri replay")
