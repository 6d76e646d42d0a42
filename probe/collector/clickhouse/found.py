"""Finding findings: the newest of a cell or of all, and those that a :class:`~probe.collector.search.Search` asks for.

The narrow table says which ones, by time; their JSON is fetched for one page alone. It lies by cell, and in parts of a
month: where all cells are meant, the last hour is looked at first, then the last day, the last month, and all there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import msgspec

from probe.collector import instants
from probe.collector.cells import column_name
from probe.collector.clickhouse import marks
from probe.collector.clickhouse.link import Link
from probe.collector.clickhouse.rowbinary import listed, literal
from probe.collector.search import MOST, Search
from probe.collector.store import FindingRow, StoredFinding
from probe.model.finding import Access, Finding

_FINDING = msgspec.json.Decoder(Finding)
_STEPS = (instants.HOUR, instants.DAY, 31 * instants.DAY)

Stored = tuple[str, str, str, int, int, bytes]
"""probe, sha256, cell, at (-1: unknown), received at (ms), body."""


def newest(link: Link, where: Sequence[str], limit: int, until: int | None = None) -> list[FindingRow]:
    """The newest findings that fulfil all conditions, newest first. ``until``: none is newer (ms)."""
    if until is None:
        ((until,),) = link.rows("i", "SELECT max(time) FROM results")
    thinned = marks.number(link, marks.THINNED)
    if thinned:  # of what came before, most findings are gone, and only their results are left
        left = f"id GLOBAL IN (SELECT id FROM findings WHERE received_at < {thinned})"
        where = [*where, f"(received_at >= {thinned} OR {left})"]
    rows: list[tuple[str, int]] = []
    for since in (*(until - step for step in _STEPS), None):
        conditions = [*where, *([] if since is None else [f"time >= {since}"])]
        rows = link.rows(
            "si", f"SELECT id, time FROM results WHERE {' AND '.join(conditions) or '1'}"
            f" ORDER BY time DESC, id DESC LIMIT 1 BY id LIMIT {limit}",
        )  # fmt: skip
        if len(rows) >= limit:
            break
    return _page(link, [finding_id for finding_id, _ in rows])


def search(link: Link, wanted: Search) -> list[FindingRow]:
    """What a search asks for."""
    columns = [column_name(key, country, access) for country, key in wanted.operators for access in get_args(Access)]
    if not columns:
        return []
    cells = f"SELECT cell FROM cells WHERE column_key IN {listed(sorted(columns))}"
    if wanted.target:
        cells += f" AND cell GLOBAL IN (SELECT cell FROM cell_names WHERE name = {literal(wanted.target)})"
    where = [f"cell GLOBAL IN ({cells})"]
    where += [
        condition for condition, is_asked in (
            (f"measurement = {literal(wanted.measurement)}", wanted.measurement),
            (f"verdict = {literal(wanted.verdict or '')}", wanted.verdict),
            (f"time >= {wanted.since}", wanted.since is not None),
            (f"time < {wanted.until}", wanted.until is not None),
        ) if is_asked
    ]  # fmt: skip
    until = wanted.until
    if wanted.after is not None:
        time, finding_id = wanted.after.time, literal(wanted.after.id)
        where.append(f"time <= {time} AND (time < {time} OR id < {finding_id})")
        until = time
    return newest(link, where, min(wanted.limit, MOST), until)


def one(link: Link, finding_id: str) -> StoredFinding | None:
    """One finding by its id."""
    for probe, sha256, cell, at, received_at, body in _stored(link, [finding_id]).values():
        return StoredFinding(
            body=body, cell=cell, at=None if at < 0 else at, received_at=received_at,
            has_evidence=(finding_id, probe, sha256) in _captured(link, [finding_id]),
        )  # fmt: skip
    return None


def evidence(link: Link, finding_id: str) -> bytes | None:
    """Its capture, if its probe and hash are those that the finding names."""
    for probe, sha256, *_ in _stored(link, [finding_id]).values():
        rows = link.rows(
            "b", "SELECT packed FROM evidence FINAL WHERE (finding_id, probe, sha256) IN"
            f" {listed([(finding_id, probe, sha256)])} AND gone = 0",
        )  # fmt: skip
        for (packed,) in rows:
            return bytes(packed)
    return None


def _page(link: Link, ids: Sequence[str]) -> list[FindingRow]:
    """Findings in this order."""
    if not ids:
        return []
    stored, captured = _stored(link, ids), _captured(link, ids)
    page = []
    for finding_id in ids:
        if finding_id not in stored:  # it was let go of just now
            continue
        probe, sha256, cell, at, received_at, body = stored[finding_id]
        finding = _FINDING.decode(body)
        page.append(FindingRow(
            id=finding_id, cell=cell, probe=probe, measurement=finding.measurement, target=finding.target,
            line=finding.line, verdict=finding.verdict, interference=finding.interference,
            at=None if at < 0 else at, received_at=received_at, has_evidence=(finding_id, probe, sha256) in captured,
        ))  # fmt: skip
    return page


def _stored(link: Link, ids: Sequence[str]) -> dict[str, Stored]:
    """By id; of several with one id the first that came."""
    rows = link.rows(
        "ssssiibi",
        f"SELECT id, probe, sha256, cell, at, received_at, body, kept FROM findings WHERE id IN {listed(ids)}",
    )
    return {finding_id: tuple(rest) for finding_id, *rest, _ in sorted(rows, key=lambda row: int(row[-1]))}


def _captured(link: Link, ids: Sequence[str]) -> set[tuple[str, str, str]]:
    return set(link.rows(
        "sss", "SELECT finding_id, probe, sha256 FROM evidence FINAL"
        f" WHERE finding_id IN {listed(ids)} AND gone = 0",
    ))  # fmt: skip
