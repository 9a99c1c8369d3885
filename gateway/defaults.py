"""Documents with the defaults of their kind's declaration, so that a node is shown complete from its first moment."""

from collections.abc import Callable
from functools import cache
from types import GenericAlias
from typing import Any, get_args, get_origin

import msgspec
from msgspec import UNSET, Raw, UnsetType
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from datamodel.kinds import Document, Part

_Complete = Callable[[Any], Any]
"""Of a field's value."""
_decode: Callable[[Raw], Document] = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode


def completed(part: type[Part], document: Document) -> Document:
    """The document with the defaults of its absent values. Absent objects stay absent: what nobody has counted yet is not
    shown as zeros."""
    return (_known.get(part) or _completion(part))(document)


def completed_to_encode(part: type[Part], document: Document | Raw) -> Document | msgspec.Struct:
    """The same for who does nothing with it but encode it. Of a text, no value is decoded but the parts in which one can be
    absent, which is a third of the cost."""
    if not isinstance(document, Raw):
        return completed(part, document)
    read = _reader(part)
    if read is not None:
        try:
            return read(document)
        except msgspec.ValidationError:  # a newer program has written more into it than is declared here
            pass
    return completed(part, _decode(document))


_known: dict[type[Part], Callable[[Document], Document]] = {}
"""What completes the documents of a part: it is here before it is whole, since a part may have others of itself in it."""


def _completion(part: type[Part]) -> Callable[[Document], Document]:
    """It puts in the plain defaults, and then completes the members that are parts or have some."""
    known = _known.get(part)
    if known is not None:
        return known
    values: Document = {}
    parts: list[tuple[str, _Complete]] = []

    def complete(document: Document) -> Document:
        result = {**values, **document}
        for name, of in parts:
            found = document.get(name)
            if found is not None:
                result[name] = of(found)
        return result

    _known[part] = complete
    for name, field in part.model_fields.items():
        alias = field.alias or name
        inner = _part_in(field.annotation)
        if inner is not None:
            parts.append((alias, _completion_in(*inner)))
        default = _default(field)
        if default is not None:
            values[alias] = default
    return complete


def _completion_in(part: type[Part], *within: type) -> _Complete:
    """Of a value that is one of the part, or a list of such values, or a mapping to them."""
    if not within:
        return _completion(part)
    inner = _completion_in(part, *within[1:])
    if within[0] is dict:
        return lambda found: {name: inner(value) for name, value in found.items()}
    return lambda found: [inner(value) for value in found]


@cache
def _reader(part: type[Part]) -> Callable[[Raw], msgspec.Struct] | None:
    """What reads the text of a part as a struct that is encoded with its defaults; None where it may have others of itself in
    it, so deep as nobody knows."""
    struct = _struct(part, ())
    return msgspec.json.Decoder(struct).decode if struct is not None else None


def _struct(part: type[Part], above: tuple[type[Part], ...]) -> Any:
    """A struct whose members are texts and other structs; None where one of these is what is `above`."""
    if part in above:
        return None
    fields: list[tuple[str, Any, Any]] = []
    names: dict[str, str] = {}
    for number, (name, field) in enumerate(part.model_fields.items()):
        member: Any = Raw
        inner = _part_in(field.annotation)
        if inner is not None:
            struct = _struct(inner[0], (*above, part))
            if struct is None:
                return None
            member = _type_in(struct, *inner[1:]) | None
        default = _default(field)
        fields.append((f"_{number}", member | UnsetType, UNSET if default is None else Raw(_encode(default))))
        names[f"_{number}"] = field.alias or name
    return msgspec.defstruct(part.__name__, fields, rename=names, forbid_unknown_fields=True, gc=False)


def _type_in(struct: Any, *within: type) -> Any:
    if not within:
        return struct
    inner = _type_in(struct, *within[1:])
    return GenericAlias(dict, (str, inner)) if within[0] is dict else GenericAlias(list, (inner,))


def _part_in(annotation: Any) -> tuple[Any, ...] | None:
    """The part that values of this type are or consist of, followed from the outside in by the `dict` and `list` in which
    they have it; None for any other type."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return (annotation,)
    inner = next((found for argument in get_args(annotation) if (found := _part_in(argument)) is not None), None)
    if inner is None:
        return None
    match get_origin(annotation):
        case origin if origin is dict:
            return (inner[0], dict, *inner[1:])
        case origin if origin in (list, tuple):
            return (inner[0], list, *inner[1:])
    return inner


def _default(field: FieldInfo) -> Any:
    default = field.default
    if default is PydanticUndefined or isinstance(default, Part):
        return None
    return list(default) if isinstance(default, tuple) else default
