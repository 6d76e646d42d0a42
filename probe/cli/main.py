"""The ``colibri`` command: picks the verb, loads that verb's module alone, and turns what happens into an exit status.

A verb is a module ``probe.cli.<verb>`` with ``add_arguments(parser)`` and ``run(args) -> int``. On a Pi each import
costs, so nothing heavy is imported here, and ``colibri --version`` does not even need argparse.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

from probe.model.errors import ColibriError, UsageError

TYPE_CHECKING = False  # type checkers know the name; importing typing would be a third of the start
if TYPE_CHECKING:
    import argparse
    from typing import Protocol

    class Verb(Protocol):
        """What a module ``probe.cli.<verb>`` offers."""

        def add_arguments(self, parser: argparse.ArgumentParser) -> None:
            """Declare the verb's arguments."""

        def run(self, args: argparse.Namespace) -> int:
            """Do it; the exit status. Raises ColibriError for what a person can mend."""


VERBS = {
    "measure": "measure one target now and say what was found",
    "probe": "sweep ways, try ports or ask for names by the thousand, as rows",
    "run": "the daemon: measure what is due, publish what is found",
    "enrol": "give this device its name and its certificate",
    "status": "what the daemon is doing",
    "pause": "measure nothing until told to resume",
    "resume": "take a pause back",
    "page": "the home's own page on the local network",
    "doctor": "what is missing on this device, and how to mend it",
    "lists": "target lists, signed with keys that are kept offline",
    "request": "ask probes for a measurement or stop them, with such a key; what was asked of this one",
    "feed": "show findings as they arrive on the feed",
    "replay": "judge a recording again, from its packets alone",
    "export": "findings in the formats of others: OONI, RIPE Atlas, a table",
    "schema": "print the JSON Schema of what Colibri reads and writes",
    "config": "check or show the configuration",
    "collector": "the collector: store, compare, show",
    "reflector": "the far end: a server that answers probes and tells what arrived",
    "lab": "an Internet in network namespaces, with operators that misbehave",
}
"""Verb → what it does, in the order of the help; offered if its module is there (a package may leave rooms out)."""

BRIEF = ("probe", "status", "pause", "resume")
"""Verbs that end before there is garbage worth collecting: looking for it would be a quarter of their start and end."""
PLAIN = ("probe",)
"""Verbs whose modules read plain words by themselves (``plain(words)``): argparse would be half of their start."""
INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it: 128 + SIGINT."""
READER_GONE = 141
"""Exit status when whoever read our output closed it, as shells have it: 128 + SIGPIPE."""


def main(argv: list[str] | None = None) -> int:
    """Run ``colibri ARGV`` (without the program's name; None: this process's own) and return the exit status.

    This process's own command may be one of :data:`BRIEF`, then Python's garbage collector rests.

    Never raises for what a person did or can mend: that is one line on stderr and the status of contract 2 (0 measured,
    1 could not, 2 wrong usage). Any other exception is a fault of ours and passes with its traceback.
    """
    if argv is None:
        argv = sys.argv[1:]
        if argv and argv[0] in BRIEF:
            _rest()
    try:
        status = _dispatch(argv)
        sys.stdout.flush()  # here, so that a closed pipe is met inside this try
        return status
    except ColibriError as error:
        return _fail(str(error), error.exit_status)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _forget_stdout()
        return READER_GONE
    except OSError as error:
        if error.filename is None:
            raise
        return _fail(f"{error.filename}: {error.strerror}", 1)


def _rest() -> None:
    """Collect no garbage until this process ends, and none then: all goes with it."""
    import atexit
    import gc

    gc.disable()
    atexit.register(gc.freeze)


def offered() -> dict[str, str]:
    """The verbs whose modules are installed, with their one-line help."""
    here = os.path.dirname(__file__)  # noqa: PTH120 - pathlib alone would cost a tenth of the start
    return {verb: text for verb, text in VERBS.items() if os.path.exists(f"{here}/{verb}.py")}  # noqa: PTH110


def load(verb: str) -> Verb:
    """The module of one verb. Raises UsageError, naming the nearest verb, if none has that name."""
    verbs = offered()
    if verb not in verbs:
        from difflib import get_close_matches

        near = get_close_matches(verb, verbs, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "try: colibri --help"
        raise UsageError(f"there is no verb {verb!r}; {hint}")
    module: Verb = import_module(f"probe.cli.{verb}")
    return module


def _dispatch(arguments: list[str]) -> int:
    match arguments:
        case ["--version" | "-V", *_]:
            from probe import __version__

            print(f"colibri {__version__}")
            return 0
        case ["--help" | "-h", *_]:
            print(_help())
            return 0
        case []:
            print(_help(), file=sys.stderr)
            return UsageError.exit_status
        case [option, *_] if option.startswith("-"):
            raise UsageError(f"there is no option {option!r} before the verb; try: colibri --help")
        case [verb, *rest]:
            return _run(verb, rest)
    raise AssertionError(arguments)


def _run(verb: str, rest: list[str]) -> int:
    module = load(verb)
    plain = module.plain(rest) if verb in PLAIN else None  # type: ignore[attr-defined]
    if plain is not None:
        return module.run(plain)
    from probe.cli.parser import Parser

    parser = Parser(prog=f"colibri {verb}", description=f"{VERBS[verb]}.")
    module.add_arguments(parser)
    try:
        args = parser.parse_args(rest)
    except SystemExit as ended:  # argparse has printed help or the error
        return int(ended.code or 0)
    return module.run(args)


def _help() -> str:
    lines = [f"  {verb:<10} {text}" for verb, text in offered().items()]
    return "\n".join(
        ["usage: colibri [--version] [--help] VERB …", "", "verbs:", *lines, "", "colibri VERB --help says more."]
    )


def _fail(message: str, status: int) -> int:
    print(f"colibri: {' '.join(message.split())}", file=sys.stderr)
    return status


def _forget_stdout() -> None:
    """Point stdout at nothing, so that Python's own flush at exit does not complain about the closed pipe."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)


if __name__ == "__main__":
    sys.exit(main())
