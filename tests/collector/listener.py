"""What the tests' own servers on loopback have in common: a port, a thread that serves one client after the other."""

from __future__ import annotations

import contextlib
import socket
import threading


class Listener:
    """Serves from its making on until :meth:`close`; a subclass says what (:meth:`serve`). ``port``: on 127.0.0.1."""

    def __init__(self, name: str) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name)
        self._thread.start()

    def serve(self, client: socket.socket) -> None:
        """Talk to one client; OSError ends that."""
        raise NotImplementedError

    def close(self) -> None:
        self._closed.set()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            pass
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        while True:
            client, _ = self._socket.accept()
            with client:
                if self._closed.is_set():
                    return
                client.settimeout(5)
                with contextlib.suppress(OSError):
                    self.serve(client)
