"""TLS on a device that may not know the date: names and signatures count, dates only where the clock is right."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from probe.agent.enrol_tls import MOST, ask, endpoint, pinned, trusting
from probe.collector.enrol.authority import Authority, private_pem
from probe.collector.instants import DAY, now
from probe.model.errors import ConfigError


@contextlib.contextmanager
def serving(folder: Path, authority: Authority, answer: bytes, *, at: int | None = None, name: str = "localhost",
            times: int = 1) -> Iterator[str]:  # fmt: skip
    """A TLS server that says the same to everybody, with a certificate from the moment ``at``."""
    key = ec.generate_private_key(ec.SECP256R1())
    issued = authority.server(key.public_key(), [name], now() if at is None else at, 1)
    (folder / "server.pem").write_bytes(issued.pem.encode() + private_pem(key))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")

    def serve() -> None:
        for _ in range(times):
            with contextlib.suppress(OSError):
                plain, _ = listener.accept()
                with context.wrap_socket(plain, server_side=True) as secure:
                    secure.recv(65536)
                    secure.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"https://localhost:{listener.getsockname()[1]}"
        thread.join()


def answer(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca", now())


@pytest.mark.loopback
@pytest.mark.parametrize("at", [-10 * DAY, 10 * DAY])
def test_dates_are_forgiven_where_the_clock_is_not_set_and_only_there(
    tmp_path: Path, authority: Authority, at: int
) -> None:
    with serving(tmp_path, authority, answer(b"hello"), at=now() + at, times=2) as url:
        assert ask(url, "GET", "/", b"", trusting(authority.pem, lambda: False)) == (200, b"hello")
        with pytest.raises(ssl.SSLCertVerificationError, match=r"expired|not yet valid"):
            ask(url, "GET", "/", b"", trusting(authority.pem, lambda: True))


@pytest.mark.loopback
@pytest.mark.parametrize("synchronised", [True, False])
def test_name_and_authority_are_never_forgiven(tmp_path: Path, authority: Authority, synchronised: bool) -> None:
    with (
        serving(tmp_path, authority, b"", name="other.example") as url,
        pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"),
    ):
        ask(url, "GET", "/", b"", trusting(authority.pem, lambda: synchronised))
    stranger = Authority(tmp_path / "stranger", now())
    with (
        serving(tmp_path, stranger, b"") as url,
        pytest.raises(ssl.SSLCertVerificationError, match="certificate verify failed"),
    ):
        ask(url, "GET", "/", b"", trusting(authority.pem, lambda: synchronised))


@pytest.mark.loopback
def test_an_authority_is_known_by_its_fingerprint(tmp_path: Path, authority: Authority) -> None:
    spelled = ":".join(authority.fingerprint[i : i + 2] for i in range(0, 64, 2)).upper()
    with serving(tmp_path, authority, answer(authority.pem.encode()), times=2) as url:
        assert pinned(url, authority.fingerprint) == authority.pem
        assert pinned(url, spelled) == authority.pem


@pytest.mark.loopback
@pytest.mark.parametrize("body", ["another", b"", b"\xff", b"-----BEGIN CERTIFICATE-----\nAA==\n"])
def test_another_authority_is_refused(tmp_path: Path, authority: Authority, body: bytes | str) -> None:
    said = Authority(tmp_path / "evil", now()).pem.encode() if isinstance(body, str) else body
    with (
        serving(tmp_path, authority, answer(said)) as url,
        pytest.raises(ConfigError, match="has another authority"),
    ):
        pinned(url, authority.fingerprint)


@pytest.mark.loopback
@pytest.mark.parametrize("said", [b"SSH-2.0-x\r\n", answer(b"x" * (MOST + 1))])
def test_odd_answers_are_trouble_of_the_network(tmp_path: Path, authority: Authority, said: bytes) -> None:
    with serving(tmp_path, authority, said) as url, pytest.raises(OSError, match="answer is"):
        ask(url, "GET", "/", b"", trusting(authority.pem))


@pytest.mark.loopback
def test_a_redirect_is_not_followed(tmp_path: Path, authority: Authority) -> None:
    away = b"HTTP/1.1 302 Found\r\nLocation: https://localhost:1/\r\nContent-Length: 0\r\n\r\n"
    with serving(tmp_path, authority, away) as url:
        assert ask(url, "GET", "/", b"", trusting(authority.pem))[0] == 302


@pytest.mark.parametrize("url", [
    "http://hub.example", "hub.example:8444", "https://", "https://hub.example:x", "https://hub.example/path",
    "https://u:p@hub.example", "ftp://hub.example", "https://hub.example:99999", "https://[::1",
])  # fmt: skip
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(ConfigError, match=r"enrol\.server: "):
        endpoint(url)


def test_addresses() -> None:
    assert endpoint("https://hub.example") == ("hub.example", 443)
    assert endpoint("https://[2001:db8::1]:8444/") == ("2001:db8::1", 8444)
