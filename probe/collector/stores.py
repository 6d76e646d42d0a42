"""Which store the configuration names: the embedded one, or ClickHouse. Only what is used is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from probe.collector.instants import now as wall_clock
from probe.collector.public_feed import PublicFeed
from probe.collector.store import Reader, Store
from probe.model.config import CollectorConfig
from probe.model.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from probe.collector.clickhouse.link import HttpLink


class Opened:
    """Both sides of a store, and the public feed that tells of it. ``trouble``: what is wrong right now, or nothing."""

    def __init__(
        self, store: Store, reader: Reader, public: PublicFeed, trouble: Callable[[], str] = lambda: "",
        stop: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self.store, self.reader, self.public, self.trouble, self._stop = store, reader, public, trouble, stop

    def close(self) -> None:
        """End what runs beside it, and let go of it."""
        self._stop()
        self.reader.close()
        self.store.close()


def opened(config: CollectorConfig, changed: Callable[[], None]) -> Opened:
    """For the collector. ``changed`` is called after something has, from a thread of the store's.

    Raises ConfigError, StoreError.
    """
    return _clickhouse(config, changed) if config.store else _embedded(config, changed)


def reader(config: CollectorConfig) -> Reader:
    """For those who only look. Raises ConfigError, StoreError."""
    if config.store:
        from probe.collector.clickhouse.reader import ClickHouseReader

        return ClickHouseReader(_link(config), own_homes=_own(config))
    from probe.collector.sqlite_reader import SqliteReader

    if not Path(config.database).exists():
        raise StoreError(f"there is no database {config.database}: has a collector run here? (--config names another)")
    return SqliteReader(config.database, own_homes=_own(config))


def _own(config: CollectorConfig) -> bool:
    """Whether a probe whose prefix the broker does not tell is a home of its own."""
    return config.unknown_homes == "own"


def _embedded(config: CollectorConfig, changed: Callable[[], None]) -> Opened:
    from probe.collector.retention import rules
    from probe.collector.sqlite_reader import SqliteReader
    from probe.collector.sqlite_store import SqliteStore

    store = SqliteStore(
        config.database, changed, config.control, own_homes=_own(config), kept=rules(config)
    )
    try:
        reads = SqliteReader(config.database, own_homes=_own(config))
    except BaseException:
        store.close()
        raise
    return Opened(store, reads, PublicFeed(reads, config.consents, wall_clock))


def _clickhouse(config: CollectorConfig, changed: Callable[[], None]) -> Opened:
    from probe.collector.clickhouse.feed import SharedFeed
    from probe.collector.clickhouse.foreman import Foreman, name
    from probe.collector.clickhouse.lease import Lease
    from probe.collector.clickhouse.reader import ClickHouseReader
    from probe.collector.clickhouse.retention import Sweeper
    from probe.collector.clickhouse.settle import Settler
    from probe.collector.clickhouse.store import ClickHouseStore, Ticker
    from probe.collector.retention import rules

    links = [_link(config)]
    try:
        store = ClickHouseStore(links[0], pins=not config.trusted_keys)
        links += [_link(config), _link(config)]
    except BaseException:
        for link in links:
            link.close()
        raise
    tick = Ticker()
    settler = Settler(links[1], tick, config.control, own_homes=_own(config))
    sweeper = Sweeper(links[1], tick, rules(config), wall_clock)
    foreman = Foreman(links[1], settler, Lease(links[1], name(), tick), changed, tidy=sweeper.sweep)
    reads = ClickHouseReader(links[2], own_homes=_own(config))
    public = SharedFeed(reads, config.consents, wall_clock, lambda: foreman.settles)
    foreman.start()

    def stop() -> None:
        foreman.stop()
        links[1].close()

    return Opened(store, reads, public, lambda: foreman.trouble, stop)


def copy(config: CollectorConfig, told: Callable[[str, int, int], None]) -> int:
    """All of the embedded store into ClickHouse, and settle it, unless another collector does. Returns how many
    findings were copied. Raises ConfigError, StoreError."""
    if not config.store:
        raise ConfigError("collector.store", "it names no ClickHouse to copy into (docs/scale.md)")
    from probe.collector.clickhouse.copy import Copier
    from probe.collector.clickhouse.foreman import Foreman, name
    from probe.collector.clickhouse.lease import Lease
    from probe.collector.clickhouse.settle import Settler
    from probe.collector.clickhouse.store import Ticker

    links = [_link(config)]
    try:
        copier = Copier(config.database, links[0], told)
        links.append(_link(config))
        tick = Ticker()
        settler = Settler(links[1], tick, config.control, own_homes=_own(config))
        foreman = Foreman(links[1], settler, Lease(links[1], name(), tick), lambda: None)
        copied = copier.copy()
        foreman.finish()
        return copied
    finally:
        for link in links:
            link.close()


def _link(config: CollectorConfig) -> HttpLink:
    from probe.collector.clickhouse.address import parse
    from probe.collector.clickhouse.link import HttpLink

    address = parse(config.store)
    password = ""
    if config.store_password_file:
        try:
            password = Path(config.store_password_file).read_text().splitlines()[0]
        except (OSError, IndexError, UnicodeDecodeError) as error:
            raise ConfigError("collector.store_password_file", f"can't be read: {error}") from error
    return HttpLink(address, password)


__all__ = ["Opened", "copy", "opened", "reader"]
