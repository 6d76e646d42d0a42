from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.model.errors import MalformedPacket
from probe.wire import http

PAGE = b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 403 Not You\r\ntransfer-encoding: Chunked\r\n\r\n5;ext=1\r\nhello\r\n3\r\n wo\r\n0\r\n\r\n"


def test_request_byte_for_byte() -> None:
    assert http.request("a.example", "/x", headers=[("Accept", "*/*")]) == (
        b"GET /x HTTP/1.1\r\nHost: a.example\r\nAccept: */*\r\nConnection: close\r\n\r\n")
    assert http.request("a", method="HEAD", headers=[("connection", "keep-alive")]) == (
        b"HEAD / HTTP/1.1\r\nHost: a\r\nconnection: keep-alive\r\n\r\n")


@pytest.mark.parametrize(("host", "path", "headers"), [
    ("a\r\nX: y", "/", []), ("a", "/ x", []), ("a", "/", [("X\n", "y")]), ("a", "/", [("X Y", "z")]), ("ش", "/", []),
])
def test_impossible_requests(host: str, path: str, headers: list[tuple[str, str]]) -> None:
    with pytest.raises(MalformedPacket):
        http.request(host, path, headers=headers)


@pytest.mark.parametrize(("raw", "host"), [
    (b"GET / HTTP/1.1\r\nHost: a.example:8080\r\n\r\n", "a.example"),
    (b"GET / HTTP/1.1\r\nUser-Agent: host: b\r\nhOST:  a.example \r\n", "a.example"),
    (b"GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n", "[2001:db8::1]"),
    (b"GET / HTTP/1.1\r\nAccept: x\r\n\r\nHost: body", None),
    (b"GET / HTTP/1.1\r\n", None), (b"get / HTTP/1.1\r\nHost: a\r\n", None), (b"\x16\x03\x01Host: a", None),
    (b"", None),
])
def test_host(raw: bytes, host: str | None) -> None:
    assert http.host(raw) == host


def test_response_by_length() -> None:
    response = http.decode_response(PAGE)
    assert response == http.Response(200, "OK", (("Server", "x"), ("Content-Length", "5")), b"hello", complete=True)
    assert (response.header("server"), response.header("none")) == ("x", "")
    assert http.decode_response(PAGE + b"more").body == b"hello"


def test_response_in_chunks() -> None:
    response = http.decode_response(CHUNKED)
    assert (response.status, response.reason, response.body, response.complete) == (403, "Not You", b"hello wo", True)


@given(st.sampled_from([PAGE, CHUNKED]), st.integers(17, 100))
def test_a_cut_response_is_a_prefix_and_incomplete(page: bytes, size: int) -> None:
    whole, cut = http.decode_response(page), http.decode_response(page[:size])
    assert whole.body.startswith(cut.body)
    assert not cut.complete or cut.body == whole.body


@pytest.mark.parametrize(("raw", "body", "complete"), [
    (b"HTTP/1.0 200 OK\n\nto the end", b"to the end", False), (b"HTTP/1.1 304 X\r\n\r\n", b"", True),
    (b"HTTP/1.1 200\r\nContent-Length: x\r\n\r\nab", b"ab", False), (b"HTTP/1.1 302 Found\r\nLocation: /", b"", False),
    (b"HTTP/1.1 200 OK", b"", False), (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"", False),
])
def test_odd_responses(raw: bytes, body: bytes, complete: bool) -> None:
    response = http.decode_response(raw)
    assert (response.body, response.complete) == (body, complete)


@pytest.mark.parametrize("raw", [
    b"", b"HTTP", b"HTTP/1.1 20", b"<html>", b" HTTP/1.1 200 OK\r\n", b"\x15\x03\x03\0\2\2\x28",
])
def test_what_is_not_http(raw: bytes) -> None:
    with pytest.raises(MalformedPacket):
        http.decode_response(raw)


@pytest.mark.parametrize(("page", "title"), [
    (b"<html><TITLE lang='fr'>Acc\xc3\xa8s\n  &amp; refus</Title>", "Accès & refus"), (b"<title>cut", "cut"),
    (b"<p>none", ""), (b"<titlex>no</titlex>", ""), (b"<title>\xff</title>", "�"),
])
def test_title(page: bytes, title: str) -> None:
    assert http.title(page) == title


def test_hostile_pages_cost_no_time() -> None:
    for page in (b"<title " * 20000, b"HTTP/1.1 200 OK\r\n" + b"host:" + b" " * 100000, b"\r\n" * 50000):
        assert http.title(page) == ""
        assert http.host(page) is None
