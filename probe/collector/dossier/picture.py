"""Timelines as pictures: small SVG, made here, without text (dates stand beside them, in the reader's language)."""

from __future__ import annotations

import base64
from collections.abc import Iterable

from probe.collector.timelines import State

WIDTH, HEIGHT = 1000, 24
"""Of a lane's drawing, in its own units."""

# State → (top, height, look): told apart by height and filling as well as by colour, also in black and white.
_LOOKS: dict[State, tuple[int, int, str]] = {
    "interfered": (0, 24, 'fill="#a11d2b"'),
    "mixed": (9, 15, 'fill="#f2c9cd" stroke="#a11d2b" stroke-width="2" stroke-dasharray="5 3"'),
    "down": (4, 20, 'fill="none" stroke="#7a4b00" stroke-width="2"'),
    "clean": (18, 6, 'fill="#1d6b54"'),
    "inconclusive": (16, 8, 'fill="none" stroke="#666666" stroke-width="1.5" stroke-dasharray="2 3"'),
}


def lane(runs: Iterable[tuple[State, int, int, int, int]], start: int, end: int, marks: Iterable[int] = ()) -> str:
    """The drawing of a lane from ``start`` to ``end`` (ms), as an address (``data:``, RFC 2397). Nothing: nobody
    measured. ``marks``: instants at which a thin line stands."""
    drawn = [f'<path d="M{WIDTH * (at - start) / (end - start):.1f} 0V{HEIGHT}" stroke="#cccccc"/>' for at in marks]
    for state, since, until, _, _ in runs:
        left, right = (WIDTH * (min(max(at, start), end) - start) / (end - start) for at in (since, until))
        if right > left:
            drawn.append(_block(state, left, max(right - left, 1.0)))
    return _address("".join(drawn))


def key(state: State) -> str:
    """What a state looks like, for the legend."""
    top, height, look = _LOOKS[state]
    body = f'<rect x="1" y="{top + 1}" width="38" height="{height - 2}" {look}/>'
    return _address(body, 40)


def bar(share: float) -> str:
    """A share (0 … 1) as the filling of a column."""
    tall = 38 * min(max(share, 0.0), 1.0)
    body = (
        '<rect x="1" y="1" width="22" height="38" fill="none" stroke="#999999"/>'
        f'<rect x="1" y="{39 - tall:.1f}" width="22" height="{tall:.1f}" fill="#a11d2b"/>'
    )
    return _address(body, 24, 40)


def _block(state: State, x: float, width: float) -> str:
    top, height, look = _LOOKS[state]
    return f'<rect x="{x:.1f}" y="{top}" width="{width:.1f}" height="{height}" {look}/>'


def _address(body: str, width: int = WIDTH, height: int = HEIGHT) -> str:
    base = "" if height != HEIGHT else f'<path d="M0 {height - 0.5}H{width}" stroke="#bbbbbb"/>'
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" preserveAspectRatio="none">'
        f"{base}{body}</svg>"
    )
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
