"""Patches of a node's document: of its spec as the graph knows them, and of its labels, which a command names all."""

from collections.abc import Sequence
from typing import Any

from datamodel.command import Command, Verdict
from datamodel.errors import Conflict, Invalid, TendrilError
from datamodel.json_patch import check_patch, patched
from datamodel.kinds import Document
from datamodel.merge import merged
from datamodel.node import Node
from gateway.labels import checked_labels, escaped
from gateway.once import Once

MERGE_PATCH, JSON_PATCH = "application/merge-patch+json", "application/json-patch+json"

_LABELS, _SPEC = "/metadata/labels", "/spec"
_PATCH = "/patch"
_TRIES = 5
"""At a patch of labels, which is of the present ones, while others write the node."""


async def write_patch(once: Once, path: str, media_type: str, patch: Any, expected_version: int | None) -> Verdict:
    """Patches a node. Raises what refuses it, with pointers into the patch."""
    labelled = _names_labels(media_type, patch)
    if labelled and (replayed := await once.replayed()) is not None:
        return replayed
    for left in reversed(range(_TRIES)):
        node = await once.backend.node(path) if labelled else None
        if node is not None and expected_version not in (None, node.version):
            raise Conflict(f"{path} is at version {node.version}, not {expected_version}", field="/metadata/version")
        try:
            return await once.write(_command(media_type, patch, path, node, expected_version))
        except TendrilError as error:
            if left and node is not None and expected_version is None and error.field == "/metadata/version":
                continue
            if media_type == JSON_PATCH:
                _point_into_patch(error, patch)
            raise
    raise AssertionError("the last try returns or raises")


def _names_labels(media_type: str, patch: Any) -> bool:
    """Whether labels are patched too, for which the present ones must be known. Raises `Invalid` for what is no patch of a
    node."""
    if media_type == MERGE_PATCH:
        return "labels" in _merge_parts(patch)[0]
    return any(_place(index, operation) == _LABELS for index, operation in enumerate(_operations(patch)))


def _command(media_type: str, patch: Any, path: str, node: Node | None, expected_version: int | None) -> Command:
    """The command that a patch is; `node` is the present where labels are patched. Raises `Invalid` and `Conflict`."""
    version = node.version if node is not None else expected_version
    if media_type == MERGE_PATCH:
        meta, spec = _merge_parts(patch)
        labels = _merged_labels(node, meta["labels"]) if node is not None else None
        return Command("patchSpec", path, spec, labels, expected_version=version)
    if node is None:
        operations = [_within_spec(operation) for operation in patch]
        return Command("jsonPatch", path, {"patch": operations}, expected_version=version)
    check_patch({"patch": patch})
    made = patched({"metadata": {"labels": node.labels}, "spec": node.spec}, patch)
    labels = checked_labels(made.get("metadata", {}).get("labels", {}), _LABELS)
    whole = [{"op": "replace", "path": "", "value": made.get("spec", {})}]
    return Command("jsonPatch", path, {"patch": whole}, labels, expected_version=version)


def _point_into_patch(error: TendrilError, patch: Sequence[Any]) -> None:
    """Makes an error's pointers lead into the array of operations that was sent."""
    error.field = _in_patch(error.field, patch)
    if isinstance(error, Invalid):
        error.details = tuple((_in_patch(pointer, patch), message) for pointer, message in error.details)


def _in_patch(pointer: str, patch: Sequence[Any]) -> str:
    """The pointer to an operation, or to the place in the value of the last one that made what a pointer into the node leads
    to; all of the patch where none did."""
    if pointer.startswith(f"{_PATCH}/"):
        return pointer.removeprefix(_PATCH)
    if not pointer.startswith((_SPEC, _LABELS)):
        return pointer
    for index, operation in reversed([*enumerate(patch)]):
        path = operation["path"].removesuffix("/-")
        if pointer == path or pointer.startswith(f"{path}/"):
            within = pointer.removeprefix(path) if path == operation["path"] else ""
            return f"/{index}/value{within}" if "value" in operation else f"/{index}"
        if path.startswith(f"{pointer}/"):
            return f"/{index}"
    return ""


def _merge_parts(patch: Any) -> tuple[Document, Document]:
    """Metadata and spec of a merge patch."""
    if not isinstance(patch, dict):
        raise Invalid("a merge patch is a JSON object")
    for name, value in patch.items():
        if name not in ("metadata", "spec"):
            raise Invalid("what can be patched is `metadata` and `spec`", field=f"/{escaped(name)}")
        if not isinstance(value, dict):
            raise Invalid("this must be an object", field=f"/{name}")
    meta: Document = patch.get("metadata", {})
    for name in meta:
        if name != "labels":
            raise Invalid("of metadata, only `labels` can be patched", field=f"/metadata/{escaped(name)}")
    return meta, patch.get("spec", {})


def _merged_labels(node: Node, patch: Any) -> dict[str, str]:
    if patch is None:
        return {}
    if not isinstance(patch, dict):
        raise Invalid("labels are an object of strings", field=_LABELS)
    return checked_labels(merged(node.labels, patch), _LABELS)


def _operations(patch: Any) -> list[Any]:
    if not isinstance(patch, list):
        raise Invalid("a JSON patch is an array of operations")
    return patch


def _place(index: int, operation: Any) -> str:
    """The part of the node that an operation is about."""
    pointers = [operation.get(name) for name in ("path", "from") if name in operation] if _is_one(operation) else [None]
    places = [_part(pointer) for pointer in pointers]
    if "" in places:
        raise Invalid(f"an operation is on {_SPEC} or {_LABELS}, or below", field=f"/{index}")
    return _LABELS if _LABELS in places else _SPEC


def _is_one(operation: Any) -> bool:
    return isinstance(operation, dict) and "path" in operation


def _part(pointer: Any) -> str:
    if not isinstance(pointer, str):
        return ""
    return next((part for part in (_SPEC, _LABELS) if pointer == part or pointer.startswith(f"{part}/")), "")


def _within_spec(operation: Document) -> Document:
    return {name: value.removeprefix(_SPEC) if name in ("path", "from") else value for name, value in operation.items()}
