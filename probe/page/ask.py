"""Asks the daemon over its socket for the page."""

from __future__ import annotations

import socket
import time
from typing import TypeVar

import msgspec

from probe.model.home import Change, Changed, HomeRequest, Look, View

_PATIENCE = 4.0  # seconds for a daemon that is just taking up a new configuration to come back
_TIMEOUT = 10.0
_LONGEST = 1 << 20

T = TypeVar("T")


class Daemon:
    """The daemon behind ``path``. ``patience``: seconds in which a connection is tried."""

    def __init__(self, path: str, patience: float = _PATIENCE) -> None:
        self._path, self._patience = path, patience

    def look(self) -> View | None:
        """All that there is to show; None where no daemon answers."""
        try:
            return self._ask(Look(), View)
        except OSError:
            return None

    def change(self, change: Change) -> Changed:
        """Have something changed. Raises OSError where it can't be, or nobody answers."""
        return self._ask(change, Changed)

    def _ask(self, request: HomeRequest, kind: type[T]) -> T:
        with self._connect() as link:
            link.sendall(msgspec.json.encode(request) + b"\n")
            answer = bytearray()
            while piece := link.recv(65536):
                answer += piece
                if len(answer) > _LONGEST:
                    raise OSError("the daemon's answer is too long")
        try:
            return msgspec.json.decode(bytes(answer), type=kind)
        except msgspec.DecodeError as error:
            raise OSError(f"the daemon's answer can't be read: {error}") from None

    def _connect(self) -> socket.socket:
        end = time.monotonic() + self._patience
        while True:
            link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                link.settimeout(_TIMEOUT)
                link.connect(self._path)
            except (FileNotFoundError, ConnectionRefusedError):
                link.close()
                if time.monotonic() >= end:
                    raise
                time.sleep(0.1)
            except OSError:
                link.close()
                raise
            else:
                return link
