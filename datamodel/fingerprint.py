"""What is declared of a kind, as a digest: where it changes, what is stored may not be of the kind's shape any more."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from datamodel.kinds import Kind
from datamodel.model import Model

_SAYS_NOTHING = frozenset({"title", "description", "examples"})


def fingerprints(model: Model) -> dict[str, str]:
    """The digest of every kind."""
    return {name: fingerprint(model, kind) for name, kind in model.kinds.items()}


def fingerprint(model: Model, kind: type[Kind]) -> str:
    """A digest of its version, its place, the JSON schemas of its spec and status without their prose, and its links' names."""
    declared = {
        "version": kind.version,
        "place": model.collection(kind),
        "spec": _bare(kind.Spec.model_json_schema()),
        "status": _bare(kind.Status.model_json_schema()),
        "links": sorted(kind.links),
    }
    return hashlib.sha256(json.dumps(declared, sort_keys=True).encode()).hexdigest()


def _bare(schema: Any, *, names: bool = False) -> Any:
    """A schema without what only people read. `names`: the members are named by fields, and not by JSON schema."""
    if isinstance(schema, Mapping):
        return {
            name: _bare(value, names=name in ("properties", "$defs") and not names)
            for name, value in schema.items()
            if names or name not in _SAYS_NOTHING
        }
    return [_bare(value) for value in schema] if isinstance(schema, list) else schema
