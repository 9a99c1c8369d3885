"""The schema: `root` with the planes, `node` by path, the mutations, and the subscriptions."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any

import strawberry
import structlog
from graphql import GraphQLError, OperationDefinitionNode
from strawberry.extensions import AddValidationRules, MaxTokensLimiter, ParserCache, SchemaExtension, ValidationCache
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.exceptions import CannotGetOperationTypeError
from strawberry.schema.schema import StreamResult
from strawberry.types import ExecutionContext, ExecutionResult
from strawberry.types.execution import PreExecutionError

from datamodel.model import Model
from gateway.extras import Extras
from gateway.graphql.context import Context, Info
from gateway.graphql.errors import is_unexpected, public
from gateway.graphql.executor import Executor
from gateway.graphql.kinds import Kinds, camel
from gateway.graphql.limits import TOKENS_LIMIT, ShapeRule
from gateway.graphql.mutations import mutation_type
from gateway.graphql.node import NodeInterface
from gateway.graphql.nodes import node, nodes
from gateway.graphql.objects import object_type, read, resolved
from gateway.graphql.past import past_fields
from gateway.graphql.scalars import SCALARS
from gateway.graphql.writing import node_mutations

DOCUMENTS_KEPT = 64
"""Documents that are kept with what their check said: clients ask the same ones with other variables. Each is as long as a body
may be, at most."""

_log = structlog.get_logger("graphql")


class Schema(strawberry.Schema):
    """A schema that logs what nobody expected, and nothing that the user did."""

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        del execution_context
        for error in errors:
            if is_unexpected(error):
                _log.error("a resolver crashed", path=error.path, exc_info=error.original_error)

    async def stream(self, *given: Any, **named: Any) -> StreamResult:
        """The results of an operation of a connection that has several, with errors as clients may see them."""
        named["context_value"] = Context(named["context_value"].backend)
        return _public(await super().stream(*given, **named))


async def _public(results: StreamResult) -> AsyncGenerator[Any, None]:
    async with aclosing(results):
        try:
            async for result in results:
                if isinstance(result, ExecutionResult) and result.errors:
                    result.errors = [public(error) for error in result.errors]
                yield result
        except GraphQLError as error:  # of the document: with a cache of parsed ones, Strawberry lets it through
            yield PreExecutionError(data=None, errors=[public(error)])


class OneOperation(SchemaExtension):
    """Refuses a document of several operations of which none is named (`GetOperation` of GraphQL's specification): Strawberry
    takes the first."""

    def on_parse(self) -> Iterator[None]:
        yield
        known, document = self.execution_context, self.execution_context.graphql_document
        if known._provided_operation_name is None and document is not None:  # noqa: SLF001 - the public one is the first's
            operations = [part for part in document.definitions if isinstance(part, OperationDefinitionNode)]
            if len(operations) > 1:
                raise CannotGetOperationTypeError(None)


def create_schema(model: Model, extras: Extras) -> Schema:
    """The schema of a model's kinds and of what there is beside them."""
    kinds = Kinds(model, extras)
    root = object_type("Root", [_plane(kinds, model, plane.root) for plane in model.planes], "The graph's planes.")
    fields = [
        resolved("root", root, _root),
        resolved("node", NodeInterface | None, node, node.__doc__),
        resolved("nodes", list[NodeInterface | None], nodes, nodes.__doc__),
        *past_fields(of_node=False),
        resolved("kinds", kinds.everywhere(), _root, "The nodes of each kind, wherever they are."),
    ]
    return Schema(
        query=object_type("Query", fields),
        subscription=kinds.changes(),
        mutation=mutation_type([*node_mutations(model, kinds.types), *extras.mutations(kinds.types)]),
        types=list(kinds.types.values()),
        execution_context_class=Executor,
        extensions=[
            OneOperation,
            lambda: MaxTokensLimiter(TOKENS_LIMIT),
            lambda: AddValidationRules([ShapeRule]),
            lambda: ParserCache(DOCUMENTS_KEPT),
            lambda: ValidationCache(DOCUMENTS_KEPT),
        ],
        config=StrawberryConfig(default_resolver=read, scalar_map=SCALARS, disable_field_suggestions=True),
    )


def _plane(kinds: Kinds, model: Model, path: str) -> Any:
    kind, _ = model.locate(path)

    async def plane(info: Info) -> Any:
        return await info.context.backend.reads.node(path)

    return resolved(camel(kind.segment), kinds.types[kind.__name__] | None, plane, kind.__doc__)


def _root() -> Any:
    return {}
