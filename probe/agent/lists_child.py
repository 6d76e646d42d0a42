"""Verifies a bundle by python-tuf, in a process of its own: ``python -m probe.agent.lists_child ROOT FOLDER NOW``.

Reads the bundle from stdin and prints the accepted list as JSON; on stderr, and with exit
status 1, the reason why there is none.
"""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from probe.agent.findings import instant
from probe.agent.lists import NAME, Accepted, epoch
from probe.model.errors import MalformedRecord
from probe.model.request import Bundle

SIGNED_AT = "x-colibri-signed-at"
"""Field of the timestamp's metadata: when it was signed. A device without a clock learns by it that it is later."""
_ORIGIN = "bundle:///"
_LARGEST = 256 * 1024


def verify(bundle: Bundle, root: bytes, folder: Path, now: float) -> Accepted:
    """The list of a bundle whose metadata leads from ``root`` to it; ``folder`` keeps what no later one may go behind.

    ``now``: seconds since the epoch, by which it must not have expired. Raises MalformedRecord with the reason,
    OSError.
    """
    from tuf.api.exceptions import DownloadError, DownloadHTTPError, RepositoryError
    from tuf.ngclient.config import UpdaterConfig
    from tuf.ngclient.fetcher import FetcherInterface
    from tuf.ngclient.updater import Updater

    class Files(FetcherInterface):
        """The bundle, as if it were a server."""

        def _fetch(self, url: str) -> Iterator[bytes]:
            text = bundle.files.get(url.removeprefix(_ORIGIN))
            if text is None:
                raise DownloadHTTPError(f"{url.removeprefix(_ORIGIN)} is not in the bundle", 404)
            return iter([text.encode()])

    metadata = folder / "metadata"
    metadata.mkdir(parents=True, exist_ok=True)
    limits = UpdaterConfig(
        max_root_rotations=64, max_delegations=0, root_max_length=_LARGEST, snapshot_max_length=_LARGEST,
        targets_max_length=_LARGEST,
    )  # fmt: skip
    try:
        updater = Updater(str(metadata), _ORIGIN, str(folder), _ORIGIN, Files(), limits, bootstrap=root)
        # The clock of a device may stand still for years; it is never before what was signed already.
        updater._trusted_set.reference_time = dt.datetime.fromtimestamp(max(now, _latest(metadata)), dt.UTC)
        updater.refresh()
        info = updater.get_targetinfo(NAME)
        if info is None:
            raise MalformedRecord("bundle", f"vouches for no {NAME}")
        if info.length > _LARGEST:
            raise MalformedRecord("bundle", f"{NAME} has {info.length} bytes, and {_LARGEST} are the most")
        text = Path(updater.download_target(info, str(folder / NAME))).read_text(encoding="utf-8")
    except (RepositoryError, DownloadError, UnicodeDecodeError) as error:
        cause = f": {error.__cause__}" if error.__cause__ else ""
        raise MalformedRecord("bundle", f"{type(error).__name__}: {error}{cause}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise MalformedRecord("bundle", f"its metadata can't be read: {error!r}") from None
    signed = _signed(metadata / "targets.json")
    return Accepted(signed["version"], _instant(signed["expires"]), instant(_latest(metadata)), text)


def _signed(path: Path) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(path.read_bytes())["signed"]
    return decoded


def _latest(metadata: Path) -> float:
    """When the newest metadata that was accepted was signed, seconds since the epoch; 0.0: never any."""
    try:
        return epoch(_signed(metadata / "timestamp.json")[SIGNED_AT])
    except (OSError, KeyError, ValueError, TypeError):
        return 0.0


def _instant(text: str) -> str:
    return instant(epoch(text))


def main(arguments: list[str]) -> int:
    """Verify what stdin has; the exit status."""
    root, folder, now = Path(arguments[0]), Path(arguments[1]), float(arguments[2])
    try:
        bundle = msgspec.json.decode(sys.stdin.buffer.read(), type=Bundle)
        accepted = verify(bundle, root.read_bytes(), folder, now)
    except (MalformedRecord, msgspec.DecodeError, OSError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 1
    sys.stdout.buffer.write(msgspec.json.encode(accepted))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
