"""Facets: what nodes are found by, which are their labels and the fields that their kind declares selectable.

A facet's value is text that sorts in bytes as what it stands for does: texts as they are (their first 256 characters), flags,
numbers as the bits of a double, and times in UTC to the microsecond. A field without a value, or with an empty text, stands
as `MISSING`, after all others.
"""

import contextlib
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from datamodel.declarations import meant, wrong
from datamodel.errors import Invalid
from datamodel.kinds import Document, Kind, Part

LABEL = "label:"
"""What the name of a label's facet begins with; fields are named by their path."""
TEXT_LIMIT = 256
MISSING = "\U0010ffff"
"""A field without a value: after every other text."""

Type = Literal["text", "number", "flag", "time"]

_SIGN, _BITS = 1 << 63, (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class SelectableField:
    """A scalar field of a kind's spec or status; `default` is what is meant where nothing is stored, None for nothing."""

    name: str
    part: Literal["spec", "status"]
    keys: tuple[str, ...]
    type: Type
    default: Any = None

    def value(self, spec: Document, status: Document) -> str:
        """The facet's value of a node with these parts."""
        found: Any = spec if self.part == "spec" else status
        for key in self.keys:
            found = found.get(key) if isinstance(found, dict) else None
        return self._written(self.default if found is None else found)

    def read(self, text: str) -> str:
        """The value that a person's text stands for; an empty one for a field without a value. Raises `Invalid`."""
        if not text or self.type == "text":
            return text[:TEXT_LIMIT] or MISSING
        if self.type == "flag":
            if text not in ("true", "false"):
                raise Invalid(f"{self.name} is true or false, not {text[:80]!r}", field="/fieldSelector")
            return text
        try:
            return _ordered(text) if self.type == "number" else _universal(text)
        except (ValueError, OverflowError) as error:
            raise Invalid(f"{self.name} is a {self.type}, not {text[:80]!r}", field="/fieldSelector") from error

    def _written(self, found: Any) -> str:
        if found is None:
            return MISSING
        match self.type:
            case "number":
                return _ordered(found)
            case "flag":
                return "true" if found else "false"
            case "time":
                with contextlib.suppress(ValueError, OverflowError):  # what was stored otherwise sorts as its text
                    return _universal(str(found))
        return str(found)[:TEXT_LIMIT] or MISSING


def facets_of(kind: type[Kind], labels: Mapping[str, str], spec: Document, status: Document) -> dict[str, str]:
    """The facets of a node with these parts, by name. Every declared field has one."""
    found = {LABEL + key: value for key, value in labels.items()} if labels else {}
    if kind.selectable:
        for name, field in selectable_fields(kind).items():
            found[name] = field.value(spec, status)
    return found


def selectable_fields(kind: type[Kind]) -> dict[str, SelectableField]:
    """The declared fields of a kind by name. Raises `Invalid` where one does not exist or is no scalar."""
    known: Any = kind
    return _fields(known)


@cache
def _fields(kind: Any) -> dict[str, SelectableField]:
    return {name: _field(kind, name) for name in kind.selectable}


def _field(kind: type[Kind], name: str) -> SelectableField:
    part, *keys = name.split(".")
    if part not in ("spec", "status") or not keys:
        raise wrong(kind, "selectable", f"{name!r} begins with neither 'spec.' nor 'status.'")
    shape: Any = kind.Spec if part == "spec" else kind.Status
    info: FieldInfo | None = None
    for key in keys:
        fields = shape.model_fields.values() if isinstance(shape, type) and issubclass(shape, Part) else ()
        info = next((field for field in fields if field.alias == key), None)
        if info is None:
            known = [field.alias or "" for field in fields]
            raise wrong(kind, "selectable", f"{name!r} has no {key!r}{meant(key, known)}")
        shape = _plain(info.annotation)
    type_ = _scalar(shape)
    if type_ is None:
        raise wrong(kind, "selectable", f"{name!r} is no text, number, flag or time")
    assert info is not None
    default = None if info.is_required() or info.default_factory is not None else info.default
    default = default.value if isinstance(default, Enum) else default
    return SelectableField(name, "spec" if part == "spec" else "status", tuple(keys), type_, default)


def _plain(annotation: Any) -> Any:
    """A type without its constraints and without None."""
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        some = [member for member in get_args(annotation) if member is not NoneType]
        return _plain(some[0]) if len(some) == 1 else annotation
    return annotation


def _scalar(shape: Any) -> Type | None:
    if get_origin(shape) is Literal:
        return "text" if all(isinstance(value, str) for value in get_args(shape)) else None
    if not isinstance(shape, type):
        return None
    if issubclass(shape, bool):
        return "flag"
    if issubclass(shape, int | float) and not issubclass(shape, Enum):
        return "number"
    if issubclass(shape, datetime):
        return "time"
    return "text" if issubclass(shape, str) else None


def _ordered(number: Any) -> str:
    """A double's bits in hexadecimal, the negative ones turned around, so that texts sort as the numbers do."""
    try:
        double = float(number)
    except OverflowError:
        double = math.inf if number > 0 else -math.inf
    (bits,) = struct.unpack(">Q", struct.pack(">d", double + 0.0))  # which makes one zero of the two
    return f"{bits ^ _BITS if bits & _SIGN else bits | _SIGN:016x}"


def _universal(text: str) -> str:
    """A time in UTC, to the microsecond; without an offset it is taken as UTC."""
    time = datetime.fromisoformat(text)
    time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    return time.isoformat(timespec="microseconds")
