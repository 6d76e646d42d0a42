"""HTTP/1.1 requests that the collector makes (webhooks, ntfy, counters): bounded in time and size, to vetted addresses.

The address that was vetted is the one that is connected to, so a name that resolves anew in between changes nothing.
Redirects are the caller's affair: each is a request of its own, vetted again.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import h11
import msgspec

from probe import __version__
from probe.model.errors import Unanswered

USER_AGENT = f"Colibri-collector/{__version__}"
SECONDS = 20.0
MOST = 1024 * 1024

_CHUNK = 65536
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052, 2.1
_UNICAST = ipaddress.ip_network("2000::/3")  # all that is in use (RFC 4291, 2.4)
_PROTOCOLS = ipaddress.ip_network("2001::/23")  # Teredo and others (RFC 2928)

Permit = Callable[[str], bool]
"""Whether an address (text) may be connected to."""


class Answer(msgspec.Struct, frozen=True):
    """``headers``: by lower-case name, the last of equals."""

    status: int
    headers: dict[str, str]
    body: bytes


def is_public(address: str) -> bool:
    """Whether an address is one of the public Internet (IANA's special-purpose registries), however it is wrapped."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        embedded = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None
        inner = ip.ipv4_mapped or ip.sixtofour or embedded
        if inner is not None:
            return is_public(str(inner))
        if ip not in _UNICAST or ip in _PROTOCOLS:
            return False
    return ip.is_global and not ip.is_multicast


def permit(allow: list[str]) -> Permit:
    """Public addresses and those of some networks (``safety.allow_networks``, checked when it was loaded)."""
    networks = [ipaddress.ip_network(text, strict=False) for text in allow]
    return lambda address: is_public(address) or any(ipaddress.ip_address(address) in one for one in networks)


def anywhere(_: str) -> bool:
    """For addresses that the collector's owner has written down."""
    return True


async def ask(
    method: str, url: str, headers: Mapping[str, str], body: bytes = b"", *, permitted: Permit,
    seconds: float = SECONDS, most: int = MOST, context: ssl.SSLContext | None = None,
) -> Answer:  # fmt: skip
    """One request, whole, within so many ``seconds`` and ``most`` bytes of body.

    Raises Unanswered with the reason: a URL that is none, an address that is not permitted, no connection, no time
    left, a certificate that does not fit, an answer that is not HTTP or too long.
    """
    secure, host, port, target = parts(url)
    name = f"[{host}]" if ":" in host else host
    own = {
        "Host": name if port == (443 if secure else 80) else f"{name}:{port}",
        "User-Agent": USER_AGENT,
        "Accept-Encoding": "identity",  # what is small on the wire is small in memory
        "Connection": "close",
        **({"Content-Length": str(len(body))} if body else {}),
    }
    try:
        request = h11.Request(method=method, target=target, headers=list({**own, **headers}.items()))
        async with asyncio.timeout(seconds):
            tls = (context or ssl.create_default_context()) if secure else None
            reader, writer = await _connect(host, port, permitted, tls)
            try:
                return await _exchange(reader, writer, request, body, most)
            finally:
                writer.close()
    except TimeoutError:
        raise Unanswered(url, f"no answer within {seconds:g} s") from None
    except (h11.ProtocolError, ValueError) as error:
        raise Unanswered(url, f"the answer is not HTTP: {error}") from None
    except OSError as error:
        raise Unanswered(url, error.strerror or str(error) or type(error).__name__) from None


def parts(url: str) -> tuple[bool, str, int, str]:
    """(https?, host, port, path and query) of a URL. Raises Unanswered if it is none that can be asked."""
    try:
        split = urlsplit(url)
        secure, host = split.scheme == "https", (split.hostname or "").encode("idna").decode()
        port = split.port or (443 if secure else 80)
    except ValueError:  # UnicodeError is one
        raise Unanswered(url, "is no URL") from None
    if split.scheme not in {"http", "https"} or not host:
        raise Unanswered(url, "is no URL of http or https")
    if split.username is not None:
        raise Unanswered(url, "a user name does not belong into a URL")
    target = (split.path or "/") + (f"?{split.query}" if split.query else "")
    if not target.isascii() or not target.isprintable() or " " in target:
        raise Unanswered(url, "is no URL: what is not ASCII is percent-encoded in one")
    return secure, host, port, target


async def _connect(
    host: str, port: int, permitted: Permit, context: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(info[4][0]) for info in found))
    allowed = [address for address in addresses if permitted(address)]
    if not allowed:
        raise OSError(None, f"{host} is at {', '.join(addresses)}, which is not a public address")
    last: OSError = OSError(None, f"{host} has no address")
    for address in allowed:
        try:
            return await asyncio.open_connection(
                address, port, ssl=context, server_hostname=host if context else None, limit=_CHUNK
            )
        except OSError as error:
            last = error
    raise last


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: h11.Request, body: bytes, most: int
) -> Answer:
    connection = h11.Connection(h11.CLIENT)
    sent = [request, *([h11.Data(data=body)] if body else []), h11.EndOfMessage()]
    writer.write(b"".join(connection.send(event) or b"" for event in sent))
    await writer.drain()
    status, headers, received = 0, dict[str, str](), bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            chunk = await reader.read(_CHUNK)
            if not chunk and not status:
                raise OSError(None, "the connection ended before the answer")
            connection.receive_data(chunk)
        elif isinstance(event, h11.Response):
            status = event.status_code
            headers = {name.decode("ascii"): value.decode("latin-1") for name, value in event.headers}
            if headers.get("content-encoding", "identity") != "identity":
                raise OSError(None, "the answer is compressed, which was not asked for")
        elif isinstance(event, h11.Data):
            received += event.data
            if len(received) > most:
                raise OSError(None, f"the answer is longer than {most} bytes")
        elif isinstance(event, h11.EndOfMessage):
            return Answer(status, headers, bytes(received))
