"""Executes operations without what fields that are only read have no use for.

graphql-core makes a path, an info of fourteen members and a walk over its type for each field of each object, and Strawberry
two calls more; one that is awaited costs a task and five coroutines. Most fields here are members of documents or attributes
of nodes, and a page of a hundred jobs has two thousand of them. So what is selected below such a field becomes one function
when it is first met. A field that is loaded leaves a gap, and all gaps of a list are filled together.

What such a function does not expect (null where there must be none, a value of another type, an error) is done again as
graphql-core does it: that says what is wrong, and where.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from graphql import GraphQLObjectType, GraphQLOutputType, GraphQLResolveInfo, is_leaf_type, is_object_type
from graphql.execution.collect_fields import FieldDetails
from graphql.pyutils import Path, Undefined
from graphql.type import is_list_type, is_non_null_type
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.schema.schema_converter import GraphQLCoreConverter

from gateway.graphql.objects import DERIVED, LOADED, Load, read

_Details = list[FieldDetails]
_Function = Callable[[Any], Any]
"""Of a source, a field's completed value; of a resolved value, the completed one."""
_TYPENAME = "__typename"
_UNEXPECTED = "a value that is not as its type says"


class _Loaded(NamedTuple):
    """What loads a field of many sources, and completes each of its values."""

    load: Load
    value: _Function


class _Gap(NamedTuple):
    """A member of an answer that is still to be loaded."""

    answer: dict[str, Any]
    member: str
    source: Any
    field: _Loaded


class Executor(StrawberryGraphQLCoreExecutionContext):
    """Of one operation."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        # By the identities of a type and of a selection; the selection is kept with its function, so that no other gets its.
        self._fields: dict[tuple[int, int], tuple[_Details, _Function | None]] = {}
        self._values: dict[tuple[int, int], tuple[_Details, _Function | None]] = {}
        self._gaps: list[_Gap] = []
        """Those of the function that runs: nothing else does meanwhile."""

    def execute_field(
        self,
        parent_type: GraphQLObjectType,
        source: Any,
        field_details_list: _Details,
        path: Path,
        position_context: Any,
    ) -> Any:
        known = self._fields.get((id(parent_type), id(field_details_list)))
        if known is None:
            field = self._field(parent_type, field_details_list)
            known = field_details_list, None if isinstance(field, _Loaded) else field
            self._fields[id(parent_type), id(field_details_list)] = known

        def otherwise() -> Any:
            return super(Executor, self).execute_field(parent_type, source, field_details_list, path, position_context)

        return self._completed(known[1], source, otherwise)

    def complete_value(
        self,
        return_type: GraphQLOutputType,
        field_details_list: _Details,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,
        position_context: Any,
    ) -> Any:
        known = self._values.get((id(return_type), id(field_details_list)))
        if known is None:
            known = field_details_list, self._value(return_type, field_details_list)
            self._values[id(return_type), id(field_details_list)] = known

        def otherwise() -> Any:
            return super(Executor, self).complete_value(
                return_type, field_details_list, info, path, result, position_context
            )

        return self._completed(known[1], result, otherwise)

    def _completed(self, function: _Function | None, source: Any, otherwise: Callable[[], Any]) -> Any:
        """What a function makes of a source, or what comes out otherwise."""
        if function is not None:
            try:
                answer = function(source)
            except Exception:  # noqa: BLE001 - it is said otherwise, whatever it is
                self._gaps = []
            else:
                return self._filled(answer, self._taken(), otherwise) if self._gaps else answer
        return otherwise()

    async def _filled(self, answer: Any, gaps: list[_Gap], otherwise: Callable[[], Any]) -> Any:
        """The answer without gaps."""
        try:
            while gaps:
                await self._fill(gaps)
                gaps = self._taken()
        except Exception:  # noqa: BLE001 - it is said otherwise, whatever it is
            self._gaps = []
        else:
            return answer
        answer = otherwise()
        return await answer if self.is_awaitable(answer) else answer

    async def _fill(self, gaps: list[_Gap]) -> None:
        """Loads each field for all of its sources together."""
        asked: dict[Load, list[Any]] = {}
        for gap in gaps:
            asked.setdefault(gap.field.load, []).append(gap.source)
        async with asyncio.TaskGroup() as group:
            loading = {load: group.create_task(_loaded(load(self.context_value, of))) for load, of in asked.items()}
        values = {load: iter(task.result()) for load, task in loading.items()}
        for gap in gaps:
            gap.answer[gap.member] = gap.field.value(next(values[gap.field.load]))

    def _taken(self) -> list[_Gap]:
        gaps, self._gaps = self._gaps, []
        return gaps

    def _field(self, parent: GraphQLObjectType, details: _Details) -> _Function | _Loaded | None:
        """What reads a field of a source with all that is selected below it; None where more is to be done."""
        name = details[0].node.name.value
        if name == _TYPENAME:
            return lambda _: parent.name
        field = self.schema.get_field(parent, name)
        definition = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF) if field is not None else None
        if field is None or definition is None or field.args:
            return None
        if (value := self._value(field.type, details)) is None:
            return None
        if (load := definition.metadata.get(LOADED)) is not None:
            return _Loaded(load, value)
        if (derived := definition.metadata.get(DERIVED)) is not None:
            return lambda source: value(derived(source))
        return _reading(definition.python_name, value) if definition.is_basic_field else None

    def _value(self, return_type: Any, details: _Details) -> _Function | None:
        """What completes a value of a type; None where more is to be done."""
        if is_non_null_type(return_type):
            return _required(self._value(return_type.of_type, details))
        if is_list_type(return_type):
            return _listed(self._value(return_type.of_type, details))
        if is_leaf_type(return_type):
            return _leaf(return_type.coerce_output_value)
        return self._object(return_type, details) if is_object_type(return_type) else None

    def _object(self, return_type: GraphQLObjectType, details: _Details) -> _Function | None:
        selected, deferred, _ = self.collect_subfields(return_type, details)
        read, loaded = list[tuple[str, _Function]](), list[tuple[str, _Loaded]]()
        is_type_of: Any = return_type.is_type_of  # ours look at the value alone
        for name, of in selected.items():
            match self._field(return_type, of):
                case None:
                    return None
                case _Loaded() as field:
                    loaded.append((name, field))
                    read.append((name, _nothing))  # members are in the order in which they are selected
                case function:
                    read.append((name, function))

        def complete(value: Any) -> Any:
            if value is None:
                return None
            if is_type_of is not None and not is_type_of(value, None):
                raise TypeError(_UNEXPECTED)
            answer = {name: function(value) for name, function in read}
            for name, field in loaded:
                self._gaps.append(_Gap(answer, name, value, field))
            return answer

        return None if deferred else complete


async def _loaded(values: Awaitable[Any]) -> Any:
    return await values


def _nothing(_: Any) -> None:
    return None


def _reading(member: str, value: _Function) -> _Function:
    return lambda source: value(source.get(member) if type(source) is dict else read(source, member))


def _leaf(coerced: _Function) -> _Function:
    def complete(value: Any) -> Any:
        if value is None:
            return None
        if (found := coerced(value)) is None or found is Undefined:
            raise TypeError(_UNEXPECTED)
        return found

    return complete


def _required(inner: _Function | None) -> _Function | None:
    if inner is None:
        return None

    def complete(value: Any) -> Any:
        if (found := inner(value)) is None:
            raise TypeError(_UNEXPECTED)
        return found

    return complete


def _listed(inner: _Function | None) -> _Function | None:
    if inner is None:
        return None

    def complete(value: Any) -> Any:
        if value is None:
            return None
        if not isinstance(value, list | tuple):
            raise TypeError(_UNEXPECTED)
        return [inner(item) for item in value]

    return complete
