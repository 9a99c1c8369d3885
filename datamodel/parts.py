"""The parts of a node as they are stored: of their kind's shape, with their defaults, and within their sizes."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from datamodel.errors import Invalid
from datamodel.kinds import Document, Kind

SPEC_LIMIT_BYTES = 152 * 1024
STATUS_LIMIT_BYTES = 94 * 1024
LABELS_LIMIT_BYTES = 10 * 1024
"""Each part has a limit of its own, so one is judged without the others. Together they are a node of at most 256 KiB, which
the feed can carry."""

DEPTH_LIMIT = 64
"""Levels of nesting. What reads JSON here and at the user's can be much deeper nested than it can bear."""

_ZERO_BYTE = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""The escape of a zero byte, and not a backslash that is followed by its letters."""

_encode = msgspec.json.Encoder().encode
_document = msgspec.json.Decoder(dict[str, Any]).decode


def normal_spec(kind: type[Kind], spec: Document) -> Document:
    """The spec with its defaults, as it is stored. Raises `Invalid` naming the field under `/spec`."""
    return _stored_spec(kind, spec, exclude_unset=False)


def named_spec(kind: type[Kind], spec: Document) -> Document:
    """What a spec names itself, in the spelling in which it is stored. Raises `Invalid` as `normal_spec` does."""
    return _stored_spec(kind, spec, exclude_unset=True)


def _stored_spec(kind: type[Kind], spec: Document, *, exclude_unset: bool) -> Document:
    shape = kind.Spec
    try:
        # the model's methods around these add as much again
        part = shape.__pydantic_validator__.validate_python(spec, by_alias=True, by_name=False)
    except ValidationError as error:
        raise invalid(error, "/spec") from error
    encoded = shape.__pydantic_serializer__.to_json(part, by_alias=True, exclude_none=True, exclude_unset=exclude_unset)
    stored = _document(encoded)
    _check_stored(encoded, stored, "/spec", SPEC_LIMIT_BYTES)
    return stored


def check_status(kind: type[Kind], status: Document) -> None:
    """Raises `Invalid` naming the field under `/status` where a status does not have its kind's shape. It is stored as it
    comes, so the types are strict: what reads it later may count on them."""
    encoded = _encode(status)
    _check_stored(encoded, status, "/status", STATUS_LIMIT_BYTES)
    try:
        kind.Status.__pydantic_validator__.validate_json(encoded, strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        raise invalid(error, "/status") from error


def check_labels_size(labels: dict[str, str]) -> None:
    """Raises `Invalid` where labels are too large together."""
    _check_stored(_encode(labels), labels, "/metadata/labels", LABELS_LIMIT_BYTES)


def has_zero_byte(encoded: bytes) -> bool:
    """Whether a string somewhere in this JSON text contains a zero byte."""
    return b"\\u0000" in encoded and _ZERO_BYTE.search(encoded) is not None


def is_too_deep(document: Any) -> bool:
    """Whether a document is nested deeper than the limit."""
    level = [document]
    for _ in range(DEPTH_LIMIT + 1):
        level = [inner for outer in level for inner in _members(outer)]
        if not level:
            return False
    return True


def _members(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _check_stored(encoded: bytes, part: Document, pointer: str, limit_bytes: int) -> None:
    """Postgres makes no text of a zero byte, so one that got through would fail the transaction of everybody else."""
    if len(encoded) > limit_bytes:
        raise Invalid(f"it would be {len(encoded)} bytes; it is at most {limit_bytes}", field=pointer)
    if has_zero_byte(encoded):
        at = pointer + _zero_byte_in(part)
        raise Invalid("it contains a zero byte, which cannot be stored", field=at)


def _zero_byte_in(value: Any) -> str:
    """The pointer to the first string with a zero byte; the member itself where its name has it."""
    members: Any = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    )
    for name, member in members:
        if "\x00" in str(name):
            return _pointer((name,))
        if has_zero_byte(_encode(member)):
            return _pointer((name,)) + _zero_byte_in(member)
    return ""


def invalid(error: ValidationError, pointer: str) -> Invalid:
    """Pydantic's findings as our own error: the first one's pointer as its field, all of them as details."""
    found = error.errors(include_url=False)
    details = tuple((pointer + _pointer(one["loc"]), message_of(one)) for one in found if not _follows(one, found))
    field, message = details[0]
    return Invalid(f"{field}: {message}", field=field, details=details[:32])


def message_of(finding: ErrorDetails) -> str:
    """What is wrong: of a validator of our own, what it says, without pydantic's words before it. What is a tuple here is a
    list to who writes a document."""
    error = finding.get("ctx", {}).get("error")
    if isinstance(error, ValueError):
        return str(error)
    return finding["msg"].replace("a valid tuple", "a valid list").replace("Tuple should", "List should")


def _follows(one: ErrorDetails, found: Sequence[ErrorDetails]) -> bool:
    """Whether a sequence is too short only because what is wrong with its members leaves them out, or a default is made of what
    is wrong itself."""
    location = one["loc"]
    if one["type"] == "default_factory_not_called":
        return True
    return one["type"] == "too_short" and any(
        len(other["loc"]) > len(location) and other["loc"][: len(location)] == location for other in found
    )


def _pointer(location: tuple[Any, ...]) -> str:
    if location and location[-1] == "[key]":  # pydantic's mark of a wrong key: the pointer names the member itself
        location = location[:-1]
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')[:200]}" for step in location)
