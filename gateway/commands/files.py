"""Documents from files: YAML or JSON, one or several in a file, `-` for what comes on stdin."""

import json
import math
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from cyclopts import Parameter

from gateway.commands.failure import Failure
from gateway.commands.kinds import KindInfo, Kinds
from gateway.commands.names import Target, at_path, path_of

Document = dict[str, Any]
Files = Annotated[
    list[str],
    Parameter(
        name=["--filename", "-f"],
        help="A file of documents in YAML or JSON; - is stdin. It can be said again.",
        allow_leading_hyphen=True,
        negative="",
    ),
]
FILE_LIMIT_BYTES = 64 * 1024 * 1024
_TOLD = {"uid", "kind", "path", "generation", "version", "createdAt", "deletionRequestedAt", "links", "finalizers"}
"""Metadata that the API tells and does not take, so that what it has shown can be applied."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A node as a document wants it. `body` is what is sent."""

    target: Target
    body: Document


def documents_in(file: str) -> Iterator[tuple[str, Document]]:
    """Each document of a file with where it is, lists of documents as their items. Raises `Failure`."""
    text = _text(file)
    name = "stdin" if file == "-" else file
    try:
        found = _parsed(text)
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
        raise Failure(f"{name} is no YAML or JSON: {_reason(error)}", "correct it and try again") from error
    for number, document in enumerate(found, 1):
        where = name if len(found) == 1 else f"{name}, document {number}"
        if isinstance(document, list):
            raise Failure(f"{where} is a list", 'put it into an object, as in {"items": […]}')
        if not isinstance(document, dict):
            raise Failure(f"{where} is no object", "write `name: value` lines, or JSON")
        if unsayable := next(_infinite(document, ""), None):
            raise Failure(
                f"{where}: {unsayable}: no number that can be written is so large", "correct it and try again"
            )
        items = document.get("items")
        if isinstance(items, list) and "metadata" not in document and "steps" not in document:
            for place, item in enumerate(items):
                if not isinstance(item, dict):
                    raise Failure(f"{where}, /items/{place} is no object", "write `name: value` lines, or JSON")
                yield f"{where}, /items/{place}", item
        else:
            yield where, document


def _infinite(value: object, pointer: str) -> Iterator[str]:
    """Where in a document a number is none that JSON has: infinite, or no number at all."""
    if isinstance(value, float) and not math.isfinite(value):
        yield pointer
    elif isinstance(value, dict | list):
        for key, member in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _infinite(member, f"{pointer}/{key}")


def all_documents(files: Sequence[str]) -> list[tuple[str, Document]]:
    """The documents of several files, at least one. Raises `Failure`."""
    found = [placed for file in files for placed in documents_in(file)]
    if not found:
        raise Failure("there is no document", "name a file with -f")
    return found


def wanted_of(kinds: Kinds, document: Document, within: str) -> Wanted:
    """The node that a document wants: it says its `kind` and `metadata.name`, or its `metadata.path`, or all of them alike.
    Raises `Failure`."""
    meta = document.get("metadata")
    if not isinstance(meta, dict):
        raise Failure("/metadata: an object is required", "say metadata.name and kind, or metadata.path")
    word, path, name = document.get("kind", meta.get("kind")), meta.get("path"), meta.get("name")
    with _naming("/kind"):
        kind = kinds.named(word) if isinstance(word, str) else None
    if path is not None:
        target = _target_at(kinds, path, kind, name)
    elif kind is None:
        raise Failure("/kind: a kind is required", "`tendril kinds` lists what there is")
    elif not isinstance(name, str) and kind.names:
        raise Failure("/metadata/name: a name is required", f"write it as {'/'.join(kind.names).upper()}")
    else:
        with _naming("/metadata/name"):
            target = Target(kind, path_of(kind, name if isinstance(name, str) and kind.names else "", within))
    body = {name: value for name, value in document.items() if name not in ("kind", "status", "metadata")}
    sent = {field: value for field, value in meta.items() if field not in _TOLD and field != "name"}
    return Wanted(target, {"metadata": sent, **body})


def _target_at(kinds: Kinds, path: object, kind: KindInfo | None, name: object) -> Target:
    """What a path means, where a kind and a name that stand beside it mean the same."""
    with _naming("/metadata/path"):
        if not isinstance(path, str):
            raise Failure("a path is a text", "write it as `tendril describe` shows it")
        target = at_path(kinds, path)
    if kind not in (None, target.kind):
        raise Failure(
            f"/metadata/path: {path} is {target.title}, and not what /kind says", "leave out the one or the other"
        )
    last = target.path.rpartition("/")[2]
    names = f"/{'/'.join(target.kind.read(target.path) or ())}"
    if name not in (None, last) and not (name and names.endswith(f"/{name}")):
        raise Failure(
            f"/metadata/path: {path} is {target.title}, and not what /metadata/name says",
            "leave out the one or the other",
        )
    return target


@contextmanager
def _naming(pointer: str) -> Iterator[None]:
    try:
        yield
    except Failure as failure:
        raise failure.inside(pointer) from None


def _text(file: str) -> str:
    try:
        if file == "-":
            return sys.stdin.read(FILE_LIMIT_BYTES)
        if Path(file).stat().st_size > FILE_LIMIT_BYTES:
            raise Failure(f"{file} is larger than {FILE_LIMIT_BYTES >> 20} MiB", "split it")
        return Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise Failure(f"{file} cannot be read: {error.strerror}", "name a file, or - for stdin") from error
    except UnicodeDecodeError as error:
        raise Failure(f"{file} is no text", "write it in UTF-8") from error


def _parsed(text: str) -> list[Any]:
    """The documents of a text. Raises what is wrong with it."""
    if text.lstrip().startswith("{"):
        with suppress(ValueError):
            return [json.loads(text, parse_constant=_refused)]
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):  # a short document can be made of itself a million times
            raise yaml.YAMLError(f"aliases are not taken{_at(event)}")
    found = [one for one in yaml.load_all(text, Loader=_Loader) if one is not None]
    json.dumps(found)
    return found


def _reason(error: Exception) -> str:
    """What a parser says, but for what is about Python."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    told = " ".join(str(error).split()).replace('in "<unicode string>", ', "in ")
    return told.partition("; use sys.")[0]


def _refused(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


def _at(part: yaml.Event | yaml.Node) -> str:
    return f" (line {part.start_mark.line + 1})" if part.start_mark is not None else ""


class _Loader(yaml.CSafeLoader):
    """Plain values only, as JSON has them: times stay text, and a key is text and stands once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - its signature
        seen = set()
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:str":
                raise yaml.YAMLError(f"the key {key.value!r} needs quotes{_at(key)}")
            if key.value in seen:
                raise yaml.YAMLError(f"{key.value!r} stands twice{_at(key)}")
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def _resolvers(found: list[tuple[str, re.Pattern[str]]]) -> list[tuple[str, re.Pattern[str]]]:
    """Without times, and without numbers to the base of 60: `12:30` is text."""
    return [
        (tag, re.compile(rf"(?!.*:)(?:{pattern.pattern})", pattern.flags))
        for tag, pattern in found
        if tag != "tag:yaml.org,2002:timestamp"
    ]


_Loader.yaml_implicit_resolvers = {
    first: _resolvers(found) for first, found in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
