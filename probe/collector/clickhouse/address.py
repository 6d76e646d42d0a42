"""Where the servers are: ``clickhouse://user@host,other:8123/database?cluster=name&quorum=2&setting=value``. Pure."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from probe.model.errors import ConfigError

WHERE = "collector.store"
SCHEMES = {"clickhouse": 8123, "clickhouses": 8443}
"""Scheme → the port where none is given: HTTP, and HTTP over TLS."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


class Host(msgspec.Struct, frozen=True):
    """One server. It says where it is, for messages."""

    name: str
    port: int

    def __str__(self) -> str:
        return f"{f'[{self.name}]' if ':' in self.name else self.name}:{self.port}"


class Address(msgspec.Struct, frozen=True):
    """``hosts``: every server that holds a part, or a copy, and may be asked. ``cluster``: the name that the servers
    themselves have for all of them (`remote_servers`); empty: a single server. ``settings``: sent with every query.
    ``quorum``: the tables are replicated, and what is written is on so many replicas; 0: they are not."""

    hosts: tuple[Host, ...]
    tls: bool
    user: str
    database: str
    cluster: str
    settings: tuple[tuple[str, str], ...]
    quorum: int = 0


def parse(text: str) -> Address:
    """Raises ConfigError that says what is wrong, and repeats no password."""
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise ConfigError(WHERE, f"it is no address ({error})") from error
    if parts.scheme not in SCHEMES:
        raise ConfigError(WHERE, "it is no store: leave it empty, or clickhouse://HOST[:PORT][,HOST…]/DATABASE")
    user, _, places = parts.netloc.rpartition("@")
    if ":" in user:
        raise ConfigError(WHERE, "a password has no place in an address: use collector.store_password_file")
    hosts = tuple(_host(place, SCHEMES[parts.scheme]) for place in places.split(","))
    database = parts.path.strip("/") or "colibri"
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    cluster, quorum = query.pop("cluster", ""), query.pop("quorum", "")
    for name in (database, *([cluster] if cluster else []), *query):
        if not _NAME.fullmatch(name):
            raise ConfigError(WHERE, f"{name!r} is no name (letters, digits, _)")
    if len(hosts) > 1 and not cluster:
        raise ConfigError(WHERE, "several servers need ?cluster=NAME, as they call themselves in remote_servers")
    if quorum and not (cluster and re.fullmatch("[2-9]", quorum)):
        raise ConfigError(WHERE, "?quorum= is how many replicas have what was written, 2 to 9, and needs ?cluster=NAME")
    if parts.fragment:
        raise ConfigError(WHERE, "nothing may follow a # in it")
    return Address(
        hosts, parts.scheme == "clickhouses", unquote(user) or "default", database, cluster, tuple(query.items()),
        int(quorum or 0),
    )


def _host(text: str, default: int) -> Host:
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9_.-]+))(?::([0-9]{1,5}))?", text)
    if found is None:
        raise ConfigError(WHERE, f"{text!r} is not HOST or HOST:PORT")
    name, port = found[1] or found[2], int(found[3] or default)
    if not 0 < port < 65536:
        raise ConfigError(WHERE, f"{port} is no port")
    return Host(name, port)
