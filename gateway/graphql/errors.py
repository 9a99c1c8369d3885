"""GraphQL's errors, as clients may see them."""

from graphql import GraphQLError
from msgspec import to_builtins
from strawberry.schema.exceptions import CannotGetOperationTypeError

from datamodel.errors import Gone, TendrilError
from gateway.problem import detail_of, findings


def is_unexpected(error: GraphQLError) -> bool:
    """Whether an error comes from the inside: neither the query's fault nor one of the five that are raised on purpose."""
    original = error.original_error
    theirs = isinstance(original, GraphQLError | TendrilError | CannotGetOperationTypeError) or is_unreadable(error)
    return original is not None and not theirs


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
    if not isinstance(original, TendrilError):
        return error
    extensions = {"errors": to_builtins(findings(original))}
    if isinstance(original, Gone):
        extensions |= {"oldest": original.oldest, "cursor": original.cursor or None}
    return _told(error, detail_of(original), extensions)


def _told(error: GraphQLError, message: str, extensions: dict[str, object] | None = None) -> GraphQLError:
    return GraphQLError(message, error.nodes, error.source, error.positions, error.path, extensions=extensions)
