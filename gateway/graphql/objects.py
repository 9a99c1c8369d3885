"""Object types made at run time, and how their fields are read."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from inspect import cleandoc
from types import new_class
from typing import Any

import strawberry
from strawberry.types.field import StrawberryField

Resolver = Callable[..., Any]
Load = Callable[[Any, Sequence[Any]], Awaitable[Sequence[Any]]]
"""Of a request's context and many sources, a value for each in their order."""
DERIVED, LOADED = "derived", "loaded"
"""In the metadata of a field: what makes it of its source alone, or loads it."""
_NONE: Mapping[Any, Any] = {}


def read(source: Any, name: str) -> Any:
    """The default resolver: documents are read by their camelCase members, objects by their attributes."""
    return source.get(name) if isinstance(source, dict) else getattr(source, name)


def plain(name: str, graphql_type: Any, description: str | None = None, *, source: str = "") -> StrawberryField:
    """A field that is read from its source as it is; `source` is the member or attribute, where it is named otherwise."""
    made: StrawberryField = strawberry.field(name=name, graphql_type=graphql_type, description=description)
    made.python_name = source or name
    return made


def resolved(
    name: str,
    graphql_type: Any,
    resolver: Resolver,
    description: str | None = None,
    *,
    metadata: Mapping[Any, Any] = _NONE,
) -> StrawberryField:
    """A field that a resolver computes."""
    made: StrawberryField = strawberry.field(
        resolver=resolver,
        name=name,
        graphql_type=graphql_type,
        description=cleandoc(description) if description else None,
        metadata=metadata,
    )
    made.python_name = name
    return made


def derived(name: str, graphql_type: Any, of: Callable[[Any], Any], description: str | None = None) -> StrawberryField:
    """A field that is made of its source alone, at once."""

    def resolver(root: Any) -> Any:
        return of(root)

    return resolved(name, graphql_type, resolver, description, metadata={DERIVED: of})


def loaded(name: str, graphql_type: Any, load: Load, description: str | None = None) -> StrawberryField:
    """A field that is loaded for many sources together."""

    async def resolver(root: Any, info: Any) -> Any:
        (found,) = await load(info.context, [root])
        return found

    resolver.__annotations__["info"] = strawberry.Info
    return resolved(name, graphql_type, resolver, description, metadata={LOADED: load})


def object_type(
    name: str,
    fields: Iterable[StrawberryField],
    description: str | None = None,
    *,
    interface: type | None = None,
    is_type_of: Callable[[Any, Any], bool] | None = None,
) -> Any:
    """A type with these fields."""
    namespace = _namespace(fields)
    if is_type_of is not None:
        namespace["is_type_of"] = is_type_of
    made = new_class(name, (interface,) if interface is not None else (), {}, lambda body: body.update(namespace))
    return strawberry.type(made, name=name, description=cleandoc(description) if description else None)


def given(name: str, graphql_type: Any, description: str | None = None) -> StrawberryField:
    """A field of an input, which may be left out or null. Its attribute ends with `_`: some names are Python's own."""
    made: StrawberryField = strawberry.field(
        name=name, graphql_type=graphql_type | None, description=description, default=strawberry.UNSET
    )
    made.python_name = f"{name}_"
    return made


def input_type(name: str, fields: Iterable[StrawberryField], description: str | None = None) -> Any:
    """An input with these fields."""
    namespace = _namespace(fields)
    made = new_class(name, (), {}, lambda body: body.update(namespace))
    return strawberry.input(made, name=name, description=cleandoc(description) if description else None)


def _namespace(fields: Iterable[StrawberryField]) -> dict[str, Any]:
    """What the body of a class with these fields has."""
    named = {field.python_name: field for field in fields}
    return {**named, "__annotations__": {name: field.type for name, field in named.items()}}


def listed(item: Any) -> Any:
    """The type of a list of items that is only known at run time."""
    return list[item]


def add_fields(made: Any, fields: Iterable[StrawberryField]) -> None:
    """Adds fields to a type before a schema is built of it: types that refer to each other are made first."""
    made.__strawberry_definition__.fields.extend(fields)
