"""Local ports of one run: a block above the kernel's ephemeral range, so that no other program's flow falls into it."""

from __future__ import annotations

import errno
import socket
from random import Random

from probe.model.errors import CannotMeasure

BLOCK = 1024
MASK = 0xFFFF & ~(BLOCK - 1)
_BLOCKS = range(0xF000, 0x10000, BLOCK)  # Linux hands out 32768 to 60999 by itself (ip_local_port_range)


class Ports:
    """Hands out the ports of one block, each once, in random order of start."""

    def __init__(self, random: Random) -> None:
        self.base = random.choice(_BLOCKS)
        self._offset = random.randrange(BLOCK)
        self._used = 0

    def take(self) -> int:
        """The next port of the block. Raises CannotMeasure when all are used."""
        if self._used >= BLOCK:
            raise CannotMeasure(f"this measurement needs more than {BLOCK} flows at once")
        port = self.base + (self._offset + self._used) % BLOCK
        self._used += 1
        return port

    def bind(self, sock: socket.socket, source: str) -> int:
        """Bind ``sock`` to ``source`` and the next port that is free; returns the port.

        Raises CannotMeasure when all are used, OSError when it is not the port that is wrong (the address has gone).
        """
        while True:
            port = self.take()
            try:
                sock.bind((source, port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            return port
