"""``colibri collector enrol-server``: serves the desk over TLS with a certificate of the authority itself."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec

from probe.collector.enrol import ended
from probe.collector.enrol.app import Protocol, make_app
from probe.collector.enrol.authority import Authority, private_pem
from probe.collector.enrol.desk import Desk
from probe.collector.enrol.files import PUBLIC, SECRET, write
from probe.collector.enrol.register import Register
from probe.collector.instants import now
from probe.collector.service import listen
from probe.model.config import EnrolmentConfig
from probe.model.errors import ConfigError

_log = logging.getLogger(__name__)

_LIFE = 90  # days that the server's own certificate is good for
_AGAIN = 86400.0  # seconds after which it has a new one
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME: who is forgiven an expired certificate, the desk decides
_CONNECTIONS = 200


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: they kill the process after a clean end."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(config: EnrolmentConfig, ready: Callable[[str], None]) -> int:
    """Serve until SIGTERM or SIGINT; ``ready`` is told the authority's fingerprint.

    Raises ConfigError (no names, an address that can't be listened on, an authority that can't be read), StoreError.
    """
    if not config.names:
        raise ConfigError("collector.enrol.names", "is empty: devices must know by which name to reach this server")
    folder = Path(config.folder)
    authority, register = Authority(folder, now()), Register(folder)
    try:
        with listen(config.listen, "collector.enrol.listen") as sock:
            return asyncio.run(_serve(config, authority, register, sock, ready))
    finally:
        register.close()


async def _serve(
    config: EnrolmentConfig, authority: Authority, register: Register, sock: socket.socket,
    ready: Callable[[str], None],
) -> int:  # fmt: skip
    loop, folder = asyncio.get_running_loop(), Path(config.folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= _NO_CHECK_TIME
    context.load_verify_locations(cadata=authority.pem)
    _certify(context, authority, folder, config.names)
    desk = Desk(config, authority, register)
    settings = uvicorn.Config(
        make_app(desk, authority.pem, now, time.monotonic), http=Protocol, ws="none", lifespan="off", log_config=None,
        log_level="warning", access_log=False, server_header=False, limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=5, timeout_graceful_shutdown=3,
    )  # fmt: skip
    settings.load()
    settings.ssl = context
    server = _Server(settings)

    def stop() -> None:
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    sock.listen(128)
    beside = [
        asyncio.create_task(_recertify(context, authority, folder, config.names)),
        asyncio.create_task(_end_sessions(config, authority)),
    ]
    host, port = sock.getsockname()[:2]
    _log.info("enrolment at https://%s:%d/, authority %s", f"[{host}]" if ":" in host else host, port,
              authority.fingerprint)  # fmt: skip
    ready(authority.fingerprint)
    try:
        await server.serve([sock])
    finally:
        for task in beside:
            task.cancel()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
    return 0


async def _recertify(context: ssl.SSLContext, authority: Authority, folder: Path, names: list[str]) -> None:
    while True:
        await asyncio.sleep(_AGAIN)
        _certify(context, authority, folder, names)


async def _end_sessions(config: EnrolmentConfig, authority: Authority) -> None:
    while True:
        await asyncio.to_thread(ended.look, config, authority, now())
        await asyncio.sleep(ended.LOOK)


def _certify(context: ssl.SSLContext, authority: Authority, folder: Path, names: list[str]) -> None:
    """A new certificate for the server itself; connections that stand keep the old one. Raises OSError."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate, secret = folder / "server.pem", folder / "server.key"
    write(secret, private_pem(key), SECRET)
    write(certificate, authority.server(key.public_key(), names, now(), _LIFE).pem.encode(), PUBLIC)
    context.load_cert_chain(certificate, secret)
