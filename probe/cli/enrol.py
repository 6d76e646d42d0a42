"""``colibri enrol CODE --server URL``: this device gets its name and its certificate."""

from __future__ import annotations

import argparse

from probe.model.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``colibri enrol CODE --server URL``."""
    parser.add_argument("code", metavar="CODE", help="the one-time code that the collector's operator gave you")
    parser.add_argument("--server", metavar="URL", help="the enrolment server, such as https://collector.example:8444")
    parser.add_argument("--fingerprint", metavar="HEX", help="SHA-256 of the server's authority")
    parser.add_argument("--ca", metavar="FILE", help="file with that authority, instead of its fingerprint")
    parser.add_argument("--config", metavar="FILE", help="configuration file (TOML), which names the state folder")


def run(args: argparse.Namespace) -> int:
    """Enrol, once. Raises ConfigError, ColibriError with the server's reason, OSError."""
    import msgspec

    from probe.agent.config import load
    from probe.agent.enrol import Enrolment
    from probe.agent.enrol_files import EnrolFiles
    from probe.model.errors import ColibriError

    config = load(args.config)
    changes = {"code": args.code, "server": args.server, "fingerprint": args.fingerprint, "ca": args.ca}
    enrol = msgspec.structs.replace(config.enrol, **{key: value for key, value in changes.items() if value})
    if not enrol.server:
        raise ConfigError("enrol.server", "is missing: give --server, as the operator told you")
    files = EnrolFiles(config.probe.state_dir)
    try:
        answer = Enrolment(enrol, files).first()
    except OSError as error:
        raise ColibriError(f"{error.filename or enrol.server}: {error.strerror or error}") from None
    print(f"enrolled as {answer.name}; the certificate is good until {answer.expires} and renewed by the daemon")
    if answer.broker is not None and not config.mqtt.host:
        print(f"it will publish to {answer.broker.host}:{answer.broker.port}")
    print("the daemon takes it up when it is restarted: systemctl restart colibri")
    return 0
