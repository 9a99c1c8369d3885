"""Documents with the defaults of their kind's declaration, so that a node is shown complete from its first moment."""

from collections.abc import Mapping
from functools import cache
from typing import Any, get_args

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from datamodel.kinds import Document, Part


def completed(part: type[Part], document: Document) -> Document:
    """The document with the defaults of its absent values. Absent objects stay absent: what nobody has counted yet is not
    shown as zeros."""
    values, parts = _declared(part)
    result = {**values, **document}
    for name, inner in parts.items():
        found = document.get(name)
        if isinstance(found, dict):
            result[name] = completed(inner, found)
        elif found:
            result[name] = [completed(inner, item) for item in found]
    return result


@cache
def _declared(part: type[Part]) -> tuple[Document, Mapping[str, type[Part]]]:
    """The plain defaults by camelCase name, and the parts with any that are fields or lists."""
    values: Document = {}
    parts: dict[str, type[Part]] = {}
    for name, field in part.model_fields.items():
        alias = field.alias or name
        inner = part_of(field.annotation)
        if inner is not None and (inner is part or any(_declared(inner))):
            parts[alias] = inner
        default = _default(field)
        if default is not None:
            values[alias] = default
    return values, parts


def part_of(annotation: Any) -> type[Part] | None:
    """The part that an annotation is, or is a list or an option of."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return annotation
    return next((found for argument in get_args(annotation) if (found := part_of(argument)) is not None), None)


def _default(field: FieldInfo) -> Any:
    default = field.default
    if default is PydanticUndefined or isinstance(default, Part):
        return None
    return list(default) if isinstance(default, tuple) else default
