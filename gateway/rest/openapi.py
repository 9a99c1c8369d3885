"""The OpenAPI document: the routes, and the schemas of every kind from its own declaration."""

from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from datamodel.kinds import Document, Part
from datamodel.model import Model
from datamodel.names import NAME_LIMIT
from gateway.executions import Execution
from gateway.exposure import is_written_by_users
from gateway.jobs import GROUP_DEFAULT
from gateway.problem import Problem
from gateway.rest.jobs import BATCH_LIMIT

_REFERENCE = "#/components/schemas/{model}"
_NAME: Document = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": NAME_LIMIT}
_LABELS: Document = {"type": "object", "additionalProperties": {"type": "string"}}
_TIME: Document = {"type": "string", "format": "date-time"}
_STRING: Document = {"type": "string"}
_INTEGER: Document = {"type": "integer", "format": "int64"}


def openapi_document(app: FastAPI, model: Model) -> Document:
    """The whole document."""
    document: Document = get_openapi(title=app.title, version=app.version, routes=app.routes)
    document["components"] = {"schemas": _schemas(model)}
    return document


def _schemas(model: Model) -> Document:
    parts = {part for kind in model.kinds.values() for part in (kind.Spec, kind.Status)}
    schemas = _part_schemas(parts)
    schemas["Metadata"] = _object(
        name=_NAME,
        path=_STRING,
        uid=_STRING,
        kind=_STRING,
        labels=_LABELS,
        generation=_INTEGER,
        version=_INTEGER,
        createdAt=_TIME,
        deletionRequestedAt=_TIME,
        links=_LABELS,
        finalizers={"type": "array", "items": _STRING},
    )
    sent = {**_object(name=_NAME, labels=_LABELS), "additionalProperties": False}
    for name, kind in model.kinds.items():
        spec, status = _ref(kind.Spec.__name__), _ref(kind.Status.__name__)
        schemas[name] = {
            **_object(metadata=_ref("Metadata"), spec=spec, status=status),
            "description": kind.__doc__,
            "required": ["metadata", "spec", "status"],
        }
        writes = is_written_by_users(kind)
        if writes:
            needed = ["spec"] if any(field.is_required() for field in kind.Spec.model_fields.values()) else []
            schemas[f"{name}Apply"] = {
                **_object(metadata=sent, spec=spec),
                "required": needed,
                "additionalProperties": False,
            }
        if writes and not kind.singleton:
            named = {**sent, "required": ["name"]}
            schemas[f"{name}Create"] = {
                **schemas[f"{name}Apply"],
                **_object(metadata=named, spec=spec),
                "required": ["metadata", *needed],
            }
        if not kind.singleton:
            items: Document = {"type": "array", "items": _ref(name)}
            schemas[f"{name}List"] = _object(items=items, cursor={"type": ["string", "null"]})
    schemas["JobDocument"] = _flat_job(schemas["JobSpec"])
    schemas["JobBatch"] = _batch()
    schemas["JobBatchAccepted"] = _object(items={"type": "array", "items": _ref("Job")})
    (_, named_schemas) = msgspec.json.schema_components(
        [Execution, Problem], ref_template="#/components/schemas/{name}"
    )
    return dict(sorted({**schemas, **named_schemas}.items()))


def _part_schemas(parts: set[type[Part]]) -> Document:
    ordered = sorted(parts, key=lambda part: part.__name__)
    _, definitions = models_json_schema(
        [(part, "validation") for part in ordered], by_alias=True, ref_template=_REFERENCE
    )
    schemas: Document = definitions["$defs"]
    schemas["Step"]["properties"]["env"]["additionalProperties"] = False  # names of another pattern are refused
    status = schemas["JobStatus"]
    status["properties"]["executions"] = {
        "type": "array",
        "items": _ref("Execution"),
        "description": "every edge where the job ran or runs; shown where one job is read",
    }
    return schemas


def _flat_job(spec: Document) -> Document:
    own = {
        "name": {**_NAME, "description": "made up where there is none"},
        "group": {**_NAME, "default": GROUP_DEFAULT},
        "labels": _LABELS,
    }
    return {
        **spec,
        "title": "JobDocument",
        "description": "A job as it is submitted: its name, group and labels beside the fields of its spec.",
        "properties": {**own, **spec["properties"]},
    }


def _batch() -> Document:
    jobs: Document = {"type": "array", "items": _ref("JobDocument"), "minItems": 1, "maxItems": BATCH_LIMIT}
    return {**_object(jobs=jobs), "required": ["jobs"], "additionalProperties": False}


def _object(**properties: Any) -> Document:
    return {"type": "object", "properties": properties}


def _ref(name: str) -> Document:
    return {"$ref": f"#/components/schemas/{name}"}
