"""Time stamps, by a real authority (`openssl ts`) on loopback."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from probe.collector.dossier.manifest import MANIFEST
from probe.collector.dossier.stamp import REQUEST, RESPONSE, ask, verify
from probe.model.errors import ColibriError, MalformedRecord, Unanswered, UsageError
from tests.collector.conftest import free_port
from tests.collector.dossier import authority

BODY = b'{"a manifest": 1}'


@pytest.fixture(scope="module")
def tsa(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tsa")
    authority.found(folder)
    return folder


@pytest.fixture(scope="module")
def stamped(tsa: Path) -> dict[str, bytes]:
    with authority.serve(tsa) as asked:
        return {MANIFEST: BODY, **dict(ask(asked.url, BODY))}


@pytest.mark.loopback
def test_only_the_hash_leaves_and_request_and_answer_are_kept(tsa: Path) -> None:
    with authority.serve(tsa) as asked:
        files = dict(ask(asked.url, BODY))
    assert list(files) == [REQUEST, RESPONSE]
    assert asked.bodies == [files[REQUEST]]
    assert asked.types == ["application/timestamp-query"]
    assert hashlib.sha256(BODY).digest() in files[REQUEST]
    assert b"manifest" not in files[REQUEST]
    assert len(files[REQUEST]) < 100


@pytest.mark.loopback
def test_it_tells_when_and_who(stamped: dict[str, bytes], tsa: Path) -> None:
    told = verify(stamped, (tsa / "trust.pem").read_bytes())
    assert told.authority == "CN=Test TSA"
    assert abs((datetime.fromisoformat(told.at) - datetime.now(UTC)).total_seconds()) < 600
    assert told.at.endswith("Z")


@pytest.mark.loopback
def test_openssl_agrees(stamped: dict[str, bytes], tsa: Path, tmp_path: Path) -> None:
    for name, data in stamped.items():
        (tmp_path / name).write_bytes(data)
    done = subprocess.run(
        ["openssl", "ts", "-verify", "-data", tmp_path / MANIFEST, "-in", tmp_path / RESPONSE,
         "-CAfile", tsa / "trust.pem"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Verification: OK" in done.stdout + done.stderr


@pytest.mark.loopback
def test_a_stamp_of_something_else_a_broken_one_and_one_of_a_stranger(
    stamped: dict[str, bytes], tsa: Path, tmp_path: Path
) -> None:
    trust = (tsa / "trust.pem").read_bytes()
    stranger = authority.found(tmp_path / "other", "Another Root").read_bytes()
    wrong = [
        (stamped | {MANIFEST: BODY + b" "}, trust), (stamped | {RESPONSE: stamped[RESPONSE][:-9]}, trust),
        (stamped | {RESPONSE: b"nonsense"}, trust), (stamped, stranger), (stamped, None),
    ]  # fmt: skip
    for files, believed in wrong:
        with pytest.raises(MalformedRecord, match=r"manifest\.json\.tsr: the time stamp does not hold: .") as told:
            verify(files, believed)
        assert "\n" not in str(told.value)


@pytest.mark.loopback
def test_every_byte_of_a_stamp_counts(stamped: dict[str, bytes], tsa: Path) -> None:
    trust = (tsa / "trust.pem").read_bytes()
    answer = stamped[RESPONSE]
    refused = 0
    for at in range(0, len(answer), 5):
        changed = answer[:at] + bytes([answer[at] ^ 1]) + answer[at + 1 :]
        try:
            told = verify(stamped | {RESPONSE: changed}, trust)
        except MalformedRecord:
            refused += 1
            continue
        # The copy of the root that is enclosed is not what is believed: it may change, what is told may not.
        assert told == verify(stamped, trust)
    assert refused > 100


def test_trust_that_is_none(stamped: dict[str, bytes]) -> None:
    with pytest.raises(UsageError, match="--trust: no certificate"):
        verify(stamped, b"nonsense")


@pytest.mark.parametrize("url", ["", "ftp://a.example/", "nonsense", "http://", "file:///etc/passwd"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(UsageError, match=r"--timestamp: .* is no http or https address"):
        ask(url, BODY)


@pytest.mark.loopback
def test_nobody_there() -> None:
    url = f"http://127.0.0.1:{free_port()}/"
    with pytest.raises(Unanswered, match=r"gave no time stamp: .*refused") as told:
        ask(url, BODY)
    assert "\n" not in str(told.value)


@pytest.mark.loopback
@pytest.mark.parametrize(("answer", "status", "said"), [
    (b"<html>", 200, "no time stamp .* in the answer"), (b"", 200, "no time stamp"), (b"x", 503, "status 503"),
    (b"x" * 300_000, 200, "more than 262144 bytes"),
    # A refusal: PKIStatusInfo with status 2 and the words "not today" (RFC 3161, 2.4.2).
    (bytes.fromhex("3012301002010230 0b0c096e6f7420746f646179".replace(" ", "")), 200, "refused .*not today"),
])  # fmt: skip
def test_an_answer_that_is_no_stamp(tsa: Path, answer: bytes, status: int, said: str) -> None:
    with authority.serve(tsa, answer, status) as asked, pytest.raises(Unanswered, match=said):
        ask(asked.url, BODY)


@pytest.mark.loopback
def test_an_old_stamp_is_not_taken_for_the_one_that_was_asked_for(stamped: dict[str, bytes], tsa: Path) -> None:
    with authority.serve(tsa, stamped[RESPONSE]) as asked, pytest.raises(Unanswered, match="something else"):
        ask(asked.url, BODY)


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rfc3161_client", None)
    for call in (lambda: ask("http://127.0.0.1/", BODY), lambda: verify({})):
        with pytest.raises(ColibriError, match=r"pip install 'colibri-probe\[dossier\]'"):
            call()
