"""HTTP/1.1 requests and responses (RFC 9112), no more of it than a measurement asks."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

import msgspec

from probe.model.errors import MalformedPacket

_REQUEST_LINE = re.compile(rb"[A-Z]{3,16} \S+ HTTP/1\.[01]\r?\n")
_STATUS_LINE = re.compile(rb"HTTP/(\d)(?:\.(\d))? (\d{3})(?: ([^\r\n]*))?(?:\r?\n|\r?\Z)")
_HOST = re.compile(rb"^host:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_HEAD_END = re.compile(rb"\r?\n\r?\n")
# bounded, so that a hostile page cannot make the search quadratic
_TITLE = re.compile(rb"<title(?:\s[^>]{0,256})?>(.*?)(?:</title|\Z)", re.IGNORECASE | re.DOTALL)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_BODILESS = frozenset({204, 304})


class Response(msgspec.Struct, frozen=True):
    """A response as far as it was heard. ``complete``: the whole body is there, by its length or its last chunk.

    A body that only the end of the connection ends is never ``complete``: bytes alone do not show that end.
    """

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    complete: bool

    def header(self, name: str) -> str:
        """First value of that header, whatever its case; empty if there is none."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), "")


def request(host: str, path: str = "/", method: str = "GET", headers: Iterable[tuple[str, str]] = ()) -> bytes:
    """Bytes of a request without a body: ``Host`` first, then ``headers``, then ``Connection: close`` unless given.

    Raises MalformedPacket where a field holds a line break or is not ISO 8859-1.
    """
    fields = [("Host", host), *headers]
    if not any(name.lower() == "connection" for name, _ in fields):
        fields.append(("Connection", "close"))
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields), "", ""]
    odd = any("\r" in line or "\n" in line for line in lines) or " " in path
    if odd or not all(_HEADER_NAME(name) for name, _ in fields):
        raise MalformedPacket(f"{method} {path!r} to {host!r} cannot be written as a request")
    try:
        return "\r\n".join(lines).encode("latin-1")
    except UnicodeEncodeError as error:
        raise MalformedPacket(f"a request to {host!r} is not ISO 8859-1: {error}") from error


def host(data: bytes) -> str | None:
    """Host named by a request, without its port; None where this is no request or names none (it may be cut)."""
    line = _REQUEST_LINE.match(data)
    if line is None:
        return None
    head = data[line.end() :].partition(b"\r\n\r\n")[0]
    found = _HOST.search(head)
    if found is None:
        return None
    name = found[1].decode("latin-1").strip()
    if name.startswith("["):
        return name.partition("]")[0] + "]" if "]" in name else name
    return name.partition(":")[0]


def decode_response(data: bytes) -> Response:
    """Decode a response from the bytes of a stream, however cut. Raises MalformedPacket if it is not HTTP."""
    line = _STATUS_LINE.match(data)
    if line is None:
        raise MalformedPacket("no HTTP status line")
    status, reason = int(line[3]), (line[4] or b"").decode("latin-1")
    # Servers and forgers alike end lines with a bare LF at times (RFC 9112, 2.2: a recipient may accept that).
    end = _HEAD_END.search(data, line.end() - 1)
    head, body = (data[line.end() : end.start()], data[end.end() :]) if end else (data[line.end() :], b"")
    headers = tuple(_fields(head))
    values = {name.lower(): value for name, value in reversed(headers)}
    if end is None:
        return Response(status, reason, headers, b"", complete=False)
    if status in _BODILESS or 100 <= status < 200:
        return Response(status, reason, headers, b"", complete=True)
    if "chunked" in values.get("transfer-encoding", "").lower():
        body, complete = _chunks(body)
        return Response(status, reason, headers, body, complete)
    length = values.get("content-length", "")
    if length.isascii() and length.isdigit() and len(length) < 16:
        return Response(status, reason, headers, body[: int(length)], len(body) >= int(length))
    return Response(status, reason, headers, body, complete=False)


def _fields(head: bytes) -> Iterable[tuple[str, str]]:
    for line in head.split(b"\n"):
        name, colon, value = line.decode("latin-1").partition(":")
        if colon:
            yield name.strip(), value.strip()


def _chunks(data: bytes) -> tuple[bytes, bool]:
    """Body from its chunks (RFC 9112, 7.1) and whether the last one came; what cannot be read ends it."""
    body = bytearray()
    at = 0
    while True:
        end = data.find(b"\n", at)
        size = re.match(rb"[0-9A-Fa-f]{1,8}(?![0-9A-Fa-f])", data[at:end]) if end >= 0 else None
        if size is None:
            return bytes(body), False
        length = int(size[0], 16)
        if not length:
            return bytes(body), True
        body += data[end + 1 : end + 1 + length]
        at = end + 1 + length
        at += 2 if data[at : at + 1] == b"\r" else 1


def title(body: bytes) -> str:
    """Text of the first ``<title>`` of a page, entities resolved and white space folded; empty if there is none."""
    found = _TITLE.search(body)
    if found is None:
        return ""
    return " ".join(html.unescape(found[1].decode("utf-8", "replace")).split())
