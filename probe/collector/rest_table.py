"""Lists of the API as tables: flat rows, streamed as CSV (RFC 4180) or written as Parquet."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, Literal, TypeVar

import msgspec

from probe.collector.rest_types import FindingItem
from probe.model.errors import UsageError
from probe.model.feed import PublicIncident, PublicState, PublicVerdict

T = TypeVar("T")
Kind = Literal["text", "int", "float", "bool"]
Row = Sequence[object]

IN_MEMORY = 16 * 1024 * 1024
"""Bytes of a Parquet file that are kept in memory; a larger one goes to a temporary file."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Table(Generic[T]):
    """Columns with how each is read off an item. None is an empty cell."""

    def __init__(self, *columns: tuple[str, Kind, Callable[[T], object]]) -> None:
        self.names = [name for name, _, _ in columns]
        self._columns = columns

    def csv(self, pages: Iterable[Iterable[T]]) -> Iterator[str]:
        """The header and then a piece of text for each page."""
        yield _lines([self.names])
        for page in pages:
            yield _lines([[_cell(read(item)) for _, _, read in self._columns] for item in page])

    def parquet(self, pages: Iterable[Iterable[T]]) -> Iterator[bytes]:
        """The file, in pieces; a row group for each page. Raises UsageError, before anything else, without pyarrow."""
        try:
            import pyarrow as pa
            from pyarrow import parquet
        except ImportError as error:
            raise UsageError("Parquet needs pyarrow on the collector: pip install 'colibri-probe[parquet]'") from error
        arrow: dict[Kind, Any] = {
            "text": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_(),
        }  # fmt: skip
        schema = pa.schema([(name, arrow[kind]) for name, kind, _ in self._columns])

        def pieces() -> Iterator[bytes]:
            with tempfile.SpooledTemporaryFile(IN_MEMORY) as file:
                with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
                    for page in pages:
                        items = list(page)
                        cells = [[read(item) for item in items] for _, _, read in self._columns]
                        writer.write_table(pa.table(dict(zip(self.names, cells, strict=True)), schema))
                file.seek(0)
                while piece := file.read(65536):
                    yield piece

        return pieces()


def _cell(value: object) -> object:
    """Text as a spreadsheet must show it: what looks like a formula is not to be run."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _lines(rows: Iterable[Row]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _located(field: str) -> Callable[[FindingItem], object]:
    def read(item: FindingItem) -> object:
        place = item.interference.location if item.interference else None
        return getattr(place, field) if place else None

    return read


FINDINGS: Table[FindingItem] = Table(
    ("id", "text", lambda f: f.id),
    ("at", "text", lambda f: f.at),
    ("received_at", "text", lambda f: f.received_at),
    ("country", "text", lambda f: f.line.country),
    ("operator", "text", lambda f: f.line.operator),
    ("asn", "int", lambda f: f.line.asn),
    ("access", "text", lambda f: f.line.access),
    ("measurement", "text", lambda f: f.measurement),
    ("target", "text", lambda f: f.target.input),
    ("target_name", "text", lambda f: f.target.name),
    ("target_address", "text", lambda f: f.target.address),
    ("target_port", "int", lambda f: f.target.port),
    ("target_group", "text", lambda f: f.target.group),
    ("verdict", "text", lambda f: f.verdict),
    ("technique", "text", lambda f: f.interference.technique if f.interference else None),
    ("placement", "text", lambda f: f.interference.placement if f.interference else None),
    ("clean_ttl", "int", _located("clean_ttl")),
    ("first_ttl", "int", _located("first_ttl")),
    ("attribution", "text", _located("attribution")),
    ("probe", "text", lambda f: f.probe),
    ("cell", "text", lambda f: f.cell),
    ("has_evidence", "bool", lambda f: f.has_evidence),
)

Told = tuple[PublicState, PublicVerdict]
"""A state with one of its verdicts: a row each."""

STATES: Table[Told] = Table(
    ("country", "text", lambda t: t[0].country),
    ("operator", "text", lambda t: t[0].operator),
    ("asn", "int", lambda t: t[0].asn),
    ("access", "text", lambda t: t[1].access),
    ("target", "text", lambda t: t[0].target.input),
    ("target_name", "text", lambda t: t[0].target.name),
    ("target_port", "int", lambda t: t[0].target.port),
    ("target_group", "text", lambda t: t[0].target.group),
    ("measurement", "text", lambda t: t[1].measurement),
    ("verdict", "text", lambda t: t[1].verdict),
    ("technique", "text", lambda t: t[1].technique),
    ("placement", "text", lambda t: t[1].placement),
    ("since", "text", lambda t: t[1].since),
    ("last", "text", lambda t: t[1].last),
    ("agree", "int", lambda t: t[1].agree),
    ("probes", "int", lambda t: t[1].probes),
)

INCIDENTS: Table[PublicIncident] = Table(
    ("id", "text", lambda i: i.id),
    ("country", "text", lambda i: i.country),
    ("operator", "text", lambda i: i.operator),
    ("access", "text", lambda i: i.access),
    ("measurement", "text", lambda i: i.measurement),
    ("target", "text", lambda i: i.target),
    ("technique", "text", lambda i: i.technique),
    ("state", "text", lambda i: i.state),
    ("began_after", "text", lambda i: i.began.after),
    ("began_until", "text", lambda i: i.began.until),
    ("ended_after", "text", lambda i: i.ended and i.ended.after),
    ("ended_until", "text", lambda i: i.ended and i.ended.until),
    ("homes", "int", lambda i: i.homes),
    ("heard", "int", lambda i: i.heard),
    ("dissent", "int", lambda i: i.dissent),
    ("share", "float", lambda i: i.share),
    ("intermittent", "bool", lambda i: i.intermittent),
    ("sure", "float", lambda i: i.sure),
    ("exemptions", "text", lambda i: msgspec.json.encode(i.exemptions).decode()),
    ("silent", "text", lambda i: msgspec.json.encode(i.silent).decode()),
    ("counted", "text", lambda i: i.counted),
)
