"""JSON patch (RFC 6902): a list of operations, each of which takes or puts something at a pointer; all of them or none."""

from collections.abc import Sequence
from copy import deepcopy

import msgspec
from jsonpatch import JsonPatch, JsonPatchException, JsonPatchTestFailed
from jsonpointer import JsonPointerException

from datamodel.errors import Conflict, Invalid
from datamodel.kinds import Document
from datamodel.parts import DEPTH_LIMIT, SPEC_LIMIT_BYTES, is_too_deep

OPERATIONS_LIMIT = 64
_SHOWN_CHARACTERS = 200
_KNOWN = ("add", "remove", "replace", "move", "copy", "test")
_NEEDED = {"add": "value", "replace": "value", "test": "value", "move": "from", "copy": "from"}
_GROWING = ("add", "replace", "move", "copy")

_encode = msgspec.json.Encoder().encode


def check_patch(body: Document) -> None:
    """Raises `Invalid` where `body["patch"]` is no JSON patch or a very long one, naming the operation."""
    patch = body.get("patch")
    if not isinstance(patch, list):
        raise Invalid("a JSON patch is an array of operations", field="/patch")
    if len(patch) > OPERATIONS_LIMIT:
        raise Invalid(f"{len(patch)} operations are more than {OPERATIONS_LIMIT}", field="/patch")
    for index, operation in enumerate(patch):
        if is_too_deep(operation):
            raise Invalid(f"it is nested deeper than {DEPTH_LIMIT} levels", field=f"/patch/{index}")
        if not isinstance(operation, dict) or operation.get("op") not in _KNOWN:
            raise Invalid(f"its 'op' is one of {', '.join(_KNOWN)}", field=f"/patch/{index}")
        try:
            JsonPatch([operation])
        except (JsonPatchException, JsonPointerException) as error:
            raise Invalid("its 'path' is a JSON pointer", field=f"/patch/{index}") from error
        needed = _NEEDED.get(operation["op"])
        if needed is not None and needed not in operation:
            raise Invalid(f"{operation['op']} needs {needed!r}", field=f"/patch/{index}")
        if not isinstance(operation.get("from", ""), str):
            raise Invalid("'from' is a JSON pointer", field=f"/patch/{index}")


def patched(document: Document, patch: Sequence[Document], within: str = "") -> Document:
    """A new document; `within` is the pointer at which it stands of what people know. Raises `Conflict` where an operation does
    not fit the present, a test that fails among them, and `Invalid` where it makes no document that could be stored."""
    result = deepcopy(document)
    for index, operation in enumerate(patch):
        field, doing = f"/patch/{index}", f"{operation['op']} {(within + operation['path'])[:_SHOWN_CHARACTERS]!r}"
        try:
            made = JsonPatch([deepcopy(operation)]).apply(result, in_place=True)
        except JsonPatchTestFailed as error:
            raise Conflict(f"{doing}: the present is another", field=field) from error
        except (JsonPatchException, JsonPointerException, TypeError) as error:
            raise Conflict(f"{doing}: the present has no such place", field=field) from error
        if not isinstance(made, dict):
            raise Invalid(f"{doing}: a spec is an object", field=field)
        result = made
        if operation["op"] in _GROWING:
            _check_growth(result, operation, doing, field)
    return result


def _check_growth(result: Document, operation: Document, doing: str, field: str) -> None:
    """After each operation: what is copied a few times into itself is larger than any memory."""
    if is_too_deep(result):
        raise Invalid(f"{doing}: the spec would be nested deeper than {DEPTH_LIMIT} levels", field=field)
    if operation["op"] == "copy" and len(_encode(result)) > SPEC_LIMIT_BYTES:
        raise Invalid(f"{doing}: the spec would be larger than {SPEC_LIMIT_BYTES} bytes", field=field)
