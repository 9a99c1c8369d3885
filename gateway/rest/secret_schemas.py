"""What the OpenAPI document says of secrets."""

from datamodel.kinds import Document
from datamodel.secrets.value import DEFAULT_KEY, KEYS_LIMIT
from gateway.rest.openapi import NAME, object_schema, reference

_VALUE: Document = {"type": "string", "minLength": 1, "writeOnly": True, "format": "password"}


def add_secret_schemas(schemas: Document) -> None:
    """Adds to the schemas of the kinds."""
    values: Document = {
        "type": "object",
        "additionalProperties": _VALUE,
        "propertyNames": {"pattern": "^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$"},
        "minProperties": 1,
        "maxProperties": KEYS_LIMIT,
    }
    schemas["SecretDocument"] = {
        "description": f"One value, whose key is `{DEFAULT_KEY}`, or values by key. It is never answered.",
        "oneOf": [
            {**object_schema(value=_VALUE), "required": ["value"], "additionalProperties": False},
            {**object_schema(data=values), "required": ["data"], "additionalProperties": False},
        ],
        "examples": [{"value": "correct horse battery staple"}, {"data": {"user": "reader", "password": "tr0ub4dor"}}],
    }
    schemas["Secret"] = {
        **object_schema(
            name=NAME,
            version={"type": "integer", "format": "int64", "description": "grows with every value that is put"},
            createdAt={"type": "string", "format": "date-time"},
            updatedAt={"type": "string", "format": "date-time"},
            keys={"type": "array", "items": {"type": "string"}, "description": "absent where they are not known"},
        ),
        "description": "All that is told of a secret.",
        "required": ["name", "version", "createdAt", "updatedAt"],
        "examples": [
            {
                "name": "database",
                "version": 2,
                "createdAt": "2026-11-02T10:00:00Z",
                "updatedAt": "2026-11-03T08:30:00Z",
                "keys": ["password", "user"],
            }
        ],
    }
    items: Document = {"type": "array", "items": reference("Secret")}
    schemas["SecretList"] = object_schema(items=items, cursor={"type": ["string", "null"]})
