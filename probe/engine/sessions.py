"""TLS sessions by the system's library, over a connection whose packets are captured like any other."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from functools import partial
from typing import Any

import msgspec

from probe.engine import sockets
from probe.engine.authorities import distrust
from probe.engine.bench import Bench
from probe.engine.budget import HANDSHAKE, HEADERS
from probe.engine.clock import synchronised
from probe.engine.connections import Opened, entry_of, opened
from probe.model.exchange import Session, TlsStep
from probe.model.outcome import Entry

_FLIGHTS = 4  # packets that a session sends besides those of any connection: Finished, close and acknowledgements
_HELLO = 600  # bytes of a ClientHello and what follows it
_CHUNK = 16384
_BUFFER = 65536


async def session(bench: Bench, step: TlsStep) -> Entry:
    """Perform a :class:`TlsStep`: nothing is refused, all is told. Raises BudgetExhausted, CannotMeasure, OSError."""
    packets = HANDSHAKE + _FLIGHTS
    octets = packets * HEADERS + _HELLO + len(step.payload)
    await bench.pace.allow(step.address, packets, octets)
    found: Session | None = None
    async with opened(bench, step, _BUFFER) as connection:
        if not connection.failure:
            try:
                with bench.intake.sealed(connection.key):
                    found = await _Talk(step, connection).run()
            except ValueError as error:  # a name that can't stand in SNI, a protocol that can't in ALPN
                connection.failure, connection.note = "error", str(error)
    entry = entry_of(step, connection)
    bench.settle_up(entry, packets, octets)
    if found is not None:
        data = bench.scrubber.text(found.data, step.payload)
        # Reading a store of authorities takes a Pi its time: other steps must not stand still.
        why = await asyncio.to_thread(distrust, found.chain, step.server_name, found.at, bench.authorities)
        found = msgspec.structs.replace(found, data=data, distrust=why if found.chain else "")
    return msgspec.structs.replace(entry, session=found)


class _Talk:
    """One session: the library writes to and reads from memory, this moves the bytes."""

    def __init__(self, step: TlsStep, connection: Opened) -> None:
        self._step, self._connection = step, connection
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if step.alpn:
            context.set_alpn_protocols(list(step.alpn))
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=step.server_name or None)
        self._loop = asyncio.get_running_loop()

    async def run(self) -> Session:
        step, tls = self._step, self._tls
        alert, data = "", bytearray()
        try:
            async with asyncio.timeout(step.connect_wait):
                await self._do(tls.do_handshake)
        except TimeoutError:
            alert = "no answer"
        except OSError as error:
            alert = _words(error)
        else:
            with contextlib.suppress(OSError):  # the time is up, or the stream at its end, in whatever way
                async with asyncio.timeout(step.wait):
                    if step.payload:
                        await self._do(lambda: tls.write(step.payload))
                    while step.payload and len(data) < step.read_limit:
                        most = min(_CHUNK, step.read_limit - len(data))
                        piece: bytes = await self._do(partial(tls.read, most))
                        if not piece:
                            break
                        data += piece
        return Session(
            version="" if alert else tls.version() or "",
            alpn=tls.selected_alpn_protocol() or "",
            chain=_chain(tls),
            alert=alert,
            at=int(time.time()),
            synchronised=synchronised(),
            data=bytes(data),
        )

    async def _do(self, what: Any) -> Any:
        """Do something with the session, with as many flights there and back as it takes."""
        sock = self._connection.sock
        while True:
            try:
                result = what()
            except ssl.SSLWantReadError:
                await self._flush()
                piece = await self._loop.sock_recv(sock, _CHUNK)
                if piece:
                    self._in.write(piece)
                else:
                    self._in.write_eof()
            except ssl.SSLError:
                with contextlib.suppress(OSError):
                    await self._flush()  # the alert that we owe
                raise
            else:
                await self._flush()
                return result

    async def _flush(self) -> None:
        while piece := self._out.read():
            await self._loop.sock_sendall(self._connection.sock, piece)


def _chain(tls: ssl.SSLObject) -> tuple[bytes, ...]:
    """The certificates as they were sent, leaf first; the leaf alone where the library does not give them."""
    if hasattr(tls, "get_unverified_chain"):  # Python 3.13
        return tuple(tls.get_unverified_chain() or ())
    with contextlib.suppress(AttributeError, ValueError):
        chain = tls._sslobj.get_unverified_chain()  # type: ignore[attr-defined]
        return tuple(one.public_bytes(2) for one in chain or ())  # 2: DER (_ssl.ENCODING_DER)
    with contextlib.suppress(ValueError):  # no handshake yet
        leaf = tls.getpeercert(binary_form=True)
        return (leaf,) if leaf else ()
    return ()


def _words(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or type(error).__name__
    return sockets.explain(error)
