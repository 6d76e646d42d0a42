"""``colibri collector enrol|enrol-server|revoke|list|issue``: who is a probe."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from probe.model.errors import ColibriError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from probe.collector.enrol.authority import Authority
    from probe.collector.enrol.register import Register
    from probe.model.config import Config, EnrolmentConfig


def add_actions(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the actions and their options."""
    hand_out = verbs.add_parser("enrol", help="a one-time code for a new probe")
    hand_out.add_argument("--label", metavar="TEXT", default="", help="whose probe it is, as you know them; stays here")
    hand_out.add_argument("--days", metavar="N", type=float, default=14.0, help="days that it is good for (default 14)")
    hand_out.add_argument("--count", metavar="N", type=int, default=1, help="so many codes (default 1)")
    hand_out.add_argument("--json", action="store_true", help="one JSON object a line")
    server = verbs.add_parser("enrol-server", help="give certificates to devices with a code, until stopped")
    taken = verbs.add_parser("revoke", help="take a probe's name back and cut its session")
    taken.add_argument("name", metavar="NAME", help="the probe, as `list` has it")
    taken.add_argument("--broker", metavar="HOST:PORT", help="the broker that has to refuse it (default: as in [mqtt])")
    taken.add_argument("--no-broker", action="store_true", help="only write the list of the revoked")
    listing = verbs.add_parser("list", help="probes and open codes")
    listing.add_argument("--json", action="store_true", help="one JSON object a line")
    issue = verbs.add_parser("issue", help="a certificate for the broker, the collector or a reader")
    issue.add_argument("name", metavar="NAME", help="`collector`, `bridge`, a reader's name; of a server: its address")
    issue.add_argument("--server", action="store_true", help="for a server, such as the broker; else for a client")
    issue.add_argument("--also", metavar="NAME,…", default="", help="further names and addresses of the server")
    issue.add_argument("--days", metavar="N", type=float, default=825.0, help="days that it is valid (default 825)")
    issue.add_argument("--output", metavar="DIR", default=".", help="where NAME.pem, NAME.key and authority.pem go")
    for parser in (hand_out, server, taken, listing, issue):
        parser.add_argument("--config", metavar="FILE", help="configuration file (TOML), with [collector.enrol]")


def actions() -> dict[str, Callable[[argparse.Namespace], int]]:
    """Action → what does it."""
    return {"enrol": _enrol, "enrol-server": _serve, "revoke": _revoke, "list": _list, "issue": _issue}


def _config(args: argparse.Namespace) -> Config:
    from probe.agent.config import load

    return load(args.config)


def _open(config: EnrolmentConfig) -> tuple[Path, Authority, Register]:
    from pathlib import Path

    from probe.collector.enrol.authority import Authority
    from probe.collector.enrol.register import Register
    from probe.collector.instants import now

    folder = Path(config.folder)
    return folder, Authority(folder, now()), Register(folder)


def _enrol(args: argparse.Namespace) -> int:
    import json

    from probe.collector.enrol.desk import Desk
    from probe.collector.instants import DAY, now, to_text

    if not 0 < args.days <= 365 or not 1 <= args.count <= 1000:
        raise UsageError("--days takes up to 365 and --count 1 to 1000")
    config = _config(args).collector.enrol
    _, authority, register = _open(config)
    try:
        desk, at = Desk(config, authority, register), now()
        made = [desk.hand_out(args.label, at, round(args.days * DAY)) for _ in range(args.count)]
    finally:
        register.close()
    host = config.names[0] if config.names else "YOUR.SERVER"
    server = f"https://{f'[{host}]' if ':' in host else host}:{config.listen.rpartition(':')[2]}"
    end = to_text(at + round(args.days * DAY))
    if args.json:
        for code in made:
            print(json.dumps(
                {"code": code, "label": args.label, "expires": end, "server": server,
                 "fingerprint": authority.fingerprint}, ensure_ascii=False))  # fmt: skip
        return 0
    print(f"# into colibri.toml of one device; good once, until {end}")
    for code in made:
        print(f'[enrol]\nserver = "{server}"\ncode = "{code}"\nfingerprint = "{authority.fingerprint}"')
    return 0


def _serve(args: argparse.Namespace) -> int:
    from probe.agent import journal
    from probe.agent.notify import Notifier
    from probe.cli.collector import EXTRA

    config = _config(args).collector.enrol
    try:
        from probe.collector.enrol import service
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in EXTRA:
            raise
        raise ColibriError(f"the collector needs {missing}: pip install 'colibri-probe[collector]'") from error
    journal.set_up()
    return service.run(config, lambda fingerprint: Notifier().ready(f"authority {fingerprint}"))


def _revoke(args: argparse.Namespace) -> int:
    from probe.collector.enrol.revoke import revoke

    config = _config(args)
    broker = None if args.no_broker else _endpoint(args.broker, config)
    _, authority, register = _open(config.collector.enrol)
    try:
        done = revoke(config.collector.enrol, authority, register, args.name, broker)
    finally:
        register.close()
    print(f"{done.name} is revoked: {done.certificates} certificates")
    if done.cut_after is None:
        print(f"the broker was not asked: give it {authority.crl}, reload it, and end the session of {done.name}")
    else:
        print(f"the broker refuses them since {done.refused_after} s, its session was cut after {done.cut_after} s")
    return 0


def _endpoint(text: str | None, config: Config) -> tuple[str, int]:
    if not text:
        if not config.mqtt.host:
            raise UsageError("which broker? give --broker HOST:PORT, or [mqtt] host, or --no-broker")
        return config.mqtt.host, config.mqtt.port or 8883
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(f"--broker: {text!r} is not HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _list(args: argparse.Namespace) -> int:
    import json

    from probe.collector.instants import now, to_text

    _, _, register = _open(_config(args).collector.enrol)
    try:
        at = now()
        rows, waiting = register.probes(), register.waiting(at)
    finally:
        register.close()
    for row in rows:
        state = "revoked" if row.revoked is not None else "expired" if row.ends < at else "valid"
        told = {"probe": row.name, "state": state, "label": row.label, "enrolled": to_text(row.enrolled),
                "certificate_ends": to_text(row.ends)}  # fmt: skip
        print(json.dumps(told, ensure_ascii=False) if args.json else "  ".join(told.values()))
    for label, expires in waiting:
        told = {"probe": "", "state": "code", "label": label, "expires": to_text(expires)}
        print(json.dumps(told, ensure_ascii=False) if args.json else f"(open code)  until {told['expires']}  {label}")
    if not rows and not waiting and not args.json:
        print("no probes and no open codes")
    return 0


def _issue(args: argparse.Namespace) -> int:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric import ec

    from probe.collector.enrol.authority import private_pem
    from probe.collector.enrol.files import PUBLIC, SECRET, write
    from probe.collector.instants import now

    if args.name.startswith("p-"):
        raise UsageError("names that begin with p- are those of probes: colibri collector enrol")
    _, authority, register = _open(_config(args).collector.enrol)
    register.close()
    key, folder = ec.generate_private_key(ec.SECP256R1()), Path(args.output)
    if args.server:
        names = [args.name, *filter(None, args.also.split(","))]
        issued = authority.server(key.public_key(), names, now(), args.days)
    else:
        issued = authority.client(key.public_key(), args.name, now(), args.days)
    write(folder / f"{args.name}.key", private_pem(key), SECRET)
    write(folder / f"{args.name}.pem", issued.pem.encode(), PUBLIC)
    write(folder / "authority.pem", authority.pem.encode(), PUBLIC)
    print(f"{folder / args.name}.pem, .key and authority.pem")
    return 0
