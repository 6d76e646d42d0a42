"""HTTPS to our own servers."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from urllib.parse import urlsplit

from probe.agent.tls_dates import forgive_dates
from probe.engine.clock import synchronised as clock_is_right
from probe.model.enrol import AUTHORITY
from probe.model.errors import ConfigError

SECONDS = 30.0
MOST = 64 * 1024
"""Most bytes of an answer."""


def endpoint(url: str) -> tuple[str, int]:
    """Host and port of an https address. Raises ConfigError if it is none."""
    try:
        split = urlsplit(url)
        host, port = split.hostname, split.port or 443
    except ValueError:
        host, port = None, 0
    if not host or split.scheme != "https" or split.path not in ("", "/") or split.query or split.username:
        raise ConfigError("enrol.server", f"{url!r} is not an address such as https://collector.example:8444")
    return host, port


def trusting(pem: str, synchronised: Callable[[], bool] = clock_is_right) -> ssl.SSLContext:
    """A context that trusts one authority. Raises ssl.SSLError for what is none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cadata=pem)
    forgive_dates(context, synchronised)
    return context


def pinned(url: str, fingerprint: str) -> str:
    """The server's authority (PEM), asked of whoever answers there, and taken only if its fingerprint is the right one.

    Raises ConfigError for another one, OSError.
    """
    import hashlib

    wanted = fingerprint.lower().replace(":", "").removeprefix("sha256")
    blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    blind.check_hostname, blind.verify_mode = False, ssl.CERT_NONE  # what is asked for is known by its hash
    status, body = ask(url, "GET", AUTHORITY, b"", blind)
    try:
        pem = body.decode("ascii")
        der = ssl.PEM_cert_to_DER_cert(pem)
    except ValueError:
        pem, der = "", b""
    if status != 200 or hashlib.sha256(der).hexdigest() != wanted:
        raise ConfigError("enrol.fingerprint", f"{url} has another authority than that: is it the right server?")
    return ssl.DER_cert_to_PEM_cert(der)


def ask(url: str, method: str, path: str, body: bytes, context: ssl.SSLContext) -> tuple[int, bytes]:
    """One request; its status and body. Redirects are not followed. Raises OSError (ssl.SSLError among them)."""
    import http.client  # 1 MB, for what is done once in twenty days

    host, port = endpoint(url)
    connection = http.client.HTTPSConnection(host, port, timeout=SECONDS, context=context)
    try:
        headers = {"Content-Type": "application/json"} if body else {}
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        text = answer.read(MOST + 1)
    except http.client.HTTPException as error:
        raise OSError(None, f"the answer is not HTTP: {error!r}") from None
    finally:
        connection.close()
    if len(text) > MOST:
        raise OSError(None, f"the answer is longer than {MOST} bytes")
    return answer.status, text
