"""What each subscription was told, and what waits to be delivered: kept together, so that a restart repeats nothing.

A message and the fact that it was told are written in one transaction; it is deleted once delivered. Whoever is killed
in between delivers it again under the same id.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

import msgspec

from probe.collector.beside import Beside
from probe.collector.notify.changes import Change, News, Told
from probe.collector.notify.message import Notification
from probe.collector.store import IncidentRow
from probe.model.config import NotifyConfig

_ROW = msgspec.json.Decoder(IncidentRow)
_NOTIFICATION = msgspec.json.Decoder(Notification)


class Outgoing(msgspec.Struct, frozen=True):
    """A message that waits. Times in ms."""

    seq: int
    notification: Notification
    queued_at: int
    failures: int
    next_at: int


class Memory(Beside):
    """May be used from several threads. Every call raises StoreError."""

    trouble = "notifications can't be remembered"

    def begin(self, config: NotifyConfig) -> tuple[bool, int]:
        """Whether a subscription, or what it is about, is new; and when something was last told (ms; 0: never)."""
        with self._reading() as db:
            row = db.execute(
                "SELECT choice, told_at FROM notify_subscriptions WHERE name = ?", (config.name,)
            ).fetchone()
        return row is None or row[0] != choice(config), row[1] if row else 0

    def told(self, name: str) -> list[Told]:
        """What a subscription knows."""
        with self._reading() as db:
            rows = db.execute("SELECT body, at, sent FROM notify_told WHERE subscription = ?", (name,)).fetchall()
        return [Told(_ROW.decode(body), at, bool(sent)) for body, at, sent in rows]

    def keep(
        self, config: NotifyConfig, news: News, tell: Sequence[Change], messages: Iterable[Notification], at: int
    ) -> None:
        """Remember what a look found: its notes, and ``tell`` with the messages that say it. All of it, or nothing."""
        name = config.name
        with self._writing() as db:
            db.execute(
                "INSERT INTO notify_subscriptions VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET"
                " choice = excluded.choice, told_at = max(told_at, excluded.told_at)",
                (name, choice(config), at if tell else 0),
            )
            for row, before in news.note:
                _put(db, name, row, before, at, sent=False)
            for change in tell:
                _put(db, name, change.row, change.before, at, sent=True)
            withdrawn = [change.before for change in tell if change.kind == "withdrawn"]
            for gone in (*news.forget, *withdrawn):
                db.execute("DELETE FROM notify_told WHERE subscription = ? AND id = ?", (name, gone))
            for message in messages:
                db.execute(
                    "INSERT INTO notify_outbox (subscription, body, queued_at, next_at) VALUES (?, ?, ?, ?)",
                    (name, msgspec.json.encode(message), at, at),
                )

    def next(self, name: str) -> Outgoing | None:
        """The oldest message that waits: each subscription is told in order."""
        with self._reading() as db:
            row = db.execute(
                "SELECT seq, body, queued_at, failures, next_at FROM notify_outbox WHERE subscription = ?"
                " ORDER BY seq LIMIT 1",
                (name,),
            ).fetchone()
        return Outgoing(row[0], _NOTIFICATION.decode(row[1]), *row[2:]) if row else None

    def done(self, seq: int) -> None:
        """A message was delivered, or is given up."""
        with self._writing() as db:
            db.execute("DELETE FROM notify_outbox WHERE seq = ?", (seq,))

    def failed(self, seq: int, next_at: int, trouble: str) -> None:
        """A message could not be delivered; it is due again at ``next_at`` (ms)."""
        with self._writing() as db:
            db.execute(
                "UPDATE notify_outbox SET failures = failures + 1, next_at = ?, trouble = ? WHERE seq = ?",
                (next_at, trouble, seq),
            )


def choice(config: NotifyConfig) -> str:
    """What a subscription is about, as text."""
    about = (config.targets, config.groups, config.countries, config.operators)
    return msgspec.json.encode([sorted(names) for names in about]).decode()


def _put(db: sqlite3.Connection, name: str, row: IncidentRow, before: str, at: int, *, sent: bool) -> None:
    was = db.execute(
        "SELECT at, sent FROM notify_told WHERE subscription = ? AND id = ?", (name, before or row.id)
    ).fetchone()
    if was is not None and not sent:
        at, sent = was[0], bool(was[1])  # only its id or its state is new: when it was told stays
    if before and before != row.id:
        db.execute("DELETE FROM notify_told WHERE subscription = ? AND id = ?", (name, before))
    db.execute(
        "INSERT INTO notify_told VALUES (?, ?, ?, ?, ?) ON CONFLICT (subscription, id) DO UPDATE SET"
        " at = excluded.at, sent = excluded.sent, body = excluded.body",
        (name, row.id, at, sent, msgspec.json.encode(row)),
    )
