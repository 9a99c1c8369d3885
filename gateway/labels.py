"""Labels as they come from outside, and the JSON pointers that name their members."""

from typing import Any

from datamodel.errors import Invalid


def checked_labels(labels: Any, field: str) -> dict[str, str]:
    """Labels as an object of strings. Raises `Invalid` naming the one that is none; their syntax is the rule book's."""
    if not isinstance(labels, dict):
        raise Invalid("labels are an object of strings", field=field)
    for name, value in labels.items():
        if not isinstance(value, str):
            raise Invalid("a label's value is a string", field=f"{field}/{escaped(name)}")
    return labels


def escaped(name: str) -> str:
    """A member's name as a token of a JSON pointer (RFC 6901), cut where it is absurdly long."""
    return name[:200].replace("~", "~0").replace("/", "~1")
