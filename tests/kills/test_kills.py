"""What kills may not do: no finding that a probe has promised is lost, none is counted twice (docs/kills.md)."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from io import StringIO
from pathlib import Path

import pytest

from tests.kills.rig import Rig, look, run

pytestmark = pytest.mark.loopback
SEED = int(os.environ.get("COLIBRI_SEED", "46"))


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_hundred_kills_and_twenty_thousand_findings_lose_and_double_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = StringIO()
    result = run(tmp_path, SEED, kills=100, findings=20_000, log=log)
    with capsys.disabled():
        print(f"\n{log.getvalue()}\n{result.table()}")
    assert (result.lost, result.doubled, result.rejected) == (0, 0, 0)
    assert result.made >= 20_000
    assert sum(result.kills.values()) >= 100
    assert min(result.kills.values()) >= 5, "each of them is killed"
    assert result.again > 0, "duplicates came"
    assert result.late > 0, "and findings that were days late"
    assert result.heartbeats == 6, "every probe lived"
    assert result.unpromised <= 2 * result.kills["probe"], "no more than were under way"


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_store_that_lost_or_counted_twice_is_found_out(tmp_path: Path) -> None:
    """The rig itself: a finding less, or one counted twice, is seen."""
    run(tmp_path, SEED, kills=1, findings=200, log=StringIO())
    rig = Rig(tmp_path, SEED, StringIO())
    clean = look(rig, {})
    assert (clean.lost, clean.doubled) == (0, 0)
    with closing(sqlite3.connect(rig.database, isolation_level=None)) as db:
        db.execute("UPDATE hourly SET n = n + 1 WHERE (series, hour, probe, what) ="
                   " (SELECT series, hour, probe, what FROM hourly LIMIT 1)")
    assert look(rig, {}).doubled > 0
    with closing(sqlite3.connect(rig.database, isolation_level=None)) as db:
        db.execute("DELETE FROM findings WHERE seq = (SELECT min(seq) FROM findings)")
    assert look(rig, {}).lost == 1
