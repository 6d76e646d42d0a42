"""The reflector's process: its sockets, around a core that has none."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import signal
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from probe.model.errors import ColibriError, MalformedPacket, UsageError
from probe.model.reflector import PORT, Answer
from probe.reflector import certificate, channel, sockets
from probe.reflector.capture import Capture
from probe.reflector.core import Ask, Came, Reflector, Reply
from probe.reflector.plan import Plan
from probe.reflector.settings import Settings
from probe.reflector.talk import Act, AskPeer, Close, Peer, Run, Send, StartTls, Talk
from probe.wire import http, reflector

_log = logging.getLogger(__name__)

_IDLE = 15.0
_LONGEST = 90.0
_MOST_CONNECTIONS = 1024
_MOST_EACH = 128
_MOST_TRANSFERS = 16  # so all of them together have their pace (channel.RATE) on a server's usual line
_MOST_TASKS = 2048  # connections, and questions to peers
_BATCH = 256
_REPORT = 3600.0
_PEER_WAIT = 2.0


class Service:
    """A reflector on its sockets; :meth:`open`, then :meth:`serve` until it is cancelled."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._udp: list[tuple[socket.socket, str, int]] = []
        self._tcp: list[tuple[socket.socket, str, int]] = []
        self._silent: list[socket.socket] = []
        self._capture: Capture | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._each: Counter[bytes] = Counter()
        self._room = asyncio.Semaphore(_MOST_CONNECTIONS)
        self._transfers = asyncio.Semaphore(_MOST_TRANSFERS)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.num_tickets = 0  # no session is ever resumed
        self.core: Reflector

    def open(self) -> list[str]:
        """Bind everything; what could not be had, a line each.

        Raises UsageError for a certificate that can't be used, ColibriError where even the control port can't be had
        (an address may not be there yet: systemd tries again).
        """
        plan = self._plan
        try:
            self._tls.load_cert_chain(*plan.files)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(f"{plan.files[0]}: {error}") from None
        self._tls.set_alpn_protocols(["http/1.1", "sip/2"])
        wanted = sorted({*plan.ports, *plan.random, PORT})
        missing: list[str] = []
        udp = self._bind(self._udp, sockets.datagrams, "udp", wanted, missing)
        tcp = self._bind(self._tcp, sockets.listener, "tcp", wanted, missing)
        if PORT not in udp or PORT not in tcp:
            self.close()
            raise ColibriError(f"port {PORT} can't be had: {'; '.join(missing)}")
        silent = tuple(address for address in plan.silent if self._silence(address, wanted, missing))
        try:
            self._capture = Capture(plan.listen, udp)
        except OSError as error:
            missing.append(f"arrivals can't be told (CAP_NET_RAW): {error.strerror}")
        public = plan.public or plan.listen
        self.core = Reflector(
            Settings(
                secret=secrets.token_bytes(32), peer_key=plan.peer_key, name=plan.name, zone=plan.zone,
                addresses=tuple(dict.fromkeys((*public, *plan.listen))), silent=silent, udp=udp, tcp=tcp,
                random=tuple(port for port in plan.random if port in udp and port in tcp),
                certificate=certificate.fingerprint(plan.files[0]), peers=plan.peers,
            ),
            time.time(), raw=self._capture is not None,
        )  # fmt: skip
        return missing

    def _bind(
        self, into: list[tuple[socket.socket, str, int]], make: Callable[[str, int], socket.socket], kind: str,
        ports: list[int], missing: list[str],
    ) -> tuple[int, ...]:  # fmt: skip
        """Bind every port on every address; those that are had on all of them."""
        lacking: set[int] = set()
        for port in ports:
            for address in self._plan.listen:
                try:
                    into.append((make(address, port), address, port))
                except OSError as error:
                    lacking.add(port)
                    missing.append(f"{kind} {address} port {port}: {error.strerror}")
        return tuple(port for port in ports if port not in lacking)

    def _silence(self, address: str, ports: list[int], missing: list[str]) -> bool:
        """Whether an address is silent on every port: probes are told of no other."""
        for port in ports:
            try:
                self._silent += sockets.silent(address, port)
            except OSError as error:
                missing.append(f"silent {address}, for its port {port}: {error.strerror}")
                return False
        return True

    async def serve(self) -> None:
        """Serve until cancelled."""
        loop = asyncio.get_running_loop()
        for sock, address, port in self._udp:
            loop.add_reader(sock, self._datagrams, sock, address, port)
        if self._capture is not None:
            loop.add_reader(self._capture.socket, self._drain)
        try:
            async with asyncio.TaskGroup() as tasks:
                for sock, address, port in self._tcp:
                    tasks.create_task(self._accept(sock, address, port))
                tasks.create_task(self._watch())
        finally:
            for sock, *_ in self._udp:
                loop.remove_reader(sock)
            if self._capture is not None:
                loop.remove_reader(self._capture.socket)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def close(self) -> None:
        """Give everything back."""
        for sock in [*(sock for sock, *_ in (*self._udp, *self._tcp)), *self._silent]:
            sock.close()
        if self._capture is not None:
            self._capture.close()

    def _datagrams(self, sock: socket.socket, address: str, port: int) -> None:
        self._drain()  # so that what arrived before a question is known when it is answered
        for _ in range(_BATCH):
            came = sockets.take(sock, address, port)
            if came is None:
                return
            for act in self.core.datagram(came, time.time()):
                if isinstance(act, Reply):
                    sockets.send(sock, act, came)
                elif len(self._tasks) < _MOST_TASKS:
                    self._spawn(self._ask_for(sock, came, act))

    def _drain(self) -> None:
        if self._capture is not None:
            for packet in self._capture.drain():
                self.core.arrived(packet, time.time())

    async def _watch(self) -> None:
        """Whether the capture keeps up, and now and then what was done: counts, and no address."""
        told = time.monotonic()
        while True:
            await asyncio.sleep(1)
            if self._capture is not None and self._capture.dropped():
                self.core.memory.missed(time.time())
            if time.monotonic() - told >= _REPORT:
                told = time.monotonic()
                self.report()

    def report(self) -> None:
        """Write down what was done since the last time."""
        counts = self.core.counts
        _log.info("served: %s", ", ".join(f"{n} {what}" for what, n in sorted(counts.items())) or "nobody")
        counts.clear()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a conversation ended by a fault of ours", exc_info=error)

    async def _ask_for(self, sock: socket.socket, came: Came, ask: Ask) -> None:
        sockets.send(sock, self.core.told(ask, await self._ask(ask)), came)

    async def _ask(self, ask: Ask) -> Answer | None:
        """A peer's answer over TCP, None where it gives none."""
        request = http.request(self._plan.name or "reflector", reflector.http_path(ask.question))
        try:
            async with asyncio.timeout(_PEER_WAIT):
                reader, writer = await asyncio.open_connection(ask.address, PORT)
                try:
                    writer.write(request)
                    response = http.decode_response(await reader.read(1 << 20))
                finally:
                    writer.close()
            return reflector.answered(response.body)
        except (OSError, TimeoutError, MalformedPacket):
            return None

    async def _accept(self, listener: socket.socket, address: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, where = await loop.sock_accept(listener)
            except OSError:  # out of files, or gone before it was taken
                await asyncio.sleep(0.1)
                continue
            try:
                await self._room.acquire()  # while there is none, the kernel lets the next ones wait
            except asyncio.CancelledError:
                sock.close()
                raise
            self._spawn(self._connection(sock, where[0].partition("%")[0], where[1], address, port))

    async def _connection(self, sock: socket.socket, source: str, source_port: int, address: str, port: int) -> None:
        key = reflector.source_key(source)
        self._each[key] += 1
        try:
            sock.setblocking(False)
            if self._each[key] <= _MOST_EACH:
                self._drain()
                peer = Peer(source, source_port, address, port, sockets.saved_syn(sock))
                with contextlib.suppress(OSError, TimeoutError):  # they left, or stayed too long
                    async with asyncio.timeout(_LONGEST):
                        await self._talk(channel.Plain(sock), Talk(self.core, peer), peer)
            await channel.farewell(sock)
        finally:
            sock.close()
            self._room.release()
            self._each[key] -= 1
            if not self._each[key]:
                del self._each[key]

    async def _talk(self, way: channel.Plain | channel.Tls, talk: Talk, peer: Peer) -> None:
        while True:
            async with asyncio.timeout(_IDLE):
                data = await way.receive()
            if not data:
                return
            if await self._perform(way, talk, peer, talk.feed(data, time.time())):
                return

    async def _perform(self, way: channel.Plain | channel.Tls, talk: Talk, peer: Peer, acts: list[Act]) -> bool:
        """Do what the conversation asks for; whether that ended it."""
        for act in acts:
            match act:
                case Send(data):
                    await way.send(data)
                case Close():
                    return True
                case AskPeer(ask):
                    return await self._perform(way, talk, peer, talk.told(ask, await self._ask(ask)))
                case Run(wanted, framed, inverted, head, already):
                    if self._transfers.locked():
                        await channel.refuse(way, framed=framed, inverted=inverted)
                        return True
                    async with self._transfers:
                        await channel.transfer(
                            way, wanted, self.core.limits.bytes, reflector.source_key(peer.source), framed=framed,
                            inverted=inverted, head=head, came=already,
                        )  # fmt: skip
                    return True
                case StartTls(data) if isinstance(way, channel.Plain):
                    inside = channel.Tls(way, self._tls, data)
                    async with asyncio.timeout(_IDLE):
                        await inside.handshake()
                    await self._talk(inside, Talk(self.core, peer, inside=True), peer)
                    await inside.close()
                    return True
        return False


def run(plan: Plan, ready: Callable[[str], None]) -> int:
    """Serve until SIGTERM or SIGINT; 0. ``ready`` is told once, in words, that it serves.

    Raises as :meth:`Service.open` does.
    """

    async def main() -> None:
        service = Service(plan)
        for line in service.open():
            _log.warning("not served: %s", line)
        loop = asyncio.get_running_loop()
        serving = asyncio.ensure_future(service.serve())
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, serving.cancel)
        settings = service.core.settings
        told = f"udp {', '.join(map(str, settings.udp))}; tcp {', '.join(map(str, settings.tcp))}"
        _log.info("serving %s", told)
        ready(told)
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await serving
        finally:
            service.report()
            service.close()

    asyncio.run(main())
    return 0
