"""The lab's one process: holds the namespaces, runs boxes and servers, says when it is ready, ends when told.

``python -m probe.lab.process NAME [--detached]`` reads a scenario (JSON, one line) from standard input and writes one
line to standard output: ``{"state": …}`` or ``{"error": …, "exit_status": …}``. Not detached, it ends with its standard
input, that is with the process that started it, however that dies; until then each further line there is an
:class:`Impair` that the homes' access links take on, and is answered by ``{}``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator

import msgspec

from probe.lab import state as states
from probe.lab.internet import Internet
from probe.lab.kinds import Impair
from probe.lab.scenario import Scenario
from probe.lab.state import Home, State
from probe.lab.world import World
from probe.model.errors import ColibriError

_LINE = 4096  # bytes; less than a pipe writes at once


def describe(name: str, internet: Internet) -> State:
    """What other processes need to know."""
    world = internet.world
    topology = world.topology
    return State(
        name=name,
        pid=os.getpid(),
        started=states.start_time(os.getpid()),
        scenario=internet.scenario,
        namespaces={node: namespace.fd for node, namespace in internet.fabric.namespaces.items()},
        homes={
            key: Home(node, key, operator.asn, operator.country, operator.access, world.measure[key],
                      {other: topology.distance(node, other) for other in topology.nodes if other != node})
            for key, node in world.homes.items()
            for operator in (world.operators[key],)
        },
        addresses={node: _addresses(world, node) for node in topology.nodes},
        prefixes=list(world.prefixes),
        authority=internet.authority,
    )


def _addresses(world: World, name: str) -> list[str]:
    """All addresses of a node, those on a numbered network last."""
    node = world.topology.nodes[name]
    inner = [node.lan[i] for i in (0, 2)] if node.lan else []
    for child in world.topology.children(name):
        if (lan := world.topology.nodes[child].lan) is not None:
            inner += [lan[1], lan[3]]
    return [*node.addresses, *(text.partition("/")[0] for text in inner)]


async def _run(name: str, internet: Internet, *, detached: bool) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    try:
        await internet.start()
        state = describe(name, internet)
        try:
            states.write(state)
            _say({"state": state})
            if not detached:
                loop.add_reader(sys.stdin, _obey, internet, ended)
            with _punctual():
                await ended.wait()
        finally:
            states.remove(name)
    finally:
        internet.close()


@contextlib.contextmanager
def _punctual() -> Iterator[None]:
    """Before everybody else on the processor, where the system lets us: a box that loses every race because the machine
    is busy raising other labs is another box. What we start is not (sched(7), SCHED_RESET_ON_FORK)."""
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    try:
        yield
    finally:  # taking a lab down is long work again
        with contextlib.suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def _obey(internet: Internet, ended: asyncio.Event) -> None:
    """Do what a line on standard input says; its end is ours."""
    line = os.read(sys.stdin.fileno(), _LINE)
    if not line:
        ended.set()
        return
    internet.impair(msgspec.json.decode(line, type=Impair))
    _say({})


def _say(answer: dict[str, object]) -> None:
    sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run one lab to its end; the exit status."""
    name, detached = sys.argv[1], "--detached" in sys.argv[2:]
    try:
        scenario = msgspec.json.decode(sys.stdin.readline(), type=Scenario)
        asyncio.run(_run(name, Internet(scenario), detached=detached))
    except ColibriError as error:
        _say({"error": str(error), "exit_status": error.exit_status})
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
