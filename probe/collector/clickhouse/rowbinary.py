"""ClickHouse's format RowBinary, and values in its SQL, as far as this store needs them. Pure.

Rows travel in binary both ways, so that captures and JSON go through as they came. Values stand in the text of a query
because servers before 19.14 know no parameters. A kind is one letter a column: ``s`` String as text, ``b`` String as
bytes, ``i`` Int64 or UInt64 (as signed), ``f`` Float64. (ClickHouse's documentation: RowBinary; String literals.)
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from probe.model.errors import MalformedPacket
from probe.wire import varint

T = TypeVar("T")

_I64 = struct.Struct("<q")
_F64 = struct.Struct("<d")
_LONGEST = 6  # bytes of a string's length
_ESCAPED = {"\\": "\\\\", "'": "\\'", "\x00": "\\0", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
_ESCAPES = str.maketrans(_ESCAPED)


def encode(kinds: str, rows: Iterable[Sequence[Any]]) -> bytes:
    """Rows as bytes. Text may be ``str`` or ``bytes``. Raises ValueError for a row of another length."""
    out = bytearray()
    for row in rows:
        for kind, value in zip(kinds, row, strict=True):
            if kind in "sb":
                raw = value.encode() if isinstance(value, str) else value
                out += varint.encode(len(raw))
                out += raw
            elif kind == "i":
                out += _I64.pack(value)
            else:
                out += _F64.pack(value)
    return bytes(out)


def decode(kinds: str, data: bytes) -> list[tuple[Any, ...]]:
    """Bytes as rows. Raises ValueError for what is cut short, and for text that is no UTF-8."""
    rows: list[tuple[Any, ...]] = []
    at, end = 0, len(data)
    try:
        while at < end:
            row: list[Any] = []
            for kind in kinds:
                if kind in "sb":
                    size, at = varint.decode(data, at, _LONGEST)
                    if at + size > end:
                        raise ValueError("a string is cut short")
                    raw = data[at : at + size]
                    row.append(raw if kind == "b" else raw.decode())
                    at += size
                else:
                    (value,) = (_I64 if kind == "i" else _F64).unpack_from(data, at)
                    row.append(value)
                    at += 8
            rows.append(tuple(row))
    except (struct.error, IndexError, MalformedPacket) as error:
        raise ValueError(f"not rows of {kinds!r}: {error}") from error
    return rows


def literal(value: str | float) -> str:
    """A value as it stands in a query."""
    if isinstance(value, str):
        return f"'{value.translate(_ESCAPES)}'"
    return repr(value)


def listed(values: Iterable[str | float | tuple[str | float, ...]]) -> str:
    """The right side of IN: values, or tuples of them. There must be one at least."""
    parts = [
        f"({', '.join(literal(part) for part in value)})" if isinstance(value, tuple) else literal(value)
        for value in values
    ]
    return f"({', '.join(parts)})"


def chunks(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """In parts of so many at the most: a list in a query has to end somewhere."""
    return (values[start : start + size] for start in range(0, len(values), size))
