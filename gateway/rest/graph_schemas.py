"""What the OpenAPI document says of nodes of any kind: patches, events, differences, deletions and GraphQL."""

import msgspec

from datamodel.event import Event
from datamodel.json_patch import OPERATIONS_LIMIT
from datamodel.kinds import Document

_STRING: Document = {"type": "string"}
_PATHS: Document = {"type": "array", "items": _STRING}
_POSITION: Document = {"type": "integer", "format": "int64"}
_CURSOR: Document = {"type": ["string", "null"], "description": "where the next page begins"}
_NODE: Document = {"type": ["object", "null"], "description": "a node, or null where there was none"}


def graph_schemas() -> Document:
    """Schemas by name."""
    (_, named) = msgspec.json.schema_components([Event], ref_template="#/components/schemas/{name}")
    return {
        **named,
        **_graphql_schemas(),
        "History": _object(
            items={"type": "array", "items": {"$ref": "#/components/schemas/Event"}},
            cursor=_CURSOR,
            keptFrom={**_POSITION, "description": "above 0: there may have been events before it that are not kept"},
        ),
        "Difference": _object(
            path=_STRING,
            change={"enum": ["created", "deleted", "changed", "replaced"]},
            before=_NODE,
            after=_NODE,
        ),
        "Differences": {
            **_object(
                items={"type": "array", "items": {"$ref": "#/components/schemas/Difference"}},
                cursor=_CURSOR,
                to=_POSITION,
                **{"from": _POSITION},
            ),
            "description": "What is different at the position `to` from what was so at `from`.",
        },
        "DeletePreview": {
            **_object(deleted=_PATHS, waiting=_PATHS, unlinked=_PATHS),
            "description": "Paths of the nodes that would go, that would wait until somebody has cleaned up, and that would"
            " let go of a link.",
        },
        "DeletionList": _object(
            items={
                "type": "array",
                "items": _object(
                    path=_STRING,
                    kind=_STRING,
                    uid=_STRING,
                    deletionRequestedAt={**_STRING, "format": "date-time"},
                    ageS={"type": "integer", "minimum": 0, "description": "how long ago that was"},
                    finalizers={
                        **_PATHS,
                        "description": "who has to clean up first; none: what is below it or linked to it",
                    },
                ),
            },
            cursor=_CURSOR,
        ),
        "Health": _object(status={"enum": ["live", "ready"]}),
        "JsonPatch": _json_patch(),
    }


def _json_patch() -> Document:
    return {
        "type": "array",
        "maxItems": OPERATIONS_LIMIT,
        "items": {
            **_object(
                op={"enum": ["add", "remove", "replace", "move", "copy", "test"]},
                path={**_STRING, "description": "a JSON pointer that begins with /spec or /metadata/labels"},
                value={},
            ),
            "required": ["op", "path"],
        },
        "description": "RFC 6902",
        "examples": [[{"op": "add", "path": "/metadata/labels/team", "value": "red"}]],
    }


def _graphql_schemas() -> Document:
    """What `/graphql` takes and answers."""
    return {
        "GraphQLRequest": {
            **_object(
                query=_STRING,
                operationName={"type": ["string", "null"], "description": "which one of several operations is run"},
                variables={"type": ["object", "null"]},
                extensions={"type": ["object", "null"], "description": "ignored"},
            ),
            "required": ["query"],
            "additionalProperties": False,
            "examples": [{"query": "{ root { config { path } } }"}],
        },
        "GraphQLAnswer": {
            **_object(
                data={"type": ["object", "null"]},
                errors={
                    "type": "array",
                    "items": {
                        **_object(
                            message=_STRING,
                            locations={"type": "array", "items": {"type": "object"}},
                            path={"type": "array", "items": {"type": ["string", "integer"]}},
                            extensions={"type": "object"},
                        ),
                        "required": ["message"],
                    },
                    "description": "with status 400: it was not run",
                },
            ),
            "required": ["data"],
        },
    }


def merge_patch_schema(name: str) -> Document:
    """The schema of a merge patch of a kind's nodes."""
    labels: Document = {"type": ["object", "null"], "additionalProperties": {"type": ["string", "null"]}}
    return {
        **_object(metadata={**_object(labels=labels), "additionalProperties": False}, spec={"type": "object"}),
        "additionalProperties": False,
        "description": f"A JSON merge patch (RFC 7396) of {name}: what is null goes.",
        "examples": [{"metadata": {"labels": {"team": "red", "old": None}}}],
    }


def _object(**properties: Document) -> Document:
    return {"type": "object", "properties": properties}
