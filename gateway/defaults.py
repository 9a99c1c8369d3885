"""Documents with the defaults of their kind's declaration, so that a node is shown complete from its first moment."""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from datamodel.kinds import Document, Part

_Complete = Callable[[Any], Any]
"""Of a field's value."""


def completed(part: type[Part], document: Document) -> Document:
    """The document with the defaults of its absent values. Absent objects stay absent: what nobody has counted yet is not
    shown as zeros."""
    values, parts = _declared(part)
    result = {**values, **document}
    for name, complete in parts.items():
        found = document.get(name)
        if found is not None:
            result[name] = complete(found)
    return result


@cache
def _declared(part: type[Part]) -> tuple[Document, Mapping[str, _Complete]]:
    """The plain defaults by camelCase name, and what completes the fields that are parts or have some."""
    values: Document = {}
    parts: dict[str, _Complete] = {}
    for name, field in part.model_fields.items():
        alias = field.alias or name
        complete = _completes(field.annotation)
        if complete is not None:
            parts[alias] = complete
        default = _default(field)
        if default is not None:
            values[alias] = default
    return values, parts


def _completes(annotation: Any) -> _Complete | None:
    """What completes a value of this type: a part, an option or a list of one, or a mapping to some; None for any other."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return partial(completed, annotation)
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
