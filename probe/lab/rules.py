"""Rules of the kernel's packet filter, as text for ``nft``, for all that a box makes a node do without our help."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence

from probe.lab.kinds import Ban, DnsRedirect, Nat, PortBlock, RouteAway
from probe.lab.kinds.base import Ports
from probe.lab.kinds.filtering import Refusal
from probe.model.errors import ConfigError

_REFUSALS: dict[str, tuple[str, str]] = {
    "net_unreachable": ("net-unreachable", "no-route"),
    "host_unreachable": ("host-unreachable", "addr-unreachable"),
    "port_unreachable": ("port-unreachable", "port-unreachable"),
    "net_prohibited": ("net-prohibited", "admin-prohibited"),
    "host_prohibited": ("host-prohibited", "admin-prohibited"),
    "admin_prohibited": ("admin-prohibited", "admin-prohibited"),
}
"""ICMP and ICMPv6 names of each; ICMPv6 knows fewer (RFC 4443, 3.1)."""
_EARLY = -300  # before connection tracking, and before the router looks at the TTL


def _set(values: Iterable[object]) -> str:
    return "{ " + ", ".join(map(str, values)) + " }"


def _table(name: str, chain: str, rules: Iterable[str]) -> str:
    lines = "\n".join(f"            {rule}" for rule in rules)
    return f"""
    table inet {name} {{
        chain c {{
            type filter hook {chain};
{lines}
        }}
    }}
    """


def _of(prefixes: Sequence[str], version: int) -> list[str]:
    return [prefix for prefix in prefixes if ipaddress.ip_network(prefix).version == version]


def _places(field: str, prefixes: Sequence[str], other: str, others: Sequence[str]) -> Iterator[tuple[int, str]]:
    """(IP version, conditions) under which addresses are as asked; version 0: any. No prefixes are all."""
    if not prefixes and not others:
        yield 0, ""
        return
    for version, family in ((4, "ip"), (6, "ip6")):
        mine, theirs = _of(prefixes, version), _of(others, version)
        if (prefixes and not mine) or (others and not theirs):
            continue
        yield version, " ".join(
            f"{family} {name} {_set(chosen)}" for name, chosen in ((field, mine), (other, theirs)) if chosen
        )


def _protocol(protocol: str, field: str, ports: Ports, spare: Ports) -> str:
    if protocol == "any":
        return ""
    words = ["meta l4proto " + ("{ icmp, ipv6-icmp }" if protocol == "icmp" else protocol)]
    if ports:
        words.append(f"th {field} {_set(ports)}")
    if spare:
        words.append(f"th {field} != {_set(spare)}")
    return " ".join(words)


def _refusals(conditions: str, version: int, action: Refusal) -> Iterator[str]:
    v4, v6 = _REFUSALS[action]
    if version != 6:
        yield f"{conditions} meta nfproto ipv4 reject with icmp type {v4}"
    if version != 4:
        yield f"{conditions} meta nfproto ipv6 reject with icmpv6 type {v6}"


def port_block(box: PortBlock, name: str, entries: Sequence[str]) -> str:
    """A packet filter on the interfaces ``entries``, by which the homes' packets come in. Raises ConfigError."""
    up: list[str] = []
    for version, place in _places("daddr", box.to, "saddr", box.sources):
        conditions = f"iifname {_set(entries)} {place} {_protocol(box.protocol, 'dport', box.ports, box.spare)}"
        if box.action == "drop":
            up.append(f"{conditions} drop")
        elif box.action == "reset":
            up.append(f"{conditions} reject with tcp reset")
        else:
            up += _refusals(conditions, version, box.action)
    if box.direction != "up" and box.action != "drop":
        raise ConfigError("scenario", "a port_block that answers is for what goes up")
    if box.action == "reset" and box.protocol != "tcp":
        raise ConfigError("scenario", "only TCP can be reset")
    down = [
        f"oifname {_set(entries)} {place} {_protocol(box.protocol, 'sport', box.ports, box.spare)} drop"
        for _, place in _places("saddr", box.to, "daddr", box.sources)
    ]
    text = ""
    if box.direction != "down":
        text += _table(f"{name}up", f"prerouting priority {_EARLY}", up)
    if box.direction != "up":
        text += _table(f"{name}down", "postrouting priority 300", down)
    return text


def route_refusal(box: RouteAway, name: str) -> str:
    """A router that refuses to forward to prefixes, with an ICMP code that no route can have."""
    rules = [
        rule
        for version, place in _places("daddr", box.prefixes, "saddr", ())
        for rule in _refusals(place, version, box.action)  # type: ignore[arg-type]
    ]
    return _table(name, "forward priority 0", rules)


def ban(box: Ban) -> str:
    """A host that counts the connections of an address, and then shuts it out."""
    verdict = {"drop": "drop", "reset": "reject with tcp reset"}[box.action]
    return "".join(
        f"""
    table {family} ban {{
        set banned {{
            type {kind}
            flags dynamic,timeout
            timeout {round(box.hold * 1000)}ms
        }}
        set seen {{
            type {kind}
            flags dynamic,timeout
            timeout {round(box.seconds * 1000)}ms
        }}
        chain input {{
            type filter hook input priority 0;
            meta l4proto tcp {family} saddr @banned {verdict}
            tcp flags & (syn | ack) == syn add @seen {{ {family} saddr limit rate over {box.connections}/hour \
burst {box.connections} packets }} add @banned {{ {family} saddr }} {verdict}
        }}
    }}
    """
        for family, kind in (("ip", "ipv4_addr"), ("ip6", "ipv6_addr"))
    )


def take(name: str, entries: Sequence[str], ports: Ports, own: Sequence[str], port: int) -> str:
    """Connections to ``ports``, wherever they go, end at a router's own addresses and ``port``."""
    return "".join(
        f"""
    table {family} {name} {{
        chain prerouting {{
            type nat hook prerouting priority -100;
            iifname {_set(entries)} tcp dport {_set(ports)} dnat to {_socket(address, port)}
        }}
    }}
    """
        for family, address in _families(own)
    )


def redirect(box: DnsRedirect, name: str, entries: Sequence[str], resolver: Sequence[str], own: Sequence[str]) -> str:
    """Queries for any address go to a resolver, in this router's own name, so that its answers come back this way."""
    text = ""
    for (family, address), (_, ours) in zip(_families(resolver), _families(own), strict=True):
        spared = [address, *_of(box.spare, 4 if family == "ip" else 6)]
        text += f"""
    table {family} {name} {{
        chain prerouting {{
            type nat hook prerouting priority -100;
            iifname {_set(entries)} {family} daddr != {_set(spared)} meta l4proto {_set(box.protocols)} th dport 53 \
dnat to {address}
        }}
        chain postrouting {{
            type nat hook postrouting priority 90;
            meta l4proto {_set(box.protocols)} th dport 53 ct status dnat snat to {ours}
        }}
    }}
    """
    return text


def second_nat(box: Nat, name: str, outside: Sequence[str], public: str) -> str:
    """A NAT towards the interfaces ``outside``; where ports are few, what finds none is lost."""
    ports = f":1024-{1023 + box.ports}" if box.ports else ""
    return f"""
    table ip {name} {{
        chain postrouting {{
            type nat hook postrouting priority 90;
            oifname {_set(outside)} meta l4proto {{ tcp, udp }} snat to {public}{ports}
            oifname {_set(outside)} snat to {public}
        }}
    }}
    """


def portal(name: str, entries: Sequence[str]) -> str:
    """Nothing is forwarded for those behind ``entries``."""
    return _table(name, "forward priority 0", [f"iifname {_set(entries)} reject with icmpx type admin-prohibited"])


def rate_limit(per_second: int) -> str:
    """A server that takes so many new connections a second, from all together; the others find no answer."""
    return _table("load", "input priority 0", [
        f"tcp flags & (syn | ack) == syn limit rate over {per_second}/second burst {per_second} packets drop"
    ])  # fmt: skip


def _families(addresses: Sequence[str]) -> list[tuple[str, str]]:
    """The first IPv4 and the first IPv6 address, each with nft's word for its family."""
    found = {"ip6" if ":" in address else "ip": address for address in reversed(addresses)}
    return sorted(found.items())


def _socket(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def masquerade(public: str) -> str:
    """Rules of a home router that hides the home behind one IPv4 address."""
    return f"""
    table ip nat {{
        chain postrouting {{
            type nat hook postrouting priority 100;
            oifname "up" snat to {public}
        }}
    }}
    """


def silence() -> str:
    """Rules of a router that sends no ICMP errors."""
    return """
    table inet silent {
        chain output {
            type filter hook output priority 0;
            icmp type { destination-unreachable, time-exceeded } drop
            icmpv6 type { destination-unreachable, time-exceeded } drop
        }
    }
    """


def home_dns(lan: str) -> str:
    """Rules of a home router that answers DNS queries to any address itself; ``lan`` is its inner interface."""
    return "".join(
        f"""
    table {family} dns {{
        chain prerouting {{
            type nat hook prerouting priority -100;
            iifname "{lan}" udp dport 53 redirect
            iifname "{lan}" tcp dport 53 redirect
        }}
    }}
    """
        for family in ("ip", "ip6")
    )


def firewall(ports: Iterable[int]) -> str:
    """Rules of a server that drops TCP to all ports but these, without a word."""
    allowed = ", ".join(map(str, ports))
    return f"""
    table inet firewall {{
        chain input {{
            type filter hook input priority 0;
            tcp dport != {{ {allowed} }} drop
        }}
    }}
    """
