#!/usr/bin/env python3
"""The icon that Raspberry Pi Imager shows: a hummingbird, 40 by 40, as PNG on standard output. Drawn from shapes
(ellipses and polygons in unit coordinates), four samples a pixel each way."""

from __future__ import annotations

import math
import struct
import sys
import zlib

SIZE = 40
_SAMPLES = 4
Point = tuple[float, float]
Colour = tuple[int, int, int]

GREEN, DARK, RED = (0x0E, 0x8A, 0x6B), (0x0B, 0x55, 0x4D), (0xD6, 0x3A, 0x4E)
BEAK: list[Point] = [(0.66, 0.27), (0.99, 0.14), (0.66, 0.33)]
WING: list[Point] = [(0.50, 0.42), (0.14, 0.04), (0.24, 0.40), (0.44, 0.58)]
TAIL: list[Point] = [(0.36, 0.60), (0.08, 0.97), (0.30, 0.90), (0.50, 0.72)]


def _within(polygon: list[Point], x: float, y: float) -> bool:
    inside = False
    for (x1, y1), (x2, y2) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            inside = not inside
    return inside


def _ellipse(x: float, y: float, centre: Point, radii: Point, degrees: float = 0.0) -> bool:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    dx, dy = x - centre[0], y - centre[1]
    return ((dx * cos + dy * sin) / radii[0]) ** 2 + ((dy * cos - dx * sin) / radii[1]) ** 2 <= 1


def colour(x: float, y: float) -> Colour | None:
    """The colour at a place of the unit square; None: transparent."""
    if _ellipse(x, y, (0.62, 0.28), (0.022, 0.022)):
        return (255, 255, 255)
    if _within(WING, x, y) or _within(BEAK, x, y):
        return DARK
    if _ellipse(x, y, (0.57, 0.42), (0.07, 0.06), 40):
        return RED
    if _ellipse(x, y, (0.60, 0.29), (0.105, 0.10)) or _ellipse(x, y, (0.49, 0.53), (0.11, 0.235), 30):
        return GREEN
    return DARK if _within(TAIL, x, y) else None


def _pixel(column: int, row: int) -> bytes:
    steps = [(i + 0.5) / _SAMPLES for i in range(_SAMPLES)]
    seen = [colour((column + dx) / SIZE, (row + dy) / SIZE) for dx in steps for dy in steps]
    solid = [one for one in seen if one is not None]
    if not solid:
        return bytes(4)
    mean = [sum(one[i] for one in solid) // len(solid) for i in range(3)]
    return bytes([*mean, 255 * len(solid) // len(seen)])


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png() -> bytes:
    """The file (PNG 1.2, RGBA)."""
    rows = b"".join(b"\0" + b"".join(_pixel(column, row) for column in range(SIZE)) for row in range(SIZE))
    header = struct.pack(">IIBBBBB", SIZE, SIZE, 8, 6, 0, 0, 0)
    # Stored, not deflated: another zlib must not change the file.
    packed = zlib.compress(rows, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


if __name__ == "__main__":
    sys.stdout.buffer.write(png())
