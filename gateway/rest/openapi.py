"""The OpenAPI document: the routes, and the schemas of every kind from its own declaration."""

from dataclasses import asdict
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from datamodel.kinds import Document, Part
from datamodel.model import Model
from datamodel.names import NAME_LIMIT
from gateway.exposure import is_written_by_users
from gateway.extras import Extras
from gateway.problem import Problem
from gateway.rest.graph_schemas import graph_schemas, merge_patch_schema
from gateway.rest.kinds import add_kind_schemas

_REFERENCE = "#/components/schemas/{model}"
NAME: Document = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": NAME_LIMIT}
LABELS: Document = {"type": "object", "additionalProperties": {"type": "string"}}
_TIME: Document = {"type": "string", "format": "date-time"}
_STRING: Document = {"type": "string"}
_INTEGER: Document = {"type": "integer", "format": "int64"}


def openapi_document(app: FastAPI, model: Model, extras: Extras) -> Document:
    """The whole document."""
    document: Document = get_openapi(title=app.title, version=app.version, routes=app.routes)
    document["components"] = {"schemas": _schemas(model, extras)}
    return document


def _schemas(model: Model, extras: Extras) -> Document:
    parts = {part for kind in model.kinds.values() for part in (kind.Spec, kind.Status)}
    schemas = _part_schemas(parts) | graph_schemas()
    schemas["Metadata"] = object_schema(
        name=NAME,
        path=_STRING,
        uid=_STRING,
        kind=_STRING,
        labels=LABELS,
        generation=_INTEGER,
        version=_INTEGER,
        createdAt=_TIME,
        deletionRequestedAt=_TIME,
        links={
            "type": "object",
            "additionalProperties": {"type": "array", "items": _STRING},
            "description": "uids of the targets by link name",
        },
        finalizers={"type": "array", "items": _STRING},
    )
    sent = {**object_schema(name=NAME, labels=LABELS), "additionalProperties": False}
    for name, kind in model.kinds.items():
        spec, status = reference(kind.Spec.__name__), reference(kind.Status.__name__)
        schemas[name] = {
            **object_schema(metadata=reference("Metadata"), spec=spec, status=status),
            "description": kind.__doc__,
            "required": ["metadata", "spec", "status"],
            "x-columns": [asdict(column) for column in kind.columns],
        }
        if kind.examples:
            schemas[kind.Spec.__name__]["examples"] = list(kind.examples)
        writes = is_written_by_users(kind)
        if writes:
            needed = ["spec"] if any(field.is_required() for field in kind.Spec.model_fields.values()) else []
            schemas[f"{name}Apply"] = {
                **object_schema(metadata=sent, spec=spec),
                "required": needed,
                "additionalProperties": False,
            }
            schemas[f"{name}Patch"] = merge_patch_schema(name)
        if writes and not kind.singleton:
            named = {**sent, "required": ["name"]}
            schemas[f"{name}Create"] = {
                **schemas[f"{name}Apply"],
                **object_schema(metadata=named, spec=spec),
                "required": ["metadata", *needed],
            }
        items: Document = {"type": "array", "items": reference(name)}
        schemas[f"{name}List"] = object_schema(
            items=items,
            cursor={"type": ["string", "null"], "description": "where the next page begins"},
            position={**_INTEGER, "description": "of the log; all pages of a list show the same"},
            bookmark={**_STRING, "description": "the `Last-Event-ID` with which a watch goes on from this list"},
        )
    (_, named) = msgspec.json.schema_components([Problem], ref_template="#/components/schemas/{name}")
    schemas |= named
    add_kind_schemas(schemas)
    extras.schemas(schemas)
    return dict(sorted(schemas.items()))


def _part_schemas(parts: set[type[Part]]) -> Document:
    ordered = sorted(parts, key=lambda part: part.__name__)
    _, definitions = models_json_schema(
        [(part, "validation") for part in ordered], by_alias=True, ref_template=_REFERENCE
    )
    schemas: Document = definitions["$defs"]
    return schemas


def object_schema(**properties: Any) -> Document:
    return {"type": "object", "properties": properties}


def reference(name: str) -> Document:
    return {"$ref": f"#/components/schemas/{name}"}
