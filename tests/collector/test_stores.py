"""The configuration names the store; what is wrong with it is said before anything is collected."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from probe.collector import stores
from probe.collector.public_feed import PublicFeed
from probe.collector.sqlite_reader import SqliteReader
from probe.collector.sqlite_store import SqliteStore
from probe.model.config import CollectorConfig
from probe.model.errors import ConfigError, StoreError
from tests.collector.conftest import free_port


def test_the_embedded_one_unless_said_otherwise(tmp_path: Path) -> None:
    config = CollectorConfig(database=str(tmp_path / "f.sqlite3"))
    with pytest.raises(StoreError, match="there is no database"):
        stores.reader(config)
    told: list[int] = []
    opened = stores.opened(config, lambda: told.append(1))
    assert (type(opened.store), type(opened.reader), type(opened.public)) == (SqliteStore, SqliteReader, PublicFeed)
    opened.store.commit([])
    assert (told, opened.trouble()) == ([1], "")
    reader = stores.reader(config)
    assert reader.cells() == []
    reader.close()
    opened.close()


@pytest.mark.parametrize(
    ("store", "password_file", "error", "why"),
    [
        ("postgres://x", "", ConfigError, r"collector\.store: it is no store"),
        ("clickhouse://127.0.0.1", "/nowhere/password", ConfigError, r"store_password_file: can't be read"),
        ("clickhouse://127.0.0.1:{port}", "", StoreError, "is out of reach: Connection refused"),
    ],
)
def test_what_is_wrong_is_said(store: str, password_file: str, error: type[Exception], why: str) -> None:
    config = CollectorConfig(store=store.format(port=free_port()), store_password_file=password_file)
    with pytest.raises(error, match=why):
        stores.reader(config)
    with pytest.raises(error, match=why):
        stores.opened(config, lambda: None)


def test_a_group_s_name_can_not_leave_its_place_in_a_topic() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"share": "a/#"}, CollectorConfig)
    assert msgspec.json.decode(msgspec.json.encode(CollectorConfig()), type=CollectorConfig) == CollectorConfig()
    assert msgspec.convert({"share": "colibri"}, CollectorConfig).share == "colibri"
