"""What the answers of resolvers add up to: the rules of `dns_resolver`, apart from the asking."""

from __future__ import annotations

from probe.measurements._beyond import private
from probe.measurements._judge import plural
from probe.measurements._resolver.say import interfered, say
from probe.measurements._resolver.seen import Answer, Seen, Who, nowhere
from probe.model.finding import Judgement, Tally, Target

_NEED = 3


def judge(seen: Seen, target: Target) -> Judgement:
    """Apply the rules, first match first; `docs/measurements/dns_resolver.md` explains each by its name."""
    return (
        _somebody_else(seen, target)
        or _controls(seen, target)
        or _redirected(seen, target)
        or _existence(seen, target)
        or _content(seen, target)
    )


# -- who answers ------------------------------------------------------------------------------------------------


def _somebody_else(seen: Seen, target: Target) -> Judgement | None:
    """Whether answers come from elsewhere than the resolvers that were asked."""
    if any(swept.at_home() for swept in seen.sweeps.values()):
        return say(
            seen, target, "home-router-answers",
            "Something inside the home answers DNS queries in place of whoever is asked, or so near to it that the "
            "home's own router can't be told from the operator's first one.",
        )  # fmt: skip
    for_all, asked = seen.answered("harmless", "silent")
    if for_all:
        return _for_all(seen, target, for_all, asked)
    if seen.answered("target", "silent")[0]:
        return say(
            seen, target, "answered-on-the-way",
            f"The address {seen.silent}, which runs no resolver, seems to answer for {seen.name}: somebody on the way "
            "forges answers, so nothing can be said about the resolver (measure it with dns-injection).",
        )  # fmt: skip
    swept = seen.sweeps.get("resolver")
    if swept and swept.answers is not None and swept.arrives is not None and swept.answers < swept.arrives:
        return say(
            seen, target, "answered-on-the-way",
            f"Queries for {seen.name} are answered {plural(swept.arrives - swept.answers, 'router')} before the "
            f"resolver {seen.resolver}: it may be somebody on the way (measure it with dns-injection).",
        )  # fmt: skip
    return None


def _for_all(seen: Seen, target: Target, answered: int, asked: int) -> Judgement:
    swept = seen.sweeps.get("silent")
    alone, resolved = seen.resolved_by("silent", seen.resolver)
    shown = swept is not None and swept.farther() and swept.left_home()
    if swept is not None and shown and answered >= _NEED and resolved == alone >= _NEED:
        return interfered(
            seen, target, "silent-address-answers", "dns_redirect", Tally(asked, answered), swept,
            f"The address {seen.silent}, which runs no resolver, answered every name, in {answered} of "
            f"{plural(asked, 'trial')}, from beyond the home.",
            f"In {alone} of {resolved} cases the question then came to our name server from the network of "
            f"{seen.resolver}, the line's own resolver: somebody sends queries there, whoever they were meant for.",
        )  # fmt: skip
    return say(
        seen, target, "somebody-answers-for-all",
        f"The address {seen.silent}, which should run no resolver, answers for harmless names as well: somebody "
        "answers for whoever is asked. A home router that passes all queries on to a resolver of its owner's choice "
        "looks the same, and it was not shown that they leave the home as they were, and only then are sent to the "
        "line's own resolver.",
    )  # fmt: skip


def _controls(seen: Seen, target: Target) -> Judgement | None:
    whos: tuple[Who, ...] = ("resolver", "control")
    for who, address in zip(whos, (seen.resolver, seen.control), strict=True):
        if address and not seen.works(who):
            return say(
                seen, target, "control-failed",
                f"The resolver {address} did not answer for the harmless name {seen.harmless} both before and after "
                "the test: it has a problem of its own, it refuses this line, or the line has one.",
            )  # fmt: skip
    return None


def _redirected(seen: Seen, target: Target) -> Judgement | None:
    """Whether the line's own resolver asked what only the trusted one had been asked."""
    alone, resolved = seen.resolved_by("control", seen.resolver)
    if not seen.resolver or seen.resolver == seen.control or not alone:
        return None
    swept = seen.sweeps.get("control")
    if resolved == alone >= _NEED and swept is not None and swept.beyond_home() and swept.left_home():
        return interfered(
            seen, target, "other-resolver-answers", "dns_redirect", Tally(resolved, alone), swept,
            f"{plural(resolved, 'question')} that only the resolver {seen.control} had been asked came to our name "
            f"server from the network of {seen.resolver}, the line's own resolver, and from nowhere else: somebody "
            "sends queries there that were meant for another resolver.",
        )  # fmt: skip
    return say(
        seen, target, "resolver-doubtful",
        f"In {alone} of {resolved} cases a question that only {seen.control} had been asked came to our name server "
        f"from the network of {seen.resolver}: the trusted resolver can't be trusted here.",
    )  # fmt: skip


# -- what is answered -------------------------------------------------------------------------------------------


def _existence(seen: Seen, target: Target) -> Judgement | None:
    """Whether there is anything to compare with."""
    control = seen.answers("target", "control")
    with_addresses = sum(a.kind == "addresses" for a in control)
    if with_addresses >= _NEED and with_addresses == len(control):
        return None
    if len(control) >= _NEED and all(a.kind in ("nxdomain", "empty") for a in control):
        return _no_such_name(seen, target)
    return say(
        seen, target, "control-disagrees",
        f"The trusted resolver {seen.control} gave addresses of {seen.name} in {with_addresses} of "
        f"{plural(len(seen.said['target', 'control']), 'trial')}: there is nothing sure to compare with.",
    )  # fmt: skip


def _no_such_name(seen: Seen, target: Target) -> Judgement:
    own = seen.answers("target", "resolver")
    absent = seen.answers("absent", "resolver")
    truth = seen.answers("absent", "control")
    rewritten = seen.addresses("absent", "resolver")
    if (
        len(own) >= _NEED and all(a.addresses and a.addresses <= rewritten for a in own)
        and len(absent) >= _NEED and all(a.addresses for a in absent)
        and len(truth) >= _NEED and all(a.kind == "nxdomain" for a in truth)
    ):  # fmt: skip
        if seen.public:
            return _of_public(seen, target)
        swept = seen.sweeps.get("resolver")
        if seen.denied_by != {"before", "after"} or not seen.silent:
            return say(
                seen, target, "nonexistent-name-unproven",
                f"The resolver {seen.resolver} answers {_list(rewritten)} for {seen.name} as for any name that does "
                "not exist, but it was not proven that this one does not.",
            )  # fmt: skip
        if swept is None or swept.answers is None or swept.elsewhere():
            return _not_located(seen, target)
        return interfered(
            seen, target, "nonexistent-name-answered", "dns_lie",
            Tally(len(seen.said["target", "resolver"]), len(own)), swept,
            f"The resolver {seen.resolver} answers {_list(rewritten)} for {seen.name} and for every other name that "
            f"does not exist ({len(absent)} of {plural(len(absent), 'random name')}); the trusted resolver "
            f"{seen.control} says that there are none.",
        )  # fmt: skip
    agree = all(not a.addresses for a in own)
    return say(
        seen, target, "no-such-name" if agree else "control-disagrees",
        f"The trusted resolver {seen.control} knows no address of {seen.name}"
        + (", and neither does the line's own." if agree and own else "."),
        verdict="down" if agree and len(own) >= _NEED else "inconclusive",
    )  # fmt: skip


def _content(seen: Seen, target: Target) -> Judgement:
    if not seen.resolver or seen.resolver == seen.control:
        return _control_alone(seen, target)
    own = seen.answers("target", "resolver")
    asked = len(seen.said["target", "resolver"])
    if len(own) < _NEED:
        return say(
            seen, target, "no-answer",
            f"The resolver {seen.resolver} answered harmless names, but {seen.name} in only {len(own)} of "
            f"{plural(asked, 'trial')}: queries for it may be dropped, or lost.",
        )  # fmt: skip
    right = [a for a in own if any(seen.right(address) for address in a.addresses)]
    if len(right) == len(own):
        return _clean(seen, target, len(right), asked)
    if right or len({a.kind for a in own}) > 1:
        return say(
            seen, target, "answers-differ",
            f"The resolver {seen.resolver} gave a right address of {seen.name} in {len(right)} of "
            f"{plural(len(own), 'answer')} only: several machines may answer at that address.",
        )  # fmt: skip
    return _wrong(seen, target, own)


def _wrong(seen: Seen, target: Target, own: list[Answer]) -> Judgement:
    """No answer of the line's own resolver was right: whether that is a lie."""
    kind, asked = own[0].kind, len(seen.said["target", "resolver"])
    tally, swept = Tally(asked, len(own)), seen.sweeps.get("resolver")
    given = seen.addresses("target", "resolver")
    truth = _truth(seen)
    doubt = _doubt(seen, own, kind)
    if doubt is not None:
        return say(seen, target, *doubt)
    if seen.public:
        return _of_public(seen, target)
    if swept is None or swept.answers is None:
        return _not_located(seen, target)
    if kind == "addresses":
        where = (
            f"In {len(own)} of {plural(asked, 'trial')} the resolver {seen.resolver} answered {_list(given)} for "
            f"{seen.name}"
        )
        if all(nowhere(address) for address in given):
            return interfered(
                seen, target, "address-of-nobody", "dns_lie", tally, swept,
                f"{where}, where nobody can be reached.", truth,
            )  # fmt: skip
        below = seen.answers("below", "resolver")
        return interfered(
            seen, target, "address-for-any-name-below", "dns_lie", tally, swept,
            f"{where}, and the same for {len(below)} random names below it, which do not exist.",
            _no_certificate(seen, given), truth,
        )  # fmt: skip
    said = {"nxdomain": "that it does not exist", "empty": "that it has no address", "refused": "nothing: it refused"}
    rule = {"nxdomain": "denied-name", "empty": "emptied-name", "refused": "refused-name"}[kind]
    return interfered(
        seen, target, rule, "dns_lie", tally, swept,
        f"In {len(own)} of {plural(asked, 'trial')} the resolver {seen.resolver}, asked for {seen.name}, answered "
        f"{said[kind]}; harmless names it answered.",
        truth,
    )  # fmt: skip


def _doubt(seen: Seen, own: list[Answer], kind: str) -> tuple[str, str] | None:
    """(rule, why) of an innocent explanation that is left, if there is one."""
    if kind == "failure":
        return "resolver-fails", (
            f"The resolver {seen.resolver} says that it could not find out the address of {seen.name} (error "
            f"{own[0].rcode}): it may not reach the name's servers, or not believe their signatures."
        )
    swept = seen.sweeps.get("resolver")
    if swept is not None and swept.elsewhere():
        return "answered-from-elsewhere", (
            f"What answers in the name of {seen.resolver} is not as far away as that address is by plain packets: "
            "somebody, perhaps the home router, sends its queries elsewhere."
        )
    if any(a.truncated for a in own):
        return "truncated", f"The answers of {seen.resolver} for {seen.name} were cut short."
    if not seen.silent:
        return "no-silent-address", (
            f"The resolver {seen.resolver} does not give the addresses of {seen.name}; without an address that runs no "
            "resolver (--silent) it can't be told from a home router that answers in its place."
        )
    if kind in ("nxdomain", "empty") and seen.genuine_negative:
        return "negative-answer-of-the-zone", (
            f"The resolver {seen.resolver} says that {seen.name} has no address, and proves it by the record of the "
            "real zone: it may remember a time when that was true."
        )
    if seen.told_zone != {"resolver", "control"}:
        return "zone-unknown", (
            f"The resolvers did not both answer when asked which zone {seen.name} is in: it may have moved, or have a "
            "version of its own inside this network."
        )
    own_zone, true_zone = seen.zones.get("resolver"), seen.zones.get("control")
    if own_zone and not true_zone:
        return "zone-unknown", (
            f"The trusted resolver did not say which zone {seen.name} is in, and that of {seen.resolver} did: whether "
            "they speak of the same one can't be told."
        )
    if own_zone and own_zone != true_zone and not any(a.authoritative for a in own):
        return "another-zone", (
            f"The resolver {seen.resolver} has its answers for {seen.name} from other name servers than the trusted "
            "one: the name may have moved, or have a version of its own inside this network."
        )
    if kind == "empty" and ":" in seen.resolver:
        return "no-ipv6-address", (
            f"The resolver {seen.resolver} gives no IPv6 address of {seen.name}: resolvers may leave those out for "
            "lines without IPv6."
        )
    if kind == "addresses" and any(seen.unclear(address) for address in seen.addresses("target", "resolver")):
        return "clock-not-set", (
            f"The resolver {seen.resolver} gives other addresses of {seen.name} than the trusted one, and without a "
            "clock that is set their certificates can't tell whether they are right."
        )
    if not seen.proven():
        return "control-unverified", (
            f"The resolver {seen.resolver} says otherwise about {seen.name} than the trusted one, but neither the "
            "servers that this one names nor itself could prove by certificate that it is to be believed, before and "
            "after."
        )
    return _doubtful_address(seen) if kind == "addresses" else None


def _doubtful_address(seen: Seen) -> tuple[str, str] | None:
    given = seen.addresses("target", "resolver")
    if all(nowhere(address) for address in given):
        return None
    if not all(private(address) or nowhere(address) or seen.fails(address) for address in given):
        return "other-address", (
            f"The resolver {seen.resolver} answers {_list(given)} for {seen.name}, which the trusted resolver does not "
            "give; whether that is right could not be found out."
        )
    below, truth = seen.answers("below", "resolver"), seen.answers("below", "control")
    elsewhere = seen.addresses("absent", "resolver")
    same = [a for a in below if a.addresses and a.addresses <= given]
    if (
        len(same) >= _NEED and len(same) == len(below) and not elsewhere & given
        and len(truth) >= _NEED and all(a.kind == "nxdomain" for a in truth)
    ):  # fmt: skip
        return None
    if elsewhere & given:
        return "taken-for-nonexistent", (
            f"The resolver {seen.resolver} answers {_list(given)} for {seen.name} as for any name that does not exist: "
            "it rewrites such answers, and may remember a time when this name did not."
        )
    return "address-without-certificate", (
        f"The resolver {seen.resolver} answers {_list(given)} for {seen.name}, where no server proves to be it. Yet a "
        "network may have servers of its own for a name (split horizon), a resolver may remember where it used to be, "
        "and a server may have lost its certificate."
    )


def _truth(seen: Seen) -> str:
    control = seen.addresses("target", "control")
    said = f"The trusted resolver {seen.control} gives {_list(control)}"
    verified = seen.verified()
    if verified:
        return f"{said}; at {_list(verified)} a server proved by its certificate to be {seen.name}, before and after."
    return f"{said} each time, and said so inside TLS as well, with a certificate for its own address."


def _no_certificate(seen: Seen, given: frozenset[str]) -> str:
    asked = [(address, one) for address in sorted(given) for one in seen.odd_servers.get(address, ())]
    if not asked:
        return "Such addresses mean something inside a network only."
    why = sorted({one.wrong or one.failure for _, one in asked})
    return f"In {plural(len(asked), 'trial')} no server there proved to be {seen.name} ({'; '.join(why)[:300]})."


def _list(addresses: frozenset[str]) -> str:
    shown = sorted(addresses)
    return ", ".join(shown[:3]) + (" …" if len(shown) > 3 else "")


def _of_public(seen: Seen, target: Target) -> Judgement:
    return say(
        seen, target, "public-resolver-filters",
        f"The resolver {seen.resolver} does not give the addresses of {seen.name}. It is a public resolver "
        f"({seen.public}), not the operator's: whoever chose it chose its filter.",
    )  # fmt: skip


def _not_located(seen: Seen, target: Target) -> Judgement:
    return say(
        seen, target, "resolver-not-located",
        f"The resolver {seen.resolver} does not say about {seen.name} what the trusted one says, but where its answers "
        "come from could not be found out.",
    )  # fmt: skip


def _clean(seen: Seen, target: Target, right: int, asked: int) -> Judgement:
    given = seen.addresses("target", "resolver")
    proven = given & (seen.verified() | {a for a, looks in seen.odd_servers.items() if any(t.right for t in looks)})
    if not proven and _disproved(seen):
        return _unproven(seen, target, given)
    reasons = [
        f"The resolver {seen.resolver} gave right addresses of {seen.name} in {right} of {plural(asked, 'trial')}"
        + (f"; {_list(proven)} proved it by certificate." if proven else f": those that {seen.control} gives.")
    ]
    absent = seen.answers("absent", "resolver")
    rewritten = [a for a in absent if a.addresses]
    if rewritten:
        reasons.append(
            f"It rewrites answers about names that do not exist: {len(rewritten)} of {len(absent)} random names got "
            f"{_list(seen.addresses('absent', 'resolver'))}."
        )
    return say(seen, target, "clean", *reasons, verdict="clean", agreed=right, made=asked)


def _disproved(seen: Seen) -> bool:
    """Whether the trusted resolver's servers showed certificates, and none that is right."""
    looks = seen.servers_before.values()
    return any(one.wrong and one.fails for one in looks) and not any(one.right for one in looks)


def _unproven(seen: Seen, target: Target, given: frozenset[str]) -> Judgement:
    return say(
        seen, target, "agreed-address-unproven",
        f"All answers for {seen.name} are {_list(given)}, but no server there proves to be it: either the site has a "
        "certificate of its own making, or all answers come from one that lies.",
    )  # fmt: skip


def _control_alone(seen: Seen, target: Target) -> Judgement:
    if _disproved(seen):
        return _unproven(seen, target, seen.addresses("target", "control"))
    answered, asked = seen.answered("target", "control")
    quiet = f"; {seen.silent}, which runs no resolver, stayed silent" if seen.silent else ""
    return say(
        seen, target, "clean",
        f"The resolver {seen.control} gave addresses of {seen.name} in {answered} of {plural(asked, 'trial')}{quiet}. "
        "No resolver of the line's own was given to compare.",
        verdict="clean", agreed=answered, made=asked,
    )  # fmt: skip
