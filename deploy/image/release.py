#!/usr/bin/env python3
"""The update repository (The Update Framework), on the operator's own machine.

    release.py init KEYS                                  keys and the root of trust, once
    release.py publish KEYS REPOSITORY BUNDLE VERSION     add a release: what a web server serves as [update] url
    release.py refresh KEYS REPOSITORY                    sign the short-lived metadata anew (weekly)

KEYS/offline holds three keys for the root and three for releases, of which two must sign; three people may hold one
each. The key of the short-lived metadata (KEYS/online.pem) may lie on a server: alone it can neither release nor go
back.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp

from probe.appliance.pieces import index

TARGET, PIECES = "colibri-arm64.raucb", "colibri-arm64.pieces"
HOLDERS, THRESHOLD = 3, 2
YEARS, RELEASE_DAYS, SHORT_DAYS = 10, 400, 30
ONLINE = ("snapshot", "timestamp")


def signers(keys: Path, role: str) -> list[CryptoSigner]:
    """The private keys of a role that are at hand."""
    paths = [keys / "online.pem"] if role in ONLINE else sorted((keys / "offline").glob(f"{role}-*.pem"))
    return [CryptoSigner(load_pem_private_key(path.read_bytes(), None)) for path in paths]


def after(days: float, now: datetime | None = None) -> datetime:
    """So many days from now, to the second."""
    return ((now or datetime.now(UTC)) + timedelta(days=days)).replace(microsecond=0)


def sign(document: Metadata, by: Sequence[CryptoSigner]) -> bytes:  # type: ignore[type-arg]
    """The metadata, signed by those keys, as it is served."""
    document.signatures.clear()
    for signer in by:
        document.sign(signer, append=True)
    return document.to_bytes()


def init(keys: Path) -> None:
    """Make the keys and ``root.json``. Raises FileExistsError where there are some."""
    (keys / "offline").mkdir(parents=True)
    (keys / "offline").chmod(0o700)
    root = Root(consistent_snapshot=True, expires=after(365 * YEARS))
    for role in ("root", "targets", *ONLINE):
        names = ["online.pem"] if role in ONLINE else [f"offline/{role}-{i + 1}.pem" for i in range(HOLDERS)]
        for name in names:
            if not (keys / name).exists():
                (keys / name).write_bytes(CryptoSigner(Ed25519PrivateKey.generate()).private_bytes)
                (keys / name).chmod(0o600)
        for signer in signers(keys, role):
            root.add_key(signer.public_key, role)
        root.roles[role].threshold = 1 if role in ONLINE else THRESHOLD
    (keys / "root.json").write_bytes(sign(Metadata(root), signers(keys, "root")[:THRESHOLD]))


def publish(
    keys: Path, repository: Path, bundle: Path, version: str, *,
    holders: int = THRESHOLD, days: float = RELEASE_DAYS, number: int | None = None,
) -> None:  # fmt: skip
    """Add a release. ``holders``: how many keys sign; ``days``: until it expires; ``number``: the metadata's version.
    The defaults are what probes accept; anything else is for tests that show what they refuse."""
    metadata, files = repository / "metadata", repository / "targets"
    metadata.mkdir(parents=True, exist_ok=True)
    files.mkdir(exist_ok=True)
    shutil.copy(keys / "root.json", metadata / "1.root.json")
    targets = Targets(version=number or latest(metadata, "targets") + 1, expires=after(days))
    target = TargetFile.from_file(TARGET, str(bundle))
    target.unrecognized_fields["custom"] = {"version": version}
    listed = index(bundle.read_bytes())
    pieces = TargetFile.from_data(PIECES, listed)
    targets.targets = {TARGET: target, PIECES: pieces}
    shutil.copy(bundle, files / f"{target.hashes['sha256']}.{TARGET}")
    (files / f"{pieces.hashes['sha256']}.{PIECES}").write_bytes(listed)
    signed = sign(Metadata(targets), signers(keys, "targets")[:holders])
    (metadata / f"{targets.version}.targets.json").write_bytes(signed)
    refresh(keys, repository, targets=targets.version)


def refresh(keys: Path, repository: Path, *, targets: int | None = None, days: float = SHORT_DAYS) -> None:
    """Snapshot and timestamp for the releases there are."""
    metadata = repository / "metadata"
    number = targets or latest(metadata, "targets")
    snapshot = Snapshot(version=latest(metadata, "snapshot") + 1, expires=after(days))
    snapshot.meta["targets.json"] = described(metadata / f"{number}.targets.json", number)
    path = metadata / f"{snapshot.version}.snapshot.json"
    path.write_bytes(sign(Metadata(snapshot), signers(keys, "snapshot")))
    timestamp = Timestamp(version=snapshot.version, expires=after(days))
    timestamp.snapshot_meta = described(path, snapshot.version)
    (metadata / "timestamp.json").write_bytes(sign(Metadata(timestamp), signers(keys, "timestamp")))


def described(path: Path, version: int) -> MetaFile:
    """A metadata file as another one names it."""
    data = path.read_bytes()
    return MetaFile(version, len(data), {"sha256": hashlib.sha256(data).hexdigest()})


def latest(metadata: Path, role: str) -> int:
    """The newest version of a role's metadata there is; 0: none."""
    return max((int(path.name.partition(".")[0]) for path in metadata.glob(f"*.{role}.json")), default=0)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, names in (
        ("init", ["keys"]), ("publish", ["keys", "repository", "bundle", "version"]),
        ("refresh", ["keys", "repository"]),
    ):  # fmt: skip
        one = verbs.add_parser(verb)
        for name in names:
            one.add_argument(name, type=str if name == "version" else Path)
    given = parser.parse_args()
    if given.verb == "init":
        init(given.keys)
    elif given.verb == "publish":
        publish(given.keys, given.repository, given.bundle, given.version)
        print(f"{given.version} is in {given.repository}", file=sys.stderr)
    else:
        refresh(given.keys, given.repository)


if __name__ == "__main__":
    main()
