"""The collector's process: subscriber (a thread), store, and monitor (the event loop), from start to clean end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import resource
import signal
import socket
import threading
from collections.abc import Callable, Iterator

import uvicorn

from probe.collector import rest_metrics, stores
from probe.collector.app import Site, make_app
from probe.collector.checkers import GARBAGE
from probe.collector.errands import Errands
from probe.collector.events import VIEWERS
from probe.collector.public_reader import PublicReader
from probe.collector.rest import Rest
from probe.collector.subscriber import Subscriber, wall_clock
from probe.model.config import Config
from probe.model.errors import ColibriError, ConfigError

_log = logging.getLogger(__name__)

GRACE = 3
"""Seconds that open requests are given at the end."""
FILES = 65_536
"""Open files, and so viewers, that the process asks for: what a shell gives it (1,024) is too few."""
CONNECTIONS = VIEWERS + 1000
"""Most at a time; who comes beyond is told so (503). The rest is for those who only load pages."""
UNREAD = 30
"""Seconds after which a connection is closed whose other end takes nothing (TCP_USER_TIMEOUT, RFC 5482)."""
UNSENT = 256 * 1024
"""Bytes that the kernel keeps for one connection; left to itself it keeps megabytes for each who does not read."""


class _Server(uvicorn.Server):
    """uvicorn that says when it listens, and without its signal handlers: they kill the process after a clean end."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._listening()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(config: Config, ready: Callable[[], None]) -> int:
    """Serve until SIGTERM or SIGINT. ``ready`` is called once, when the store is open and the monitor listens.

    A broker that is away is waited for, and the health page says so.

    Returns 0. Raises ConfigError or StoreError if it can't start, ColibriError if a part of it died.
    """
    if not config.mqtt.host:
        raise ConfigError("mqtt.host", "the collector needs a broker to subscribe to")
    _more_files()
    gc.freeze()
    gc.set_threshold(*GARBAGE)
    with listen(config.collector.listen) as sock:
        return asyncio.run(_serve(config, sock, ready))


def listen(address: str, option: str = "collector.listen") -> socket.socket:
    """A listening socket for ``host:port`` or ``[host]:port``. Raises ConfigError that names the option."""
    host, separator, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not separator or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigError(option, f"{address!r} is not ADDRESS:PORT")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Those that it accepts inherit both.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD * 1000)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNSENT)
        sock.bind((host, int(port)))
    except OSError as error:
        sock.close()
        raise ConfigError(option, f"can't listen on {address}: {error.strerror or error}") from error
    return sock


def _more_files() -> None:
    """Raise the soft limit of open files towards the hard one, where that is allowed."""
    with contextlib.suppress(OSError, ValueError):  # a sandbox may forbid it, and gives enough itself
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
        if soft != resource.RLIM_INFINITY and soft < most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


async def _serve(config: Config, sock: socket.socket, ready: Callable[[], None]) -> int:
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    with contextlib.ExitStack() as stack:
        wake: list[Callable[[], None]] = []
        opened = stores.opened(config.collector, lambda: _call_all(wake))
        stack.callback(opened.close)
        reader, public, consents = opened.reader, opened.public, config.collector.consents
        subscriber = Subscriber(config, opened.store, public=public)

        def trouble() -> str:
            return subscriber.trouble or opened.trouble()

        shown = PublicReader(reader, consents, wall_clock)
        site = Site(
            shown, trouble, wall_clock, config.collector.site,
            counting=bool(config.collector.counter),
        )  # fmt: skip
        errands = Errands(config, reader, wall_clock, site.choose)
        stack.callback(errands.close)
        if errands.counters is not None:
            site.counted = errands.counters.shown
        wake.append(site.hub.wake)

        def present() -> rest_metrics.Now:
            return rest_metrics.Now(site.hub.viewers, site.hub.dropped, trouble(), public.waiting)

        metrics = rest_metrics.route(reader, present, rest_metrics.token(config.collector))
        routes = [*Rest(reader, wall_clock, consents).routes, metrics, *errands.routes]
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, done.set)
            stack.callback(loop.remove_signal_handler, number)

        def listening() -> None:
            _log.info("monitor at %s", url(sock))
            ready()

        settings = uvicorn.Config(
            make_app(site, routes), log_config=None, log_level="warning", access_log=False, lifespan="off",
            server_header=False, timeout_graceful_shutdown=GRACE, limit_concurrency=CONNECTIONS,
        )  # fmt: skip
        server = _Server(settings, listening)
        died: list[BaseException] = []
        thread = threading.Thread(target=_guard, args=(subscriber.run, died, loop, done), name="subscriber")
        thread.start()
        serving = asyncio.create_task(server.serve([sock]))
        following = asyncio.create_task(site.hub.run(site.newest()))
        running = asyncio.create_task(errands.run())
        for task in (serving, following, running):
            task.add_done_callback(lambda _: done.set())
        await done.wait()
        _log.info("stopping")
        subscriber.stop()
        site.hub.close()
        server.should_exit = True
        following.cancel()
        running.cancel()
        ends = await asyncio.gather(serving, following, running, return_exceptions=True)
        await asyncio.to_thread(thread.join)
    died += [end for end in ends if isinstance(end, Exception)]
    if not died:
        return 0
    raise died[0] if isinstance(died[0], ColibriError) else ColibriError(f"a part of the collector died: {died[0]!r}")


def _guard(
    work: Callable[[], None], died: list[BaseException], loop: asyncio.AbstractEventLoop, done: asyncio.Event
) -> None:
    """Run the subscriber; if it dies, the process ends with its reason instead of collecting nothing in silence."""
    try:
        work()
    except BaseException as error:  # noqa: BLE001 - handed to the main thread, which raises it
        died.append(error)
    loop.call_soon_threadsafe(done.set)


def _call_all(functions: list[Callable[[], None]]) -> None:
    for function in functions:
        function()


def url(sock: socket.socket) -> str:
    """The monitor's address, for a person."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
