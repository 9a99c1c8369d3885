"""What a person typed, as paths: `job primes`, `job/default/primes`, `/config/job-groups/default/jobs/primes`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from gateway.commands.failure import Failure
from gateway.commands.kinds import KindInfo, Kinds

Within = Annotated[
    str, Parameter(name=["--in", "-g"], help="What it is in, by name: a group, a site, or SITE/EDGE of an attempt.")
]
Words = Annotated[str, Parameter(help="KIND NAME, KIND/NAME or a path; a NAME is as GROUP/JOB.")]
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Target:
    """One node that is meant."""

    kind: KindInfo
    path: str

    @property
    def title(self) -> str:
        return self.kind.titled(self.path)

    @property
    def step(self) -> str:
        """What to do where it is not there."""
        return f"`tendril get {self.kind.plural}` lists what is there"


@dataclass(frozen=True, slots=True)
class Listed:
    """All nodes of a kind that are meant; `under` is the path of what they are below, empty for anywhere."""

    kind: KindInfo
    under: str

    @property
    def address(self) -> str:
        return f"/v1/kinds/{self.kind.name}/nodes"


def meant(kinds: Kinds, words: Sequence[str], within: str = "") -> Listed | list[Target]:
    """What words mean: a kind or a collection's path alone is a list; what follows a kind are names. Raises `Failure`."""
    first, *names = words
    if first.startswith("/"):
        path = first.rstrip("/")
        found = kinds.collected(path)
        if found is not None and not names:
            return Listed(found, path.rpartition("/")[0])
        return [at_path(kinds, word) for word in words]
    if "/" in first:
        return [_in_one_word(kinds, word, within) for word in words]
    kind = kinds.named(first)
    if names or not kind.names:
        return [_named(kind, name, within) for name in names or ("",)]
    return Listed(kind, kind.path(_above(kind, within)) if within else "")


def targets(kinds: Kinds, words: Sequence[str], within: str = "") -> list[Target]:
    """The nodes that words mean, at least one. Raises `Failure`."""
    found = meant(kinds, words, within)
    if isinstance(found, Listed):
        wanted = found.kind.singular
        raise Failure(f"which {wanted} is not said", f"name one, as in `{wanted} {_form(found.kind)}`")
    return found


def one_of(kinds: Kinds, kind: KindInfo, word: str, within: str = "") -> Target:
    """The node of a kind that a word means: a name by itself is such a one's too. Raises `Failure`."""
    if not word.startswith("/") and not (kind.is_called(word.partition("/")[0]) and "/" in word):
        return _named(kind, word, within)
    found = target(kinds, [word], within)
    if found.kind is not kind:
        raise Failure(f"{found.title} is not {_article(kind)}", f"name one, as in {_form(kind)}")
    return found


def target(kinds: Kinds, words: Sequence[str], within: str = "") -> Target:
    """The one node that words mean. Raises `Failure`."""
    found = targets(kinds, words, within)
    if len(found) > 1:
        raise Failure("this takes one at a time", f"leave out {found[1].title}")
    return found[0]


def path_of(kind: KindInfo, name: str, within: str = "") -> str:
    """Where the node of a name is: as much of it as is missing is `within`, and before that what is meant by default. Raises
    `Failure`."""
    given = _checked(name) if name else []
    parts = [*(_checked(within) if within and len(given) < len(kind.names) else []), *given]
    missing = len(kind.names) - len(parts)
    if missing < 0:
        step = f"write it as {_form(kind)}" if kind.names else "leave it out, since there is one alone"
        raise Failure(f"{'/'.join(parts)!r} has too many names for {_article(kind)}", step)
    if missing and not all(kind.defaults[:missing]):
        raise Failure(
            f"{name!r} does not say which {kind.singular}", f"write it as {_form(kind)}, or say --in what it is"
        )
    return kind.path([*kind.defaults[:missing], *parts])


def at_path(kinds: Kinds, path: str) -> Target:
    """The node at a path. Raises `Failure`."""
    path = path.rstrip("/")
    found = kinds.at(path)
    _checked("/".join(found.read(path) or ()) or "x")
    return Target(found, path)


def _in_one_word(kinds: Kinds, word: str, within: str) -> Target:
    first, slash, name = word.partition("/")
    if not slash or not first:
        raise Failure(f"{word!r} is no KIND/NAME", "write all of them alike")
    kind = kinds.named(first)
    return _named(kind, name, within)


def _named(kind: KindInfo, name: str, within: str) -> Target:
    if within:
        _above(kind, within)
    return Target(kind, path_of(kind, name, within))


def _above(kind: KindInfo, within: str) -> list[str]:
    """The names of what a node of a kind is in. Raises `Failure` where it is in nothing that has so many."""
    parts, above = _checked(within), kind.names[:-1]
    if len(parts) > len(above):
        step = f"write it as {'/'.join(above).upper()}" if above else "leave it out"
        raise Failure(f"--in: {within!r} has too many names for what {_article(kind)} is in", step)
    return parts


def _checked(name: str) -> list[str]:
    parts = name.split("/")
    for part in parts:
        if _NAME.fullmatch(part) is None:
            raise Failure(f"{part!r} is no name", "a name is lower-case letters, digits and hyphens, 63 at most")
    return parts


def _form(kind: KindInfo) -> str:
    return "/".join(name.upper() for name in kind.names)


def _article(kind: KindInfo) -> str:
    return f"{'an' if kind.singular[0] in 'aeiou' else 'a'} {kind.singular}"
