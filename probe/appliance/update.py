"""Updates: The Update Framework says which bundle is meant, RAUC puts it into the other slot.

TUF's metadata (threshold signatures, expiry, no way back, one consistent snapshot) are checked by python-tuf, the
bundle's own signature by RAUC. Whoever serves the files, or changes them under way, can withhold updates and nothing
else.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from probe.agent.files import write_whole
from probe.appliance.download import fetch
from probe.appliance.pieces import Slot, assemble, read_index, running_device
from probe.model.errors import CannotMeasure, ColibriError

if TYPE_CHECKING:
    from tuf.api.metadata import TargetFile
    from tuf.ngclient import Updater

TARGET, PIECES = "colibri-arm64.raucb", "colibri-arm64.pieces"
"""Names in the repository: the bundle, whose version stands in ``custom``, and the list of its pieces."""
LARGEST, LARGEST_LIST = 400_000_000, 4_000_000
TRIALS = 2
"""Times that one version is tried; then it is left until a later one comes."""


class UpdateRefused(ColibriError):  # noqa: N818 - named after what happened
    """An update that must not be taken, or a repository that can't be trusted."""


def number(version: str) -> tuple[int, ...]:
    """A version as what it is compared by. Raises UpdateRefused for anything but numbers and dots."""
    if not re.fullmatch(r"\d{1,9}(\.\d{1,9}){1,5}", version):
        raise UpdateRefused(f"{version!r} is no version")
    return tuple(map(int, version.split(".")))


def look(url: str, folder: Path, root: bytes) -> tuple[str, TargetFile, Updater] | None:
    """What the repository at ``url`` offers: version, target, and who fetches more of it; None: nothing for us.

    ``folder`` keeps the metadata that were trusted last, ``root`` is where trust begins. Raises UpdateRefused with the
    reason: under-signed, expired, older than what was seen before, not consistent, altered; CannotMeasure where the
    repository can't be reached.
    """
    from tuf.api.exceptions import DownloadError, RepositoryError
    from tuf.ngclient import Updater

    folder.mkdir(parents=True, exist_ok=True)
    updater = Updater(str(folder), f"{url}metadata/", bootstrap=root)
    try:
        updater.refresh()
        target = updater.get_targetinfo(TARGET)
    except DownloadError as error:
        raise CannotMeasure(f"{url} can't be read: {error}", "it is tried again tomorrow") from None
    except RepositoryError as error:
        raise UpdateRefused(f"the repository is not to be trusted: {type(error).__name__}: {error}") from None
    if target is None:
        return None
    if target.length > LARGEST:
        raise UpdateRefused(f"an update of {target.length} bytes")
    return str((target.custom or {}).get("version", "")), target, updater


def pieces_of(updater: Updater, url: str, path: Path) -> bytes:
    """The list of the bundle's pieces, by way of ``path``; empty where there is none that can be trusted."""
    from tuf.api.exceptions import DownloadError, RepositoryError

    with contextlib.suppress(DownloadError, RepositoryError, OSError):
        if (listed := updater.get_targetinfo(PIECES)) is not None and listed.length <= LARGEST_LIST:
            return Path(updater.download_target(listed, str(path), f"{url}targets/")).read_bytes()
    return b""


class Attempts:
    """How often each version was installed, or refused by RAUC, and then not found running; kept with the data."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def of(self, version: str) -> int:
        """Times that this version was tried."""
        return self._all().get(version, 0)

    def add(self, version: str) -> None:
        """It was tried."""
        write_whole(self._path, msgspec.json.encode({version: self.of(version) + 1}))

    def _all(self) -> dict[str, int]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, int])
        except (FileNotFoundError, msgspec.DecodeError):
            return {}


def rauc(bundle: Path) -> None:
    """Install by RAUC's service. Raises UpdateRefused with its last words."""
    done = subprocess.run(["rauc", "install", bundle], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UpdateRefused(f"RAUC: {' '.join((done.stderr or done.stdout).split())[-300:]}")


def bring(url: str, part: Path, length: int, listed: bytes, device: Callable[[], Path]) -> int:
    """The bundle at ``url``, with the help of the system that runs, or if that is none, whole. Returns the bytes that
    came. Raises CannotMeasure."""
    if listed:
        with contextlib.suppress(OSError, ValueError, CannotMeasure), contextlib.closing(Slot(device())) as slot:
            return assemble(url, part, read_index(listed, length), slot)
    return fetch(url, part, length)


def update(
    url: str, folder: Path, root: bytes, current: str, *,
    install: Callable[[Path], None] = rauc, say: Callable[[str], None] = print,
    device: Callable[[], Path] = running_device,
) -> bool:  # fmt: skip
    """Bring the device up to date; True if it is to be started anew. Raises as :func:`look` and :func:`fetch` do."""
    from tuf.api.exceptions import LengthOrHashMismatchError

    offered = look(url, folder / "metadata", root)
    if offered is None or number(offered[0]) == number(current):
        say(f"{current} is the latest")
        return False
    version, target, updater = offered
    if number(version) < number(current):
        raise UpdateRefused(f"{version} is older than {current}, which runs")
    attempts = Attempts(folder / "attempts.json")
    if attempts.of(version) >= TRIALS:
        raise UpdateRefused(f"{version} was tried {TRIALS} times and did not work")
    part = folder / "bundle.part"
    mark = folder / "bundle.sha256"
    wanted = target.hashes["sha256"]
    if not mark.exists() or mark.read_text() != wanted:  # the part of another bundle
        part.unlink(missing_ok=True)
        mark.write_text(wanted)
    listed = pieces_of(updater, url, folder / "bundle.pieces")
    came = bring(f"{url}targets/{wanted}.{TARGET}", part, target.length, listed, device)
    say(f"{version}: {came} of {target.length} bytes came")
    try:
        with part.open("rb") as file:
            target.verify_length_and_hashes(file)
    except LengthOrHashMismatchError as error:
        part.unlink()
        raise UpdateRefused(f"the bundle is not the one that was announced: {error}") from None
    bundle = part.replace(folder / "bundle.raucb")
    try:
        install(bundle)
    finally:
        # Not before: that the plug was pulled while it was written is no fault of the version's.
        attempts.add(version)
        for left in (bundle, mark, folder / "bundle.pieces"):
            left.unlink(missing_ok=True)
    say(f"{version} is installed and starts next, on trial")
    return True
