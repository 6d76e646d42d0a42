"""The operator's side: who signs what, in which order, and what it takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from probe.agent.lists_repository import Repository, make_key, public_text, read_key
from probe.model.errors import ConfigError, UsageError
from tests.agent.forgery import LIST, NOW, Signers


@pytest.fixture
def signers() -> Signers:
    return Signers()


def draft(folder: Path) -> Path:
    path = folder / "list.toml"
    path.write_text(LIST)
    return path


def test_two_of_three_each_on_their_own(tmp_path: Path, signers: Signers) -> None:
    repository = signers.repository(tmp_path / "r")
    assert repository.stage(draft(tmp_path), 90) == 1
    assert repository.sign(signers.two) == ["root 1: 1 of 2 signatures", "targets 1: 1 of 2 signatures"]
    with pytest.raises(UsageError, match="not enough signatures yet"):
        repository.publish(signers.online, 14)
    assert repository.sign(signers.two)[0] == "root 1: 1 of 2 signatures"  # twice is once
    assert repository.sign(signers.three) == ["root 1: 2 of 2 signatures", "targets 1: 2 of 2 signatures"]
    bundle = repository.publish(signers.online, 14)
    assert {"1.root.json", "1.targets.json", "1.snapshot.json", "timestamp.json"} < set(bundle.files)
    assert repository.root.exists()
    with pytest.raises(UsageError, match="nothing is staged"):
        repository.sign(signers.one)


def test_news_of_the_same_list_need_the_online_key_alone(tmp_path: Path, signers: Signers) -> None:
    repository = signers.repository(tmp_path / "r")
    signers.publish(repository)
    later = Repository(tmp_path / "r", NOW + 86400).publish(signers.online, 14)
    assert "2.snapshot.json" in later.files
    assert "1.targets.json" in later.files


def test_who_is_no_signer_signs_nothing(tmp_path: Path, signers: Signers) -> None:
    repository = signers.repository(tmp_path / "r")
    with pytest.raises(UsageError, match="none of the signers'"):
        repository.sign(signers.online)
    repository.stage(draft(tmp_path), 90)
    repository.sign(signers.one)
    repository.sign(signers.two)
    with pytest.raises(UsageError, match="not the online key"):
        repository.publish(signers.stranger, 14)


@pytest.mark.parametrize(("threshold", "days"), [(0, 90), (4, 90), (2, 0), (2, 400)])
def test_numbers_that_make_no_sense(tmp_path: Path, signers: Signers, threshold: int, days: float) -> None:
    repository = Repository(tmp_path / "r", NOW)
    keys = [public_text(key) for key in (signers.one, signers.two, signers.three)]

    def both() -> None:
        repository.init(keys, threshold, public_text(signers.online))
        repository.stage(draft(tmp_path), days)

    with pytest.raises(UsageError):
        both()


def test_steps_in_the_wrong_order(tmp_path: Path, signers: Signers) -> None:
    repository = Repository(tmp_path / "r", NOW)
    with pytest.raises(UsageError, match="no root yet"):
        repository.sign(signers.one)
    signers.repository(tmp_path / "r")
    with pytest.raises(UsageError, match="holds a repository already"):
        signers.repository(tmp_path / "r")
    with pytest.raises(UsageError, match="no list was staged"):
        repository.publish(signers.online, 14)
    with pytest.raises(UsageError, match="is not an Ed25519 public key"):
        Repository(tmp_path / "other", NOW).init(["x"], 1, public_text(signers.online))
    with pytest.raises(UsageError, match="the online key is none of theirs"):
        Repository(tmp_path / "other", NOW).init([public_text(signers.one)], 1, public_text(signers.one))


def test_damaged_metadata_is_named(tmp_path: Path, signers: Signers) -> None:
    repository = signers.repository(tmp_path / "r")
    (tmp_path / "r/staged/root.json").write_text("{")
    with pytest.raises(ConfigError, match=r"root\.json: is no metadata"):
        repository.sign(signers.one)


def test_keys_are_their_owner_s_and_never_written_over(tmp_path: Path) -> None:
    public = make_key(tmp_path / "key.pem")
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600
    assert public_text(read_key(tmp_path / "key.pem")) == public
    with pytest.raises(UsageError, match="is there already"):
        make_key(tmp_path / "key.pem")
    (tmp_path / "no.pem").write_bytes(b"x")
    with pytest.raises(ConfigError, match="is not an Ed25519 key"):
        read_key(tmp_path / "no.pem")
