"""Requests to others: what is asked of whom, what is refused, and what becomes of answers that are no answers."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.collector.outgoing import USER_AGENT, Answer, anywhere, ask, is_public, parts, permit
from probe.model.errors import Unanswered
from tests.collector.notify.postoffice import certificate
from tests.collector.web import serving


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("1.1.1.1", True), ("2606:4700::1111", True), ("127.0.0.1", False), ("10.1.2.3", False), ("192.168.1.1", False),
        ("169.254.169.254", False), ("100.64.0.1", False), ("0.0.0.0", False), ("224.0.0.1", False), ("::1", False),
        ("203.0.113.5", False), ("255.255.255.255", False), ("::ffff:127.0.0.1", False), ("::ffff:1.1.1.1", True),
        ("64:ff9b::7f00:1", False), ("64:ff9b::101:101", True), ("64:ff9b:1::1", False), ("2002:7f00:1::", False),
        ("2001:0:7f00:1::", False), ("fe80::1%eth0", False), ("fd00::1", False), ("fec0::1", False), ("ff02::1", False),
        ("::7f00:1", False), ("2001:db8::1", False),
    ],
)  # fmt: skip
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_a_network_that_was_allowed_is_permitted_and_no_other() -> None:
    permitted = permit(["127.0.0.0/8", "fd00::/64"])
    assert [permitted(one) for one in ("127.0.0.1", "fd00::1", "1.1.1.1")] == [True] * 3
    assert [permitted(one) for one in ("10.0.0.1", "fd00:0:0:1::1", "::1")] == [False] * 3


def test_the_parts_of_an_address() -> None:
    assert parts("https://a.example") == (True, "a.example", 443, "/")
    assert parts("http://a.example:8080/x?y=1#z") == (False, "a.example", 8080, "/x?y=1")
    assert parts("http://[::1]:81/") == (False, "::1", 81, "/")
    assert parts("https://مثال.example/")[1] == "xn--mgbh0fb.example"


@pytest.mark.parametrize(
    "url",
    ["", "a.example", "ftp://a.example/", "file:///etc/passwd", "https://", "https://user:pw@a.example/", "http://[::1",
     "http://a.example:99999/", "http://a.example/a b", "http://a.example/\r\nX: 1", "http://a.example/é"],
)  # fmt: skip
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(Unanswered, match="URL"):
        parts(url)


@given(st.text(max_size=80))
def test_any_text_is_parts_or_refused(url: str) -> None:
    try:
        _, host, port, target = parts(url)
    except Unanswered:
        return
    assert host
    assert 0 < port < 65536
    assert target.startswith("/")


def get(url: str, **more: Any) -> Answer:
    return asyncio.run(ask("GET", url, {"Accept": "*/*"}, permitted=more.pop("permitted", anywhere), **more))


@pytest.mark.loopback
def test_a_request_and_its_answer() -> None:
    with serving(lambda _: (201, {"etag": '"a"'}, b"made")) as web:
        answer = asyncio.run(ask("POST", f"{web.url}/in?x=1", {"X-One": "1"}, b"body", permitted=anywhere))
    assert (answer.status, answer.headers["etag"], answer.body) == (201, '"a"', b"made")
    (asked,) = web.asked
    assert (asked.method, asked.path, asked.body) == ("POST", "/in?x=1", b"body")
    assert asked.headers["host"] == f"127.0.0.1:{web.port}"
    assert asked.headers["user-agent"] == USER_AGENT
    assert (asked.headers["x-one"], asked.headers["accept-encoding"]) == ("1", "identity")


@pytest.mark.loopback
def test_a_chunked_answer_is_put_together() -> None:
    with serving(lambda _: (200, {"transfer-encoding": "chunked"}, b"12 345")) as web:
        assert get(web.url).body == b"12 345"


@pytest.mark.loopback
def test_an_address_that_is_not_permitted_is_never_connected_to() -> None:
    with serving(lambda _: (200, {}, b"secret")) as web:
        with pytest.raises(Unanswered, match=r"127\.0\.0\.1, which is not a public address"):
            get(web.url, permitted=is_public)
        with pytest.raises(Unanswered, match="not a public address"):
            get(f"http://localhost:{web.port}/", permitted=permit(["10.0.0.0/8"]))
        assert web.asked == []


@pytest.mark.loopback
@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (b"", "ended before the answer"), (b"SSH-2.0-x\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 200_000, "not HTTP"),
        ((200, {}, b"x" * 5000), "longer than 4096 bytes"),
        ((200, {"content-encoding": "gzip"}, b"\x1f\x8b"), "compressed"),
    ],
)  # fmt: skip
def test_an_answer_that_can_not_be_used_says_why(reply: Any, why: str) -> None:
    with serving(lambda _: reply) as web, pytest.raises(Unanswered, match=why) as caught:
        get(web.url, most=4096)
    assert caught.value.where == web.url


@pytest.mark.loopback
def test_who_never_answers_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(Unanswered, match=r"no answer within 0\.2 s"):
            get(url, seconds=0.2)


@pytest.mark.loopback
def test_nobody_there_and_no_tls() -> None:
    with serving(lambda _: b"") as web:
        with pytest.raises(Unanswered, match=r"(?i)ssl|tls|reset|unexpected"):
            get(web.url.replace("http:", "https:"))
        url = web.url
    with pytest.raises(Unanswered, match=r"(?i)refused|connect call"):
        get(url)


@pytest.mark.loopback
def test_tls_is_checked_against_the_name_and_the_authority(tmp_path: Path) -> None:
    pem = certificate(tmp_path)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(pem)
    trusting = ssl.create_default_context(cafile=str(pem))
    with serving(lambda _: (200, {}, b"5"), server) as web:
        assert web.url.startswith("https:")
        assert get(web.url, context=trusting).body == b"5"
        with pytest.raises(Unanswered, match="certificate verify failed"):
            get(web.url)
        with pytest.raises(Unanswered, match=r"certificate verify failed|not valid for"):
            get(f"https://localhost:{web.port}/", context=trusting)
        assert len(web.asked) == 1
