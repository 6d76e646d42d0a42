"""The enrolment server's HTTP, without TLS: sizes, words, limits."""

from __future__ import annotations

import asyncio

import httpx
import msgspec
import pytest

from probe.collector.enrol.app import MOST, PEER, make_app
from probe.collector.enrol.limits import BURST
from probe.model.enrol import AUTHORITY, FIRST, RENEW, Enrolled
from tests.collector.enrol.conftest import START, Office, csr, der


class Client:
    """Asks the application; ``peer``: the certificate that the handshake would have shown."""

    def __init__(self, office: Office, peer: bytes | None = None) -> None:
        self.clock = 0.0
        app = make_app(office.desk, office.authority.pem, lambda: START, lambda: self.clock)

        async def shown(scope: dict[str, object], receive: object, send: object) -> None:
            await app({**scope, PEER: peer}, receive, send)  # type: ignore[arg-type]

        self._transport = httpx.ASGITransport(app=shown)  # type: ignore[arg-type]

    def ask(self, method: str, path: str, body: bytes = b"") -> httpx.Response:
        async def one() -> httpx.Response:
            async with httpx.AsyncClient(transport=self._transport, base_url="https://hub.example") as client:
                return await client.request(method, path, content=body)

        return asyncio.run(one())


def first(code: str) -> bytes:
    return msgspec.json.encode({"code": code, "csr": csr()})


def test_a_code_and_then_a_renewal(office: Office) -> None:
    answer = Client(office).ask("POST", FIRST, first(office.code()))
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    enrolled = msgspec.json.decode(answer.content, type=Enrolled)
    early = Client(office, der(enrolled)).ask("POST", RENEW, msgspec.json.encode({"csr": csr()}))
    assert (early.status_code, early.json()["reason"]) == (409, "too_early")
    assert int(early.headers["retry-after"]) > 86400


def test_a_renewal_without_a_certificate(office: Office) -> None:
    answer = Client(office).ask("POST", RENEW, msgspec.json.encode({"csr": csr()}))
    assert (answer.status_code, answer.json()) == (403, {"reason": "unknown", "after": 0.0})


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b"{}", b'{"code": 1, "csr": "-----BEGIN X-----\\n"}', b'{"code": "a", "csr": "x"}',
    b'{"code": "a", "csr": "-----BEGIN X-----\\n", "name": "collector"}', b"\xff" * 100, b"x" * (MOST + 1),
    b'{"code": "' + b"a" * 65 + b'", "csr": "-----BEGIN X-----\\n"}',
])  # fmt: skip
def test_bad_requests(office: Office, body: bytes) -> None:
    answer = Client(office).ask("POST", FIRST, body)
    assert (answer.status_code, answer.json()["reason"]) == (400, "bad_request")


def test_guessing_ends_soon_and_the_right_code_waits_with_the_wrong_ones(office: Office) -> None:
    client, code = Client(office), office.code()
    for _ in range(BURST):
        assert client.ask("POST", FIRST, first("AAAA-BBBB-CCCC-DDDD")).status_code == 403
    answer = client.ask("POST", FIRST, first(code))
    assert (answer.status_code, answer.json()["reason"]) == (429, "too_many")
    assert int(answer.headers["retry-after"]) > 0
    client.clock = 60.0
    assert client.ask("POST", FIRST, first(code)).status_code == 200


def test_the_authority_is_anybody_s_to_see_and_there_is_nothing_else(office: Office) -> None:
    client = Client(office)
    assert client.ask("GET", AUTHORITY).text == office.authority.pem
    assert client.ask("GET", "/").status_code == 404
    assert client.ask("GET", FIRST).status_code == 405
