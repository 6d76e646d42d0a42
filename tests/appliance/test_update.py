"""Which updates are taken: repositories made by the operator's own tool, over HTTP, good ones and bad ones."""

from __future__ import annotations

import functools
import http.server
import random
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from probe.appliance.update import TARGET, Attempts, UpdateRefused, number, update
from probe.model.errors import CannotMeasure
from tests.appliance.test_pieces import squashfs
from tests.scripts import load

pytestmark = pytest.mark.loopback


release, web = load("image/release"), load("image/web")


class Fleet:
    """Keys, a repository that is served, and one probe that looks into it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self.keys, self.repository, self.state = folder / "keys", folder / "served", folder / "state"
        release.init(self.keys)
        self.installed: list[bytes] = []
        self.tried: list[int] = []
        self.said: list[str] = []
        self.device = folder / "no-device"

    def publish(self, version: str, content: bytes = b"bundle", **kind: object) -> None:
        bundle = self.folder / "bundle"
        bundle.write_bytes(content)
        release.publish(self.keys, self.repository, bundle, version, **kind)

    def look(self, current: str = "0.1.5") -> bool:
        root = (self.keys / "root.json").read_bytes()
        self.state.mkdir(exist_ok=True)
        return update(self.url, self.state, root, current, say=self.said.append, device=lambda: self.device,
                      install=self._install)  # fmt: skip

    def _install(self, bundle: Path) -> None:
        self.installed.append(bundle.read_bytes())
        self.tried.append(Attempts(self.state / "attempts.json").of("0.1.6"))


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    (tmp_path / "served").mkdir()
    handler = functools.partial(web.Ranges, directory=str(tmp_path / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield Fleet(tmp_path, f"http://127.0.0.1:{listening.server_port}/")
        listening.shutdown()
        thread.join()


def test_a_later_release_is_installed(fleet: Fleet) -> None:
    fleet.publish("0.1.6", b"the bundle")
    assert fleet.look()
    assert fleet.installed == [b"the bundle"]
    assert not fleet.look("0.1.6"), "it runs now"
    assert not list(fleet.state.glob("bundle*"))


def test_a_version_counts_as_tried_once_it_is_installed(fleet: Fleet) -> None:
    """That the plug is pulled while it is written is no fault of the version's."""
    fleet.publish("0.1.6", b"the bundle")
    assert fleet.look()
    attempts = Attempts(fleet.state / "attempts.json")
    assert (fleet.tried, attempts.of("0.1.6")) == ([0], 1)


def refused(fleet: Fleet, words: str, current: str = "0.1.5") -> None:
    with pytest.raises(UpdateRefused, match=words):
        fleet.look(current)
    assert fleet.installed == []


def test_an_older_release_is_refused(fleet: Fleet) -> None:
    fleet.publish("0.1.4")
    refused(fleet, r"0\.1\.4 is older than 0\.1\.5")


def test_a_release_that_too_few_signed_is_refused(fleet: Fleet) -> None:
    fleet.publish("0.1.6", holders=1)
    refused(fleet, "not to be trusted: UnsignedMetadataError")


def test_a_release_that_expired_is_refused(fleet: Fleet) -> None:
    fleet.publish("0.1.6", days=-1)
    refused(fleet, "not to be trusted: ExpiredMetadataError")


def test_a_repository_that_goes_back_is_refused(fleet: Fleet, tmp_path: Path) -> None:
    fleet.publish("0.1.5")
    old = tmp_path / "old"
    shutil.copytree(fleet.repository, old)
    fleet.publish("0.1.5")
    assert not fleet.look()
    shutil.rmtree(fleet.repository)
    shutil.copytree(old, fleet.repository)
    refused(fleet, "not to be trusted: BadVersionNumberError", "0.1.4")


def test_metadata_that_were_changed_are_refused(fleet: Fleet) -> None:
    fleet.publish("0.1.6")
    path = fleet.repository / "metadata/1.targets.json"
    path.write_text(path.read_text().replace("0.1.6", "0.1.7"))
    refused(fleet, "not to be trusted")


def test_keys_of_somebody_else_are_refused(fleet: Fleet, tmp_path: Path) -> None:
    own = fleet.keys
    fleet.keys = tmp_path / "other"
    release.init(fleet.keys)
    fleet.publish("0.1.6")
    fleet.keys = own
    refused(fleet, "not to be trusted: UnsignedMetadataError")


def test_a_bundle_that_was_changed_is_refused_and_forgotten(fleet: Fleet) -> None:
    fleet.publish("0.1.6", b"good bundle")
    (bundle,) = fleet.repository.glob(f"targets/*{TARGET}")
    bundle.write_bytes(b"evil bundle")
    refused(fleet, "not the one that was announced")
    bundle.write_bytes(b"good bundle")
    assert fleet.look(), "nothing bad was kept"


def test_a_version_that_failed_twice_is_left_alone_until_the_next(fleet: Fleet) -> None:
    fleet.publish("0.1.6")
    assert fleet.look()
    assert fleet.look(), "it did not stay: once more"
    with pytest.raises(UpdateRefused, match="was tried 2 times"):
        fleet.look()
    fleet.publish("0.1.7")
    assert fleet.look()


def test_no_repository_is_no_refusal(fleet: Fleet) -> None:
    with pytest.raises(CannotMeasure, match="can't be read"):
        fleet.look()


def test_a_part_of_another_bundle_is_not_gone_on_with(fleet: Fleet) -> None:
    fleet.publish("0.1.6", b"a new bundle")
    fleet.state.mkdir()
    (fleet.state / "bundle.part").write_bytes(b"an old")
    (fleet.state / "bundle.sha256").write_text("0" * 64)
    assert fleet.look()
    assert fleet.installed == [b"a new bundle"]


@pytest.mark.parametrize("version", ["", "1", "1.x", "1.2-3", "../1.2", "1.2\n"])
def test_only_numbers_are_versions(version: str) -> None:
    with pytest.raises(UpdateRefused, match="is no version"):
        number(version)


def test_versions_are_numbers_and_no_words() -> None:
    assert number("0.1.10") > number("0.1.9")


def test_attempts_are_kept_of_the_last_version(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path / "x")
    attempts.add("1.1")
    attempts.add("1.1")
    attempts.add("1.2")
    assert (attempts.of("1.1"), attempts.of("1.2")) == (0, 1)
    (tmp_path / "x").write_text("?")
    assert attempts.of("1.2") == 0


def test_of_a_small_change_little_comes(fleet: Fleet, tmp_path: Path) -> None:
    """The slot that runs holds the rest; a device that can't be read costs the whole bundle, and nothing else."""
    old = squashfs(random.Random(7).randbytes(2_000_000))
    (tmp_path / "slot").write_bytes(old)
    fleet.device = tmp_path / "slot"
    fleet.publish("0.1.6", b"head" + old + b"signature")
    assert fleet.look()
    assert fleet.said[0].endswith(" of 2002957 bytes came")
    assert int(fleet.said[0].split()[1]) < 500_000
    fleet.device = tmp_path / "nowhere"
    fleet.publish("0.1.7", b"head" + old + b"signature")
    assert fleet.look()
    assert fleet.said[-2] == "0.1.7: 2002957 of 2002957 bytes came"
    assert fleet.installed == [b"head" + old + b"signature"] * 2
