"""``colibri reflector run``: the far end, on a server abroad or on the host that is measured itself."""

from __future__ import annotations

import argparse

from probe.model.errors import UsageError

STATE = "/var/lib/colibri-reflector"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``run`` and its options."""
    verbs = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    one = verbs.add_parser("run", help="answer probes, and tell what arrived, until stopped")
    one.add_argument("--listen", metavar="ADDR[,ADDR]", default="", help="own addresses (default: all of this host)")
    one.add_argument("--silent", metavar="ADDR[,ADDR]", default="", help="own addresses that never answer")
    one.add_argument("--public", metavar="ADDR[,ADDR]", default="", help="how the world knows them, behind a NAT")
    one.add_argument("--name", default="", help="the server's name, told to probes")
    one.add_argument("--zone", default="", help="DNS zone to answer for (delegated to this server)")
    one.add_argument("--ports", metavar="N[,N]", default="", help="well-known ports, instead of the usual ones")
    one.add_argument("--random-ports", metavar="N", type=int, default=4, help="how many others (default: %(default)s)")
    one.add_argument("--peer", metavar="[NAME=]ADDR", action="append", default=[], help="another reflector to ask")
    one.add_argument("--peer-key", metavar="FILE", default="", help="the secret that peers share")
    one.add_argument("--state", metavar="DIR", default=STATE, help="keeps the certificate (default: %(default)s)")
    one.add_argument("--certificate", metavar="FILE", default="", help="a certificate (PEM) instead of an own one")
    one.add_argument("--key", metavar="FILE", default="", help="its private key")


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT. Raises UsageError, ConfigError."""
    from probe.agent import journal
    from probe.agent.notify import Notifier
    from probe.reflector import plan, service

    if bool(args.certificate) != bool(args.key):
        raise UsageError("--certificate and --key go together")
    made = plan.make(
        listen=args.listen, silent=args.silent, public=args.public, name=args.name, zone=args.zone, ports=args.ports,
        random_ports=args.random_ports, peers=args.peer, peer_key=args.peer_key, state=args.state,
        certificate_file=args.certificate, key_file=args.key,
    )  # fmt: skip
    journal.set_up()
    return service.run(made, Notifier().ready)
