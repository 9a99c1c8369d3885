"""GraphQL types of specs and statuses, from their declaration: what is shown of them, and what is sent."""

from abc import ABC, abstractmethod
from datetime import datetime
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Le, Lt
from pydantic.fields import FieldInfo
from strawberry import UNSET
from strawberry.types.field import StrawberryField

from datamodel.kinds import Document, Part
from gateway.graphql.objects import given, input_type, listed, object_type, plain
from gateway.graphql.scalars import INT_MAX, JSON, DateTime, Long

_PLAIN: dict[Any, Any] = {str: str, bool: bool, float: float, datetime: DateTime}


class _Types(ABC):
    """The types of parts, each made once."""

    def __init__(self) -> None:
        self._made: dict[type[Part], Any] = {}

    def type_of(self, part: type[Part]) -> Any:
        """The type of a part, None where it has no fields."""
        if part not in self._made:
            self._made[part] = self._make(part) if part.model_fields else None
        return self._made[part]

    @abstractmethod
    def _make(self, part: type[Part]) -> Any:
        """The type of a part that has fields."""

    def _value(self, annotation: Any, field: FieldInfo) -> tuple[Any, bool]:
        """The GraphQL type of an annotation, and whether it may be null."""
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin in (Union, UnionType):
            (inner,) = (argument for argument in arguments if argument is not NoneType)
            return self._value(_bare(inner), _within(inner, field))[0], True
        if origin is Literal:
            return str, False
        if origin is tuple:
            return listed(self._value(_bare(arguments[0]), FieldInfo())[0]), False
        if isinstance(annotation, type) and issubclass(annotation, Part):
            return self.type_of(annotation) or JSON, False
        if annotation is int:
            return (int if _fits(field) else Long), False
        return _PLAIN.get(annotation, JSON), False


class Parts(_Types):
    """The object types of parts."""

    def _make(self, part: type[Part]) -> Any:
        return object_type(
            part.__name__, [self._field(name, of) for name, of in part.model_fields.items()], part.__doc__
        )

    def _field(self, name: str, field: FieldInfo) -> StrawberryField:
        graphql_type, nullable = self._value(field.annotation, field)
        absent = field.default is None or isinstance(field.default, Part)
        return plain(
            field.alias or name, graphql_type | None if nullable or absent else graphql_type, field.description
        )


class Inputs(_Types):
    """The input types of parts. All that is in them may be left out: what must be there, a write's kind and the rule book say,
    with pointers to what is wrong."""

    def _make(self, part: type[Part]) -> Any:
        fields = [
            given(of.alias or name, self._value(of.annotation, of)[0], of.description)
            for name, of in part.model_fields.items()
        ]
        return input_type(f"{part.__name__}Input", fields, part.__doc__)


def document_of(value: Any) -> Any:
    """What was sent as an input type, as the document that it stands for: what was left out is not in it, null is."""
    if isinstance(value, list):
        return [document_of(item) for item in value]
    definition = getattr(type(value), "__strawberry_definition__", None)
    if definition is None:
        return value
    members = ((field.graphql_name, getattr(value, field.python_name)) for field in definition.fields)
    document: Document = {name: document_of(member) for name, member in members if member is not UNSET}
    return document


def _bare(annotation: Any) -> Any:
    """The type within `Annotated[…]`."""
    return _bare(annotation.__origin__) if hasattr(annotation, "__metadata__") else annotation


def _within(annotation: Any, field: FieldInfo) -> FieldInfo:
    """What is said of an optional field's value: within `Annotated[…]`, where that is what is optional."""
    if not hasattr(annotation, "__metadata__"):
        return field
    found = FieldInfo()
    for said in annotation.__metadata__:
        found.metadata += said.metadata if isinstance(said, FieldInfo) else [said]
    return found


def _fits(field: FieldInfo) -> bool:
    """Whether the declared bounds fit GraphQL's 32-bit `Int`."""
    bounds = [rule.le if isinstance(rule, Le) else rule.lt for rule in field.metadata if isinstance(rule, Le | Lt)]
    return any(isinstance(bound, int) and bound <= INT_MAX for bound in bounds)
