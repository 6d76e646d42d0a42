"""Where on the path somebody acts: the routers, hop by hop, with and without what triggers interference.

`docs/measurements/ttl_path.md` (Tracebox, CenTrace, Paris traceroute).
"""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from probe.measurements import Context, Steps, dns_injection, tcp_reset, udp_trigger
from probe.measurements._judge import confidence, plural
from probe.measurements._trace import Protocol, endpoint, trace
from probe.model.finding import Judgement, Tally, Target

VERSION = "4"

Trigger = Literal["dns", "http", "tls", "quic", "sip", "stun", "none"]


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The target, the trigger, and the options of the trigger's own measurement."""

    target: Annotated[
        str,
        msgspec.Meta(
            description="URL, name (trigger dns or quic), or ADDR[:PORT] (trigger none).", min_length=1, max_length=1024
        ),
    ]
    trigger: Annotated[
        Literal["", "dns", "http", "tls", "quic", "sip", "stun", "none"],
        msgspec.Meta(description="What to send: dns, http, tls, quic, sip, stun or none; empty: by the target's form."),
    ] = ""
    protocol: Annotated[Protocol, msgspec.Meta(description="For trigger none: tcp, udp or icmp.")] = "tcp"
    address: Annotated[str, msgspec.Meta(description="The server's address.")] = ""
    port: Annotated[int, msgspec.Meta(ge=0, le=65535, description="Port; 0: the usual one.")] = 0
    resolver: Annotated[str, msgspec.Meta(description="Resolver to ask.")] = ""
    silent: Annotated[str, msgspec.Meta(description="Address that runs no resolver.")] = ""
    reflector: Annotated[str, msgspec.Meta(description="Address of our far end (quic, sip, stun).")] = ""
    control_name: Annotated[str, msgspec.Meta(description="A harmless name.")] = ""
    control_address: Annotated[str, msgspec.Meta(description="Address of a server of ours that answers any name.")] = ""
    trials: Annotated[int, msgspec.Meta(ge=3, le=20, description="Sweeps or trials of each kind.")] = 3
    hops: Annotated[int, msgspec.Meta(ge=1, le=64, description="Farthest TTL for trigger none.")] = 30
    group: Annotated[str, msgspec.Meta(description="Group of the target, for the report.")] = ""


def measure(options: Options, context: Context) -> Steps:
    """Sweep with the trigger's own measurement, always; or trace the plain path."""
    trigger: Trigger = options.trigger or _guess(options.target)
    if trigger == "dns":
        return (
            yield from dns_injection.measure(
                dns_injection.Options(
                    target=_host(options.target),
                    resolver=options.resolver,
                    silent=options.silent,
                    control_name=options.control_name,
                    port=options.port or 53,
                    trials=options.trials,
                    locate=True,
                    group=options.group,
                ),
                context,
            )
        )
    if trigger in ("http", "tls"):
        scheme = "http" if trigger == "http" else "https"
        parts = urlsplit(options.target if "://" in options.target else f"//{options.target}")
        url = f"{scheme}://{parts.netloc}{parts.path or '/'}"
        same = "://" in options.target and parts.scheme == scheme
        return (
            yield from tcp_reset.measure(
                tcp_reset.Options(
                    target=options.target if same else url,
                    address=options.address,
                    port=options.port,
                    control_name=options.control_name,
                    control_address=options.control_address,
                    resolver=options.resolver,
                    trials=options.trials,
                    locate=True,
                    group=options.group,
                ),
                context,
            )
        )
    if trigger == "quic" or trigger == "sip" or trigger == "stun":
        return (
            yield from udp_trigger.measure(
                udp_trigger.Options(
                    target=_host(options.target),
                    trigger=trigger,
                    address=options.address,
                    port=options.port,
                    reflector=options.reflector,
                    control_address=options.control_address,
                    control_name=options.control_name,
                    trials=options.trials,
                    locate=True,
                    group=options.group,
                ),
                context,
            )
        )
    return (yield from _plain(options, context))


def _guess(target: str) -> Trigger:
    if "://" in target:
        return "http" if target.startswith("http://") else "tls"
    return "none"


def _host(target: str) -> str:
    return (urlsplit(target).hostname or target) if "://" in target else target


def _plain(options: Options, context: Context) -> Steps:
    address, port = endpoint(options.target, options.port, options.protocol)
    hops = yield from trace(address, port, options.protocol, context, options.trials, options.hops)
    answering = [h for h in hops if h.routers]
    arrived = next((h for h in hops if h.arrived), None)
    many = [h for h in hops if len(h.routers) > 1 and not h.arrived]
    reasons = []
    if arrived is not None:
        reasons.append(
            f"{address} answers from hop {arrived.ttl}; {len(answering)} of {len(hops)} hops show themselves."
        )
    else:
        farthest = max((h.ttl for h in answering), default=0)
        reasons.append(
            f"{address} did not answer {options.protocol.upper()} probes; the farthest router that did is at hop "
            f"{farthest}. "
            "A firewall at the server looks the same, so nothing can be said."
        )
    if many:
        reasons.append(f"{plural(len(many), 'hop')} showed several routers: the path divides there.")
    if any(h.changed for h in hops):
        fields = sorted({field for h in hops for field in h.changed})
        reasons.append(
            f"Routers quote {', '.join(fields)} otherwise than it was sent: something on the way rewrites packets."
        )
    return Judgement(
        verdict="clean" if arrived else "inconclusive",
        rule="ttl_path/arrives" if arrived else "ttl_path/does-not-arrive",
        target=Target(options.target, "", address, port, options.group),
        trials=Tally(options.trials, options.trials if arrived else 0),
        confidence=confidence((options.trials, options.trials)) if arrived else 0.0,
        reasons=reasons,
        details={"protocol": options.protocol, "path": [h.show() for h in hops]},
    )
