"""The kinds that the API tells of, and which of them a word means."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import zip_longest
from typing import Any

from gateway.commands.client import URL_STEP, Client
from gateway.commands.failure import Exit, Failure


@dataclass(frozen=True, slots=True)
class Column:
    """What a list shows of each node: the member at a dotted path, in a format."""

    name: str
    path: str
    format: str


@dataclass(frozen=True, slots=True)
class KindInfo:
    """A kind. `segments` are those of its nodes' paths, with the singular of a kind in braces where a name stands; `names`
    are those singulars, from the root down, and `defaults` what is meant by none of each, empty where that must be given."""

    name: str
    singular: str
    plural: str
    segments: tuple[str, ...]
    defaults: tuple[str, ...]
    columns: tuple[Column, ...]
    phases: tuple[str, ...]
    finished: tuple[str, ...]
    description: str

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(segment[1:-1] for segment in self.segments if segment.startswith("{"))

    def path(self, names: Sequence[str]) -> str:
        """Where the node of these names is. With fewer names, what is above it and has as many."""
        found, rest = [], list(names)
        for segment, following in zip_longest(self.segments, self.segments[1:], fillvalue=""):
            if not rest and "{" in (segment[:1], following[:1]):
                break
            found.append(rest.pop(0) if segment.startswith("{") else segment)
        return "".join(f"/{part}" for part in found)

    def read(self, path: str) -> tuple[str, ...] | None:
        """The names in a path, None where it is no node's of this kind."""
        nothing, *given = path.split("/")
        if nothing or len(given) != len(self.segments):
            return None
        pairs = list(zip(self.segments, given, strict=True))
        if any(segment != value for segment, value in pairs if not segment.startswith("{")):
            return None
        return tuple(value for segment, value in pairs if segment.startswith("{"))

    def shown(self, path: str) -> str:
        """A node's name as people type it: `default/primes`; of one that there is once, its kind."""
        return "/".join(self.read(path) or ()) or self.singular

    def is_called(self, word: str) -> bool:
        """Whether a word means the kind: its singular, its plural or its name, whatever the case and hyphens."""
        return _plain(word) in (_plain(self.singular), _plain(self.plural), _plain(self.name))

    def titled(self, path: str) -> str:
        """A node's name with its kind, as it can be typed in one word: `job/default/primes`."""
        names = self.read(path) or ()
        return "/".join((self.singular, *names))


@dataclass(frozen=True, slots=True)
class Kinds:
    """All kinds."""

    all: tuple[KindInfo, ...]

    def __iter__(self) -> Iterator[KindInfo]:
        return iter(self.all)

    def named(self, word: str) -> KindInfo:
        """The kind of a word: its singular, its plural or its name, whatever the case and hyphens. Raises `Failure`."""
        known = {_plain(name): kind for kind in self.all for name in (kind.plural, kind.singular, kind.name)}
        found = known.get(_plain(word))
        if found is None:
            close = get_close_matches(_plain(word), known, n=1)
            meant = (
                f"did you mean `{known[close[0]].singular}`? "
                if close
                else "a name comes after its kind, as in job/NAME; "
            )
            raise Failure(f"there is no kind {word!r}", f"{meant}`tendril kinds` lists what there is", Exit.INVALID)
        return found

    def at(self, path: str) -> KindInfo:
        """The kind of the node at a path. Raises `Failure`."""
        for kind in self.all:
            if kind.read(path) is not None:
                return kind
        raise Failure(f"no kind of node can be at {path}", "`tendril kinds` tells where each is", Exit.INVALID)

    def collected(self, path: str) -> KindInfo | None:
        """The kind whose nodes are right below a path that is none's itself: `/config/job-groups/default/jobs`."""
        return next((kind for kind in self.all if kind.names and kind.read(f"{path}/x") is not None), None)


def _plain(word: str) -> str:
    return word.lower().replace("-", "").replace("_", "")


def kinds_of(client: Client) -> Kinds:
    """What the API tells. Raises `Failure`, also where it is something else that answers."""
    found = client.get("/v1/kinds", step=f"{URL_STEP}, without /v1")
    try:
        return Kinds(tuple(kind_of(item) for item in found["items"]))
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise client.foreign() from error


def kind_of(item: dict[str, Any]) -> KindInfo:
    """A kind as the API describes it."""
    segments = tuple(item["path"].split("/")[1:])
    names = [segment[1:-1] for segment in segments if segment.startswith("{")]
    return KindInfo(
        item["kind"],
        item["singular"],
        item["plural"],
        segments,
        tuple(item["defaults"].get(name, "") for name in names),
        tuple(Column(column["name"], column["path"], column["format"]) for column in item["columns"]),
        tuple(item["phases"]),
        tuple(item["finished"]),
        item["description"],
    )
