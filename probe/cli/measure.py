"""``colibri measure KIND TARGET``: one measurement now, and its finding."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from probe.cli.parser import Parser

_COMMON = ("json", "pcap", "config", "interface", "exit_verdict", "quiet")
INTERFERED = 10
"""Exit status of ``--exit-verdict`` when the verdict is interfered (contract 2)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what all kinds share; the kind's own options follow once it is known: its module alone is loaded."""
    from probe.measurements import names

    kinds = ", ".join(name.replace("_", "-") for name in names())
    parser.add_argument("kind", metavar="KIND", help=f"one of {kinds}; `colibri measure KIND --help` shows its options")
    parser.add_argument("rest", metavar="TARGET ...", nargs=argparse.REMAINDER, help="target and options of that kind")
    _common(parser.add_argument_group("options of every kind"))


def _common(group: Any) -> None:
    group.add_argument("--json", action="store_true", help="findings on stdout, one a line, nothing else")
    group.add_argument("--pcap", metavar="FILE", type=Path, help="write the evidence there (FILE.2, … when repeated)")
    group.add_argument("--repeat", metavar="N", type=_positive, default=1, help="measure N times")
    group.add_argument("--config", metavar="FILE", help="configuration file (then the daemon is not asked)")
    group.add_argument("--interface", metavar="IF", help="network interface (then the daemon is not asked)")
    group.add_argument("--exit-verdict", action="store_true", help=f"exit with {INTERFERED} when interfered")
    group.add_argument("--quiet", action="store_true", help="no progress on stderr")


def _positive(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 1000:
        raise argparse.ArgumentTypeError("a number from 1 to 1000")
    return number


def kind_parser(kind: str) -> Parser:
    """The parser of one kind, made from its ``Options`` type. Raises UsageError where there is no such kind."""
    import msgspec

    from probe.measurements import load

    measurement = load(kind)
    verb = measurement.name.replace("_", "-")
    parser = Parser(prog=f"colibri measure {verb}", description=measurement.summary)
    info = msgspec.inspect.type_info(measurement.options)
    assert isinstance(info, msgspec.inspect.StructType)  # noqa: S101 - Options are structs (measurements/__init__)
    names = {field.name for field in info.fields}
    for field in info.fields:
        kind_of, words = field.type, ""
        while isinstance(kind_of, msgspec.inspect.Metadata):
            words = words or (kind_of.extra_json_schema or {}).get("description", "")
            kind_of = kind_of.type
        option = f"--{field.name.replace('_', '-')}"
        if field.name == "target":
            parser.add_argument("target", metavar="TARGET", help=words)
            if "targets" in names:
                parser.add_argument("more", metavar="TARGET", nargs="*", default=[], help="and others like it")
        elif isinstance(kind_of, msgspec.inspect.BoolType):
            parser.add_argument(option, dest=field.name, action="store_true", default=None, help=words)
        else:
            metavar = {"StrType": "TEXT", "LiteralType": "WORD", "ListType": "LIST"}.get(type(kind_of).__name__, "N")
            parser.add_argument(option, dest=field.name, metavar=metavar, help=words + _shown(field))
    _common(parser.add_argument_group("options of every kind"))
    return parser


def _shown(field: Any) -> str:
    """The default, for a help text: of a list as it would be typed."""
    import msgspec

    default = field.default
    if default is msgspec.NODEFAULT and callable(field.default_factory):
        default = ",".join(str(one) for one in field.default_factory())
    return "" if default in ("", msgspec.NODEFAULT) else f" (default {default})"


def run(args: argparse.Namespace) -> int:
    """Measure, print; contract 2's exit status."""
    parser = kind_parser(args.kind)
    given = vars(parser.parse_intermixed_args(args.rest))  # targets may stand between options
    repeat = max(given.pop("repeat"), args.repeat)
    if more := given.pop("more", []):
        given["targets"] = ",".join(filter(None, [*more, given["targets"]]))
    # They may stand before KIND, too.
    common = {name: given.pop(name) or getattr(args, name) for name in _COMMON}
    options = {name: value for name, value in given.items() if value is not None}
    return asyncio.run(_measure(args.kind.replace("-", "_"), options, common, repeat))


async def _measure(kind: str, options: dict[str, Any], common: dict[str, Any], repeat: int) -> int:
    import msgspec

    from probe.agent import adhoc
    from probe.agent.config import load
    from probe.cli.show import at_a_glance
    from probe.engine.run import EngineRunner

    config = load(common["config"])
    if common["interface"]:
        config = msgspec.structs.replace(
            config, probe=msgspec.structs.replace(config.probe, interface=common["interface"])
        )
    runner = EngineRunner(config)

    def progress(text: str) -> None:
        if not common["quiet"]:
            print(f"… {text}", file=sys.stderr, flush=True)

    interfered = False
    for number in range(1, repeat + 1):
        answer = None
        if not common["config"] and not common["interface"]:
            answer = await adhoc.through_daemon(config, kind, options, progress)
        finding, packets = answer or await adhoc.in_process(runner, config, kind, options, progress)
        interfered |= finding.verdict == "interfered"
        if common["pcap"]:
            path: Path = common["pcap"]
            (path if number == 1 else path.with_name(f"{path.name}.{number}")).write_bytes(packets)
        print(msgspec.json.encode(finding).decode() if common["json"] else at_a_glance(finding), flush=True)
    return INTERFERED if interfered and common["exit_verdict"] else 0
