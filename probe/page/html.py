"""The page as HTML, from what the daemon told. What was not written by us is escaped, and isolated in its direction."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from probe.model.home import Category, Told, View
from probe.page.words import DIRECTIONS, NAMES, Words, to_seconds

_SHAPES = {"interfered": "✕", "down": "!", "inconclusive": "?", "clean": "✓"}
"""A verdict is told by a shape as well as by a colour and a word."""
_ORDER = ("interfered", "down", "inconclusive")


def page(view: View | None, said: Words, *, notice: str = "", alarm: str = "", card: str = "") -> str:
    """The whole page. ``view`` None: no daemon answers. ``notice``: what was done; ``alarm``: what was not; ``card``:
    the report on the memory card, shown where the daemon can't speak for itself."""
    parts = [_headline(view, said)]
    if view is None:
        parts += [_card(card, said)] if card else []
    else:
        parts += [_found(view, said), _pause(view, said), _choices(view.categories, said)]
    parts.append(_privacy(said))
    if view is not None:
        parts.append(_health(view, said))
    parts.append(_about(view, said))
    told = f'<p class="notice" role="status">{escape(notice)}</p>' if notice else ""
    told += f'<p class="alarm" role="alert">{escape(alarm)}</p>' if alarm else ""
    return _document(said, told + "\n".join(parts))


def refusal(said: Words, text: str) -> str:
    """A page that only says why there is none."""
    return _document(said, f'<p class="alarm" role="alert">{escape(text)}</p>')


def _document(said: Words, body: str) -> str:
    links = " ".join(
        f'<a href="/{code}" lang="{code}" hreflang="{code}"{_current(code == said.code)}>{name}</a>'
        for code, name in NAMES.items()
    )
    return f"""<!DOCTYPE html>
<html lang="{said.code}" dir="{DIRECTIONS[said.code]}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(said("page.title"))}</title>
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/page.css">
</head>
<body>
<a class="skip" href="#main">{escape(said("page.skip"))}</a>
<header><a class="brand" href="/{said.code}"><img src="/icon.svg" alt="" width="32" height="32"> Colibri</a>
<nav aria-label="{escape(said("page.languages"))}">{links}</nav></header>
<main id="main">
{body}
</main>
</body>
</html>
"""


def _current(is_it: bool) -> str:
    return ' aria-current="true"' if is_it else ""


def _headline(view: View | None, said: Words) -> str:
    state = _state(view)
    at = f'<p class="quiet">{_moment(view.now, said("page.now"))} {escape(said("page.reload"))}</p>' if view else ""
    return (
        f'<section class="state s-{state}"><h1>{escape(said(f"state.{state}"))}</h1>'
        f"<p>{escape(said(f'state.{state}_why'))}</p>{at}</section>"
    )


def _state(view: View | None) -> str:
    """The one thing that matters most now: a key of [state]."""
    if view is None:
        return "silent"
    if view.enrolling:
        return "enrolling"
    if view.paused:
        return "paused_operator" if "operator" in view.paused else "paused_home"
    if view.link == "down":
        return "down"
    if any(told.verdict == "interfered" for told in view.findings):
        return "interfered"
    if not view.findings:
        return "new" if view.planned else "idle"
    return "clean" if any(told.verdict == "clean" for told in view.findings) else "new"


def _moment(moment: str, text: str) -> str:
    shown = f'<time datetime="{escape(moment)}"><bdi dir="ltr">{escape(moment[:16].replace("T", " "))}</bdi></time>'
    return escape(text).replace("{at}", shown)


def _section(name: str, title: str, body: str) -> str:
    return f'<section aria-labelledby="{name}"><h2 id="{name}">{escape(title)}</h2>{body}</section>'


def _found(view: View, said: Words) -> str:
    if not view.findings:
        return _section("found", said("found.title"), f"<p>{escape(said('found.none'))}</p>")
    now = to_seconds(view.now)
    body = "".join(
        f'<ul class="found">{items}</ul>'
        for verdict in _ORDER
        if (items := "".join(_item(told, said, now) for told in view.findings if told.verdict == verdict))
    )
    clean = [told for told in view.findings if told.verdict == "clean"]
    if clean:
        items = "".join(_item(told, said, now) for told in clean)
        title = escape(said("found.worked", n=len(clean)))
        body += f'<details><summary>{title}</summary><ul class="found">{items}</ul></details>'
    return _section("found", said("found.title"), body)


def _item(told: Told, said: Words, now: float) -> str:
    label = said.maybe(f"measurement.{told.measurement}", told.measurement.replace("_", " "))
    verdict = said(f"verdict.{told.verdict}")
    if told.technique:
        verdict = said.maybe(f"technique.{told.technique}", verdict)
    why = said(f"verdict.{told.verdict}_why")
    if told.technique:
        why = said.maybe(f"technique.{told.technique}_why", why)
    ago = said.ago(now - to_seconds(told.at))
    reasons = ""
    if told.reasons and told.verdict != "clean":
        listed = "".join(f"<li>{escape(reason)}</li>" for reason in told.reasons)
        reasons = (f"<details><summary>{escape(said('found.reasons'))}</summary>"
                   f'<ul lang="en" dir="ltr">{listed}</ul></details>')  # fmt: skip
    return (
        f'<li class="v-{told.verdict}"><p class="what"><span class="shape" aria-hidden="true">{_SHAPES[told.verdict]}'
        f'</span> <bdi dir="ltr" class="target">{escape(told.target)}</bdi>'
        f' <span class="quiet">{escape(label)}</span></p>'
        f"<p><strong>{escape(verdict)}</strong> {escape(why)} "
        f'<time datetime="{escape(told.at)}" class="quiet">{escape(ago)}</time></p>{reasons}</li>'
    )


def _form(said: Words, name: str, body: str, action: str, button: str) -> str:
    return (
        f'<form method="post" action="/{said.code}/change">{body}'
        f'<label for="{name}-code">{escape(said("code.label"))}</label>'
        f'<input id="{name}-code" name="code" required maxlength="64" autocomplete="off" autocapitalize="characters"'
        f' spellcheck="false" dir="ltr" aria-describedby="{name}-where">'
        f'<button name="action" value="{action}">{escape(button)}</button>'
        f'<p id="{name}-where" class="quiet">{escape(said("code.where"))}</p></form>'
    )


def _pause(view: View, said: Words) -> str:
    action = "resume" if "home" in view.paused else "pause"
    about = f"<p>{escape(said('pause.about'))}</p>"
    return _section("pause", said("pause.title"), about + _form(said, "pause", "", action, said(f"pause.{action}")))


def _choices(categories: Iterable[Category], said: Words) -> str:
    boxes = "".join(_box(number, category, said) for number, category in enumerate(categories))
    if not boxes:
        return _section("choices", said("choices.title"), f"<p>{escape(said('choices.none'))}</p>")
    form = _form(said, "choices", f'<ul class="boxes">{boxes}</ul>', "choose", said("choices.save"))
    return _section("choices", said("choices.title"), f"<p>{escape(said('choices.about'))}</p>{form}")


def _box(number: int, category: Category, said: Words) -> str:
    name = escape(category.name)
    title = said.maybe(f"category.{category.name}", category.name)
    count = said("choices.targets", n=category.targets)
    return (
        f'<li><input type="hidden" name="listed" value="{name}"><input type="checkbox" id="c{number}" name="on"'
        f' value="{name}"{" checked" if category.on else ""}> <label for="c{number}"><bdi>{escape(title)}</bdi></label>'
        f' <span class="quiet">{escape(count)}</span></li>'
    )


def _privacy(said: Words) -> str:
    def listed(section: str, count: int) -> str:
        return "<ul>" + "".join(f"<li>{escape(said(f'{section}.{n}'))}</li>" for n in range(1, count + 1)) + "</ul>"

    leaves = listed("leaves", 5) + f'<p class="quiet">{escape(said("leaves.broker"))}</p>'
    return _section("leaves", said("leaves.title"), leaves) + _section("never", said("never.title"), listed("never", 4))


def _rows(rows: Iterable[tuple[str, str]]) -> str:
    return "<dl>" + "".join(f"<div><dt>{escape(name)}</dt><dd>{value}</dd></div>" for name, value in rows) + "</dl>"


def _health(view: View, said: Words) -> str:
    trouble = f' <bdi lang="en" dir="ltr" class="quiet">{escape(view.trouble)}</bdi>' if view.trouble else ""
    rows = [
        (said("health.line"), escape(said(f"health.line_{view.link}"))),
        (said("health.clock"), escape(said(f"health.clock_{view.clock}"))),
        (said("health.feed"), escape(said(f"health.feed_{view.feed}")) + trouble),
        (said("health.planned"), str(view.planned)),
        (said("health.waiting"), str(view.waiting)),
    ]
    if view.dropped:
        rows.append((said("health.dropped"), str(view.dropped)))
    if view.counts.get("failed"):
        rows.append((said("health.failed"), str(view.counts["failed"])))
    if view.stalled:
        rows.append((said("health.stalled"), f'<bdi dir="ltr">{escape(", ".join(view.stalled))}</bdi>'))
    return _section("health", said("health.title"), _rows(rows))


def _about(view: View | None, said: Words) -> str:
    body = f"<p>{escape(said('about.what'))}</p>"
    if view is not None:
        line = " · ".join(part for part in (view.line.operator, view.line.country) if part) or said("about.unknown")
        body += f"<p>{escape(said('about.limit', n=round(view.bytes_per_day / 1e6, 1)))}</p>" + _rows([
            (said("about.id"), f'<bdi dir="ltr">{escape(view.probe)}</bdi>'),
            (said("about.software"), f'<bdi dir="ltr">{escape(view.software)}</bdi>'),
            (said("about.operator"), f"<bdi>{escape(line)}</bdi>"),
            (said("about.since"), _moment(view.since, "{at}")),
        ])  # fmt: skip
    return _section("about", said("about.title"), body)


def _card(card: str, said: Words) -> str:
    return _section("card", said("card.title"), f'<pre dir="auto">{escape(card)}</pre>')
