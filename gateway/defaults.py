"""Documents with the defaults of their kind's declaration, so that a node is shown complete from its first moment."""

from collections.abc import Callable
from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from datamodel.kinds import Document, Part

_Complete = Callable[[Any], Any]
"""Of a field's value."""


def completed(part: type[Part], document: Document) -> Document:
    """The document with the defaults of its absent values. Absent objects stay absent: what nobody has counted yet is not
    shown as zeros."""
    return (_known.get(part) or _completion(part))(document)


_known: dict[type[Part], Callable[[Document], Document]] = {}


def _completion(part: type[Part]) -> Callable[[Document], Document]:
    """What completes documents of a part, which may have others of itself in it."""
    known = _known.get(part)
    if known is not None:
        return known
    values: Document = {}
    parts: list[tuple[str, _Complete]] = []
    """The plain defaults by camelCase name, and what completes the fields that are parts or have some."""

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
        inner = _completes(field.annotation)
        if inner is not None:
            parts.append((alias, inner))
        default = _default(field)
        if default is not None:
            values[alias] = default
    return complete


def _completes(annotation: Any) -> _Complete | None:
    """What completes a value of this type: a part, an option or a list of one, or a mapping to some; None for any other."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return _completion(annotation)
    inner = next((found for argument in get_args(annotation) if (found := _completes(argument)) is not None), None)
    if inner is None:
        return None
    match get_origin(annotation):
        case origin if origin is dict:
            return lambda found: {name: inner(value) for name, value in found.items()}
        case origin if origin in (list, tuple):
            return lambda found: [inner(value) for value in found]
    return inner


def _default(field: FieldInfo) -> Any:
    default = field.default
    if default is PydanticUndefined or isinstance(default, Part):
        return None
    return list(default) if isinstance(default, tuple) else default
