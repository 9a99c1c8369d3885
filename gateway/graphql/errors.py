"""GraphQL's errors, as clients may see them."""

from collections.abc import Mapping

from graphql import GraphQLError, GraphQLSyntaxError
from msgspec import to_builtins
from strawberry.exceptions import MissingQueryError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError

from datamodel.errors import Gone, Invalid, TendrilError
from gateway.problem import detail_of, findings

REFUSALS: Mapping[type[Exception], tuple[str, str]] = {
    MissingQueryError: ("a query is required", "/query"),
    CannotGetOperationTypeError: ("the query has no such operation, or several and none is named", "/operationName"),
    InvalidOperationTypeError: ("a subscription takes a websocket, at the same address", "/query"),
}
"""By what Strawberry raises of a request, what is wrong with it, and where."""
_ABORTED = "Validation aborted."
"""All that graphql-core says of a query that costs it too much to check."""


def is_unexpected(error: GraphQLError) -> bool:
    """Whether an error comes from the inside: neither the query's fault nor one of the five that are raised on purpose."""
    original = error.original_error
    theirs = isinstance(original, GraphQLError | TendrilError) or type(original) in REFUSALS or is_unreadable(error)
    return original is not None and not theirs


def refusal(error: Exception) -> Invalid:
    """What is to be told of one of `REFUSALS`."""
    message, field = REFUSALS[type(error)]
    return Invalid(message, field=field)


def is_unreadable(error: GraphQLError) -> bool:
    """Whether a value in the query's own text cannot be one of ours, as a number of thousands of digits: no resolver was asked
    yet."""
    return error.path is None and isinstance(error.original_error, ValueError)


def public(error: GraphQLError) -> GraphQLError:
    """An error as the client may see it: what goes wrong inside is told as that, and nothing more."""
    original = error.original_error
    if is_unexpected(error):
        return _told(error, "something went wrong inside; the log of the gateway says what")
    if is_unreadable(error):
        return _told(error, "a value in the query cannot be read: it is too long")
    if error.message == _ABORTED:
        return _told(
            error, "the query takes too long to check: it selects the same fields or spreads its fragments too often"
        )
    if isinstance(error, GraphQLSyntaxError):
        return _told(error, error.message)  # of no class of its own: for that one, a connection would be closed
    if original is not None and type(original) in REFUSALS:
        original = refusal(original)
    if not isinstance(original, TendrilError):
        return error
    extensions = {"errors": to_builtins(findings(original))}
    if isinstance(original, Gone):
        extensions |= {"oldest": original.oldest, "cursor": original.cursor or None}
    return _told(error, detail_of(original), extensions)


def _told(error: GraphQLError, message: str, extensions: dict[str, object] | None = None) -> GraphQLError:
    return GraphQLError(message, error.nodes, error.source, error.positions, error.path, extensions=extensions)
