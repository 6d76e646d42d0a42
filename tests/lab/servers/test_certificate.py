"""The lab's certificate."""

from __future__ import annotations

import ssl

import pytest

from probe.lab.servers import certificate


def shake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> None:
    """A handshake in memory. Raises ssl.SSLError."""
    pipes = [ssl.MemoryBIO(), ssl.MemoryBIO()]
    ends = [client.wrap_bio(pipes[0], pipes[1], server_hostname=name),
            server.wrap_bio(pipes[1], pipes[0], server_side=True)]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue


@pytest.mark.parametrize(("name", "good"), [("press.example", True), ("www.press.example", True), ("x.example", False)])
def test_the_authority_vouches_for_the_names_given(name: str, good: bool) -> None:
    server, authority = certificate.make(["press.example"])
    client = ssl.create_default_context(cadata=authority)
    if good:
        shake(server, client, name)
    else:
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            shake(server, client, name)


def test_another_lab_is_not_trusted() -> None:
    server, _ = certificate.make(["press.example"])
    _, other = certificate.make(["press.example"])
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(server, ssl.create_default_context(cadata=other), "press.example")
