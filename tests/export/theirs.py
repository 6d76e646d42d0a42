"""Read exports with OONI's and RIPE's own parsers and print what they see, as JSON lines.

Runs in an environment of its own (``python theirs.py ooni|atlas < export.jsonl``): nothing of ours is there to import.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import Any


def ooni(line: str) -> dict[str, Any]:
    """The class that ``oonidata`` chose, and every field that it kept."""
    from oonidata.dataclient import load_measurement  # type: ignore[import-not-found]

    seen = load_measurement(msmt=json.loads(line))
    return {"class": type(seen).__name__, **dataclasses.asdict(seen)}


def atlas(line: str) -> dict[str, Any]:
    """What ``sagan`` makes of a result; malformed ones raise."""
    from ripe.atlas.sagan import Result  # type: ignore[import-not-found]

    seen = Result.get(line, on_error=Result.ACTION_IGNORE, on_malformation=Result.ACTION_FAIL)
    common = {
        "class": type(seen).__name__, "msm_id": seen.measurement_id, "prb_id": seen.probe_id, "fw": seen.firmware,
        "timestamp": seen.created_timestamp, "lts": seen.seconds_since_sync, "malformed": seen.is_malformed,
        "error": seen.error_message,
    }  # fmt: skip
    if common["class"] == "TracerouteResult":
        return {
            **common, "dst": seen.destination_address, "name": seen.destination_name, "af": seen.af,
            "proto": seen.protocol, "end": seen.end_time_timestamp, "path": seen.ip_path, "hops": seen.total_hops,
            "reached": seen.destination_ip_responded, "success": seen.is_success, "rtt": seen.last_median_rtt,
        }  # fmt: skip
    if common["class"] == "SslResult":
        return {
            **common, "dst": seen.destination_address, "name": seen.destination_name, "port": seen.port,
            "method": seen.method, "ttc": seen.time_to_connect, "rt": seen.response_time,
        }  # fmt: skip
    return {**common, "responses": [
        {"dst": one.destination_address, "af": one.af, "proto": one.protocol, "rt": one.response_time,
         "id": one.response_id, **_answer(one.abuf)}
        for one in seen.responses
    ]}  # fmt: skip


def _answer(message: Any) -> dict[str, Any]:
    if message is None:
        return {"code": None}
    assert not message.is_malformed
    return {
        "code": message.header.return_code, "questions": [(one.name, one.type) for one in message.questions],
        "answers": [(one.name, one.type, _text(one), one.ttl) for one in message.answers],
    }  # fmt: skip


def _text(answer: Any) -> str:
    """An address, or the name that an alias stands for."""
    text: str = answer.address if hasattr(answer, "address") else answer.target
    return text.rstrip(".")


if __name__ == "__main__":
    for text in sys.stdin:
        print(json.dumps({"ooni": ooni, "atlas": atlas}[sys.argv[1]](text)))
