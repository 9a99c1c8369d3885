"""What is wrong with a declaration, said with the place of the class and the field; and the checks of single kinds."""

import inspect
import os
from collections.abc import Collection, Iterator
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from types import FrameType
from typing import Any, Literal, get_args, get_origin

from pydantic import ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from datamodel.errors import Invalid, TendrilError
from datamodel.kinds import Column, Kind, Link, Part, Plane
from datamodel.names import check_name
from datamodel.parts import normal_spec

METADATA = frozenset({"name", "path", "uid", "kind", "generation", "version", "createdAt", "deletionRequestedAt"})
"""What is true of every node, as its document names it."""

_DECLARED = ("plane", "segment")


def wrong(kind: type[Kind], field: str, says: str) -> Invalid:
    """The refusal of a kind's declaration: `garden/model.py:12: Rose.segment: …`."""
    return Invalid(f"{_place(kind)}: {kind.__qualname__}.{field}: {says}", field=field)


def wrong_at(frame: FrameType, field: str, says: str) -> Invalid:
    """The refusal of what is no class, with the place where it is said: `garden/model.py:40: seed /garden/bed: …`."""
    return Invalid(f"{_where(Path(frame.f_code.co_filename), frame.f_lineno)}: {says}", field=field)


def meant(name: str, known: Collection[str]) -> str:
    """What is said after a name that is not known: the one that is like it, or those that there are."""
    if close := get_close_matches(name, known, n=1, cutoff=0.7):
        return f"; did you mean {close[0]!r}?"
    return f"; there is {', '.join(known)}" if known else ""


def check_kind(kind: type[Kind]) -> None:
    """Raises `Invalid` where a kind lacks what every kind has, or its phases or its fields make no sense by themselves."""
    for name in _DECLARED:
        if not hasattr(kind, name):
            raise wrong(kind, name, "every kind has one")
    if not isinstance(kind.plane, Plane):
        raise wrong(kind, "plane", f"it is a {type(kind.plane).__name__}, and no Plane")
    for name in ("Spec", "Status"):
        part = getattr(kind, name)
        if not (isinstance(part, type) and issubclass(part, Part)):
            raise wrong(kind, name, "it is no class that derives from Part")
    try:
        check_name(kind.segment)
    except TendrilError as error:
        raise wrong(kind, "segment", error.message) from error
    if kind.version < 1:
        raise wrong(kind, "version", "versions are counted from 1")
    if sorted(kind.upcasts) != list(range(1, kind.version)):
        raise wrong(kind, "upcasts", f"there is one for each version before {kind.version}, and no other")
    _check_line(kind)
    _check_phases(kind)
    _check_once(kind)
    _check_defaults(kind)
    for name, link in kind.links.items():
        _check_choices(kind, "links", name, link)
    check_presentation(kind)


def _check_line(kind: type[Kind]) -> None:
    """The way up ends at a root, and every kind on it is declared in the same plane."""
    above: list[type[Kind]] = [kind]
    parent: Any = kind.parent
    while parent is not None:
        if not (isinstance(parent, type) and issubclass(parent, Kind)):
            raise wrong(kind, "parent", "it is no kind; a kind has one parent, and a root has none")
        if parent in above:
            way = " → ".join(step.__name__ for step in [*above, parent])
            raise wrong(kind, "parent", f"it is below itself: {way}")
        above.append(parent)
        parent = parent.parent


def _check_phases(kind: type[Kind]) -> None:
    phases = kind.phases
    if phases is None:
        return
    declared = kind.Status.model_fields.get("phase")
    if declared is None:
        raise wrong(kind, "phases", "they are those of `phase` in its Status, which has none")
    known = get_args(declared.annotation)
    named = {phases.initial, *phases.allowed, *(after for follow in phases.allowed.values() for after in follow)}
    strange = sorted(named - set(known)) if known else []
    if strange:
        raise wrong(kind, "phases", f"{strange[0]!r} is no phase of its Status, which has {', '.join(known)}")
    members = {field.alias or name for name, field in kind.Status.model_fields.items()} - {"phase"}
    if lost := sorted(phases.afterwards - members):
        raise wrong(
            kind, "phases", f"{lost[0]!r}, which may change afterwards, is no member of its Status but the phase"
        )
    if declared.default != phases.initial:
        raise wrong(kind, "phases", f"they begin with {phases.initial!r}, and its Status with {declared.default!r}")


def _check_once(kind: type[Kind]) -> None:
    members = {field.alias or name for name, field in kind.Status.model_fields.items()}
    if lost := sorted(kind.once - members):
        raise wrong(kind, "once", f"{lost[0]!r} is no member of its Status")


def _check_defaults(kind: type[Kind]) -> None:
    """What a field is where nobody says anything must be what somebody may say: nodes are written with it."""
    for name in ("Spec", "Status"):
        for part in _parts(getattr(kind, name), set()):
            if all(map(_is_plain, part.model_fields.values())):
                continue  # to make a class takes a millisecond
            checked: type[Part] = type(part.__name__, (part,), {"model_config": ConfigDict(validate_default=True)})
            try:
                checked.model_validate({})
            except ValidationError as error:
                for found in error.errors(include_url=False):
                    if found["type"] != "missing" and found["loc"]:
                        raise wrong(kind, name, f"the default of {found['loc'][0]!r}: {found['msg']}") from error


def _is_plain(field: FieldInfo) -> bool:
    """Whether its default is one of its values, to be seen without a validator."""
    if field.is_required() or field.default_factory is not None:
        return True
    if get_origin(field.annotation) is Literal:
        return field.default in get_args(field.annotation)
    is_one = type(field.default) is field.annotation or type(field.default) in get_args(field.annotation)
    return is_one and (field.default is None or not field.metadata)


def _check_choices(kind: type[Kind], where: str, name: str, said: Link | Column) -> None:
    for field in fields(said):
        choices, value = get_args(field.type), getattr(said, field.name)
        if get_origin(field.type) is Literal and value not in choices:
            known = ", ".join(choices)
            raise wrong(kind, where, f"{field.name!r} of {name!r} is one of {known}, and not {value!r}")


def check_presentation(kind: type[Kind]) -> None:
    """Raises `Invalid` where an example is no spec of the kind, or a column leads nowhere."""
    for number, example in enumerate(kind.examples):
        try:
            normal_spec(kind, example)
        except Invalid as error:
            raise wrong(kind, "examples", f"number {number}: {error.message}") from error
    names = [column.name for column in kind.columns]
    for column in kind.columns:
        if names.count(column.name) > 1:
            raise wrong(kind, "columns", f"two are named {column.name!r}")
        _check_choices(kind, "columns", column.name, column)
        if not _leads(kind, column.path):
            known = [path for path in _paths(kind) if path.count(".") == 1]
            says = f"{column.name!r}: nothing is declared at {column.path!r}{meant(column.path, known)}"
            raise wrong(kind, "columns", says)


def _leads(kind: type[Kind], path: str) -> bool:
    """Whether a dotted path leads to a member that is declared, or into an object whose members are not."""
    first, *names = path.split(".")
    if first == "metadata":
        return len(names) == 1 and names[0] in METADATA
    if first not in ("spec", "status") or not names:
        return False
    annotation: Any = kind.Spec if first == "spec" else kind.Status
    for name in names:
        part = next(_parts(annotation, set()), None)
        if part is None:
            return _is_object(annotation)
        found = [declared for own, declared in part.model_fields.items() if name == (declared.alias or own)]
        if not found:
            return False
        annotation = found[0].annotation
    return True


def _paths(kind: type[Kind]) -> list[str]:
    """The members of a kind's spec and status, as columns name them."""
    parts = (("spec", kind.Spec), ("status", kind.Status))
    return [f"{where}.{field.alias or name}" for where, part in parts for name, field in part.model_fields.items()]


def _is_object(annotation: Any) -> bool:
    return get_origin(annotation) is dict or any(_is_object(argument) for argument in get_args(annotation))


def check_part_names(kinds: Collection[type[Kind]]) -> None:
    """Raises `Invalid` where two parts, or a part and a kind, have the same name: schemas and types are named by it."""
    known: dict[str, type[Any]] = {kind.__name__: kind for kind in kinds}
    for kind in kinds:
        for name in ("Spec", "Status"):
            for part in _parts(getattr(kind, name), set()):
                other = known.setdefault(part.__name__, part)
                if other is not part:
                    raise wrong(kind, name, f"the name {part.__name__} is taken by {_place(other)}")


def _parts(annotation: Any, seen: set[type[Part]]) -> Iterator[type[Part]]:
    """The part that an annotation is, and those within it."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        if annotation not in seen:
            seen.add(annotation)
            yield annotation
            for declared in annotation.model_fields.values():
                yield from _parts(declared.annotation, seen)
    else:
        for argument in get_args(annotation):
            yield from _parts(argument, seen)


def _place(declared: type[Any]) -> str:
    """The file and line of a class; its module where it has no file."""
    try:
        file, (_, line) = inspect.getsourcefile(declared), inspect.getsourcelines(declared)
    except (OSError, TypeError):
        return declared.__module__
    return _where(Path(file or declared.__module__), line)


def _where(file: Path, line: int) -> str:
    return f"{os.path.relpath(file) if file.is_relative_to(Path.cwd()) else file}:{line}"
