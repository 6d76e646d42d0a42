"""Domain names: text and wire form (RFC 1035, sections 3.1, 4.1.4 and 5.1; RFC 3490 for what is not ASCII)."""

from __future__ import annotations

import re
from functools import lru_cache

from probe.model.errors import MalformedPacket

ROOT = "."
MAX_LABEL = 63
MAX_NAME = 255
"""Limits in bytes on the wire (RFC 1035, section 2.3.4)."""

_PLAIN = re.compile(rb"[!-\-/-\[\]-~]+").fullmatch  # printable, neither a dot nor a backslash
_ESCAPE = re.compile(r"\\(\d{3}|.)|(\.)|([^\\.]+)", re.DOTALL)


class NameReader:
    """Reads the names of one message. Made anew for each, since it bounds the work that a message may cause."""

    __slots__ = ("_budget", "_raw", "_seen")

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._seen: dict[int, str] = {}
        # Pointers let a few bytes stand for 127 labels; an honest message has less than one label in two bytes.
        self._budget = 128 + len(raw)

    def read(self, at: int) -> tuple[str, int]:
        """Name at offset ``at`` and the offset behind it; the root is ``.``, case is kept. Raises MalformedPacket.

        Bytes that are not printable ASCII, and dots inside a label, become ``\\DDD``.
        """
        raw = self._raw
        start, after, floor = at, -1, at
        labels: list[str] = []
        size = 1
        while True:
            self._budget -= 1
            if self._budget < 0:
                raise MalformedPacket("DNS names too entangled")
            if at >= len(raw):
                raise MalformedPacket(f"DNS name runs over the end at byte {at}")
            length = raw[at]
            if length >= 0xC0:
                if at + 1 >= len(raw):
                    raise MalformedPacket(f"DNS compression pointer cut at byte {at}")
                target = (length & 0x3F) << 8 | raw[at + 1]
                if target >= floor:  # only backwards (RFC 1035, 4.1.4: a prior occurrence), so there is no loop
                    raise MalformedPacket(f"DNS compression pointer from byte {at} to {target}")
                after = at + 2 if after < 0 else after
                if not labels and target in self._seen:
                    return self._seen[target], after
                at = floor = target
            elif length > MAX_LABEL:
                raise MalformedPacket(f"DNS label type {length >> 6} at byte {at}")
            else:
                at += 1
                if not length:
                    break
                size += length + 1
                if size > MAX_NAME or at + length > len(raw):
                    raise MalformedPacket(f"DNS name too long or cut at byte {at}")
                labels.append(_label_text(raw[at : at + length]))
                at += length
        name = ".".join(labels) or ROOT
        self._seen[start] = name
        return name, at if after < 0 else after


def _label_text(label: bytes) -> str:
    if _PLAIN(label):
        return label.decode("ascii")
    return "".join(chr(b) if _PLAIN(bytes((b,))) else f"\\{b:03d}" for b in label)


@lru_cache(maxsize=1024)
def name_labels(name: str) -> tuple[bytes, ...]:
    """Labels of a name in text, without the root's empty one. Raises MalformedPacket.

    A final dot is allowed; ``\\DDD`` and ``\\X`` are understood (RFC 1035, 5.1); labels that are not ASCII go through
    IDNA.
    """
    if name in ("", ROOT):
        return ()
    if name.isascii() and "\\" not in name:
        labels = [part.encode("ascii") for part in name.removesuffix(".").split(".")]
    else:
        labels = _odd_labels(name)
    if not all(0 < len(label) <= MAX_LABEL for label in labels):
        raise MalformedPacket(f"{name!r}: a label is empty or longer than {MAX_LABEL} bytes")
    if sum(map(len, labels)) + len(labels) + 1 > MAX_NAME:
        raise MalformedPacket(f"{name!r} is longer than {MAX_NAME} bytes")
    return tuple(labels)


def _odd_labels(name: str) -> list[bytes]:
    labels = [b""]
    at = 0
    while at < len(name):
        token = _ESCAPE.match(name, at)
        if token is None:
            raise MalformedPacket(f"{name!r} ends in a backslash")
        at = token.end()
        escaped, dot, plain = token.groups()
        if dot:
            labels.append(b"")
        elif escaped is not None and len(escaped) == 3:
            if int(escaped) > 255:
                raise MalformedPacket(f"{name!r}: \\{escaped} is no byte")
            labels[-1] += bytes((int(escaped),))
        else:
            labels[-1] += _idna(escaped if plain is None else plain)
    return labels if labels[-1] else labels[:-1]


def _idna(part: str) -> bytes:
    try:
        return part.encode("ascii" if part.isascii() else "idna")
    except UnicodeError as error:
        raise MalformedPacket(f"{part!r} cannot be written as a domain name: {error}") from error


def name_bytes(name: str) -> bytes:
    """Wire form of a name, uncompressed. Raises MalformedPacket."""
    return b"".join(bytes((len(label),)) + label for label in name_labels(name)) + b"\0"
