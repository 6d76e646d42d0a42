"""``python3 -m probe.appliance VERB``: what the image's services call."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from probe.appliance.places import Places
from probe.model.errors import ColibriError, UsageError

SOCKET = "/run/colibri/control.sock"
FRESH_START = Path("/run/colibri-update/restart")


def main(arguments: list[str], places: Places) -> int:
    """Do what a service asks for; the exit status. What can be mended is one line on stderr."""
    verbs = {"firstboot": _firstboot, "good": _good, "update": _update, "slots": _slots, "motd": _motd,
             "blank-status": _blank}  # fmt: skip
    try:
        if not arguments or arguments[0] not in verbs:
            raise UsageError(f"one of: {', '.join(verbs)}")
        verbs[arguments[0]](arguments[1:], places)
    except (ColibriError, OSError) as error:
        print(f"colibri-appliance: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_status if isinstance(error, ColibriError) else 1
    return 0


def command_line() -> str:
    """The kernel's."""
    return Path("/proc/cmdline").read_text()


def _firstboot(_: list[str], places: Places) -> None:
    from probe.appliance.firstboot import run
    from probe.appliance.report import mistake

    report = run(places, command_line())
    for one in report.mistakes:
        print(f"colibri-appliance: {mistake(one, 'en')}", file=sys.stderr)
    print(f"colibri-appliance: {report.hostname}, {report.version}, {len(report.mistakes)} mistakes, {report.notes}")


def _good(_: list[str], places: Places) -> None:
    from probe.appliance.health import ask_daemon, limit_of, wait_until_healthy
    from probe.appliance.slots import Slots, running

    said = command_line()
    asyncio.run(wait_until_healthy(lambda: ask_daemon(SOCKET), print, limit_of(said)))
    slots = Slots(places.card, running(said))
    slots.commit()
    (places.marks / "trial").unlink(missing_ok=True)
    print(f"colibri-appliance: {places.version} has proved itself; slot {slots.current} stays")


def _update(_: list[str], places: Places) -> None:
    from probe.appliance.update import update

    address = places.etc / "colibri/update-url"
    if not address.exists():
        print("colibri-appliance: no [update] url, so no updates")
        return
    if (places.marks / "trial").exists():
        print("colibri-appliance: this system is on trial itself")
        return
    root = (places.release / "update/root.json").read_bytes()
    if update(address.read_text().strip(), places.data / "update", root, places.version):
        FRESH_START.touch()


def _slots(arguments: list[str], places: Places) -> None:
    """RAUC's custom boot loader backend (its documentation, section "Custom")."""
    from probe.appliance.slots import Slots, running, slot_of

    slots = Slots(places.card, running(command_line()))
    match arguments:
        case ["get-primary"]:
            print(slots.primary())
        case ["get-current"]:
            print(slots.current)
        case ["set-primary", name]:
            slots.start_next(slot_of(name))
        case ["get-state", name]:
            print("bad" if slots.failed() == slot_of(name) else "good")
        case ["set-state", name, "good"]:
            if slot_of(name) == slots.current:
                slots.commit()
        case ["set-state", _, "bad"]:
            pass  # before it is written over; what starts is told by set-primary alone
        case _:
            raise UsageError(f"slots: {' '.join(arguments)}?")


def _motd(_: list[str], places: Places) -> None:
    from probe.appliance import motd
    from probe.appliance.health import ask_daemon

    try:
        status = asyncio.run(ask_daemon(SOCKET))
    except OSError:
        status = None
    print("\n".join(motd.lines(places.version, status, motd.latest_findings(), motd.written_bytes())))


def _blank(_: list[str], _places: Places) -> None:
    from probe.appliance.report import render

    sys.stdout.buffer.write(render(None))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Places()))
