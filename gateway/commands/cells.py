"""Cells of tables: members of a node's document as people read them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from gateway.commands.kinds import Column

NOTHING = "-"
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def cell(node: Mapping[str, Any], column: Column, now: datetime | None) -> str:
    """A column of a node."""
    return shown(member(node, column.path), column.format, now)


def member(document: Any, path: str) -> Any:
    """What is at a dotted path, None where nothing is."""
    for word in path.split("."):
        if not isinstance(document, Mapping):
            return None
        document = document.get(word)
    return document


def shown(value: Any, how: str, now: datetime | None) -> str:
    """A value in a format of columns; what has another type than the format is for is shown as it is, and so are times where
    it is not known to when ages are counted."""
    if value is None or value in ("", [], {}):
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if how == "age" and isinstance(value, str) and now is not None:
        return age(value, now)
    if isinstance(value, int | float):
        match how:
            case "percent":
                return f"{value:.0f}%"
            case "bytes":
                return size(value)
        return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
    if isinstance(value, list):
        return ",".join(shown(one, how, now) for one in value)
    return clean(str(value))


def size(value: float) -> str:
    """Bytes with the unit in which they are a short number."""
    unit = 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.1f}".removesuffix(".0") + f" {_UNITS[unit]}"


def age(time: str, now: datetime) -> str:
    """How long ago a time was, in its two largest units while that matters: `42s`, `3m10s`, `5h2m`, `12d`."""
    try:
        then = datetime.fromisoformat(time)
    except ValueError:
        return clean(time)
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    seconds = max(0, int((now - then).total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if minutes < 2:
        return f"{seconds}s"
    if hours < 1:
        return f"{minutes}m{seconds % 60}s" if minutes < 10 else f"{minutes}m"
    if days < 1:
        return f"{hours}h{minutes % 60}m" if hours < 10 else f"{hours}h"
    return f"{days}d{hours % 24}h" if days < 10 else f"{days}d"


def clean(text: str) -> str:
    """Text in one line in which nothing moves a terminal's cursor or changes its colours."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
