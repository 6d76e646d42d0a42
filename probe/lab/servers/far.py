"""The real reflector's service on a host of the lab, in a thread of its own that stays in the host's namespace."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from probe.lab.namespaces import Namespace
from probe.model.errors import CannotMeasure, ColibriError
from probe.reflector import plan
from probe.reflector.service import Service

_READY_WITHIN = 10.0


class FarEnd:
    """``listen``: its addresses; ``silent``: those at which it says nothing; ``peers``: name → address of others.

    ``secret``: what all reflectors of a lab share. Ports that the host has in use already it does without.
    """

    def __init__(
        self, namespace: Namespace, listen: Sequence[str], *, name: str, zone: str, secret: str,
        silent: Sequence[str] = (), peers: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self._namespace = namespace
        self._listen, self._silent = ",".join(listen), ",".join(silent)
        self._name, self._zone = name, zone
        self._secret = secret
        self._peers = [f"{peer}={address}" for peer, address in (peers or {}).items()]
        self._ready = threading.Event()
        self._failed = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._serving: asyncio.Task[None] | None = None
        # A thread, because every socket that the service makes must be born in the namespace, later ones too.
        self._thread = threading.Thread(target=self._run, name=f"reflector {name}", daemon=True)

    def start(self) -> None:
        """Begin; :meth:`await_ready` says when it serves."""
        self._thread.start()

    def await_ready(self) -> None:
        """Wait until it serves. Raises CannotMeasure."""
        if not self._ready.wait(_READY_WITHIN) or self._failed:
            raise CannotMeasure(f"the lab's reflector does not start: {self._failed or 'no word from it'}")

    def close(self) -> None:
        """End it."""
        if self._loop is not None and self._serving is not None:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self._serving.cancel)
        self._thread.join(_READY_WITHIN)

    def _run(self) -> None:
        with self._namespace.inside():
            try:
                asyncio.run(self._serve(self._service()))
            except (ColibriError, OSError) as error:
                self._failed = str(error)
            finally:
                self._ready.set()

    def _service(self) -> Service:
        with tempfile.TemporaryDirectory() as state:  # certificate and key are read once
            key = Path(state, "peers.key")
            key.write_text(self._secret, "ascii")
            service = Service(plan.make(
                listen=self._listen, silent=self._silent, name=self._name, zone=self._zone, peers=self._peers,
                peer_key=str(key), state=state,
            ))  # fmt: skip
            service.open()
        return service

    async def _serve(self, service: Service) -> None:
        self._loop = asyncio.get_running_loop()
        self._serving = asyncio.ensure_future(service.serve())
        self._ready.set()
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await self._serving
        finally:
            service.close()
