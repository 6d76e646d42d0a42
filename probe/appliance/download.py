"""A file over HTTP that goes on where it was broken off, for lines that are bad (RFC 9110, section 14)."""

from __future__ import annotations

import contextlib
import http.client
import urllib.error
import urllib.request
from pathlib import Path

from probe.model.errors import CannotMeasure

_TIMEOUT = 60.0
_PIECE = 1 << 16


def fetch(url: str, path: Path, length: int, tries: int = 20, *, partial: bool = False) -> int:
    """Bring ``path`` to ``length`` bytes of what lies at ``url``; what it holds already is not asked for again.

    ``partial``: what lies there is longer, and no more of it is wanted; a server that knows no ranges is refused.

    Returns how many bytes were lacking. Nothing is believed of them here: their hash is checked elsewhere. Raises
    CannotMeasure where the server refuses, or nothing has come in one try after ``tries``; the part stays.
    """
    lacking, trouble = length - (path.stat().st_size if path.exists() else 0), ""
    for _ in range(tries):
        have = path.stat().st_size if path.exists() else 0
        if have > length:
            path.unlink()
            have = 0
        if have == length:
            return lacking
        try:
            _more(url, path, have, length, partial=partial)
        except urllib.error.HTTPError as error:
            error.close()
            raise CannotMeasure(f"{url}: HTTP {error.code}", "the update's address may be wrong") from None
        except (OSError, http.client.HTTPException) as error:
            trouble = str(error)
        else:
            return lacking
    raise CannotMeasure(f"{url} broke off too often: {trouble}", "it goes on at the next attempt")


def _more(url: str, path: Path, have: int, length: int, *, partial: bool) -> None:
    wanted = {"Range": f"bytes={have}-{length - 1 if partial else ''}"} if have or partial else {}
    request = urllib.request.Request(url, headers=wanted)  # noqa: S310 - see Update
    with contextlib.ExitStack() as stack:
        answer = stack.enter_context(urllib.request.urlopen(request, timeout=_TIMEOUT))  # noqa: S310
        ranged = answer.status == http.HTTPStatus.PARTIAL_CONTENT
        if partial and not ranged:
            raise CannotMeasure(f"{url}: the server knows no ranges")
        # A server that knows no ranges begins anew.
        file = stack.enter_context(path.open("ab" if ranged else "wb"))
        while piece := answer.read(min(_PIECE, length + 1)):
            file.write(piece)
            if file.tell() > length:
                raise OSError("more came than was announced")
    if path.stat().st_size < length:
        raise OSError("the line broke off")
