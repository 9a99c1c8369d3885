"""Object types of specs and statuses, from their declaration."""

from datetime import datetime
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Le, Lt
from pydantic.fields import FieldInfo

from datamodel.kinds import Part
from gateway.graphql.objects import listed, object_type, plain
from gateway.graphql.scalars import INT_MAX, JSON, DateTime, Long

_PLAIN: dict[Any, Any] = {str: str, bool: bool, float: float, datetime: DateTime}


class Parts:
    """The object types of parts, each made once."""

    def __init__(self) -> None:
        self._made: dict[type[Part], Any] = {}

    def type_of(self, part: type[Part]) -> Any:
        """The object type of a part, None where it has no fields."""
        if part not in self._made:
            fields = [self._field(name, field) for name, field in part.model_fields.items()]
            self._made[part] = object_type(part.__name__, fields, part.__doc__) if fields else None
        return self._made[part]

    def _field(self, name: str, field: FieldInfo) -> Any:
        graphql_type, nullable = self._output(field.annotation, field)
        absent = field.default is None or isinstance(field.default, Part)
        return plain(
            field.alias or name, graphql_type | None if nullable or absent else graphql_type, field.description
        )

    def _output(self, annotation: Any, field: FieldInfo) -> tuple[Any, bool]:
        """The GraphQL type of an annotation, and whether it may be null."""
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin in (Union, UnionType):
            (inner,) = (argument for argument in arguments if argument is not NoneType)
            return self._output(inner, field)[0], True
        if origin is Literal:
            return str, False
        if origin is tuple:
            return listed(self._output(_bare(arguments[0]), FieldInfo())[0]), False
        if isinstance(annotation, type) and issubclass(annotation, Part):
            return self.type_of(annotation) or JSON, False
        if annotation is int:
            return (int if _fits(field) else Long), False
        return _PLAIN.get(annotation, JSON), False


def _bare(annotation: Any) -> Any:
    """The type within `Annotated[…]`."""
    return _bare(annotation.__origin__) if hasattr(annotation, "__metadata__") else annotation


def _fits(field: FieldInfo) -> bool:
    """Whether the declared bounds fit GraphQL's 32-bit `Int`."""
    bounds = [rule.le if isinstance(rule, Le) else rule.lt for rule in field.metadata if isinstance(rule, Le | Lt)]
    return any(isinstance(bound, int) and bound <= INT_MAX for bound in bounds)
