"""Links: a node's typed references to others, by link name the uids of the targets, in order and each once."""

from collections.abc import Mapping

from datamodel.errors import Invalid
from datamodel.kinds import Document, Kind

Links = dict[str, tuple[str, ...]]

TARGETS_LIMIT = 1_000
"""The most targets that one link has."""


def links_of(part: Document) -> Links:
    """The links in an event's part. The log's first events have one target as a string, and stay as they were written."""
    links = part.get("links")
    if not links:
        return {}
    return {name: (found,) if isinstance(found, str) else tuple(found) for name, found in links.items()}


def part_of(links: Links) -> Document:
    """Links as an event's part has them."""
    return {name: list(targets) for name, targets in links.items()}


def check_cardinality(kind: type[Kind], links: Mapping[str, tuple[str, ...]]) -> None:
    """Raises `Invalid` where a node of a kind would have too few or too many targets, naming the link."""
    for name, link in kind.links.items():
        count = len(links.get(name, ()))
        if count == 0 and link.required:
            raise Invalid(f"{kind.__name__} needs a target of its link {name!r}", field=f"/links/{name}")
        if count > 1 and not link.many:
            raise Invalid(f"the link {name!r} of {kind.__name__} has one target at most", field=f"/links/{name}")
        if count > TARGETS_LIMIT:
            raise Invalid(f"the link {name!r} has {count} targets; at most {TARGETS_LIMIT}", field=f"/links/{name}")
