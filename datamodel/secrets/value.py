"""What a secret may be. Nothing here, and no error that is raised here, shows a value."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from datamodel.errors import Invalid

Values = Mapping[str, SecretStr]
"""By key. Shown, printed or logged, a value is asterisks."""

DEFAULT_KEY = "value"
"""The key of a secret that is one value."""
KEYS_LIMIT = 64
LIMIT_BYTES = 64 * 1024
"""Of all values of a secret together."""
BODY_LIMIT_BYTES = 512 * 1024
"""Of a document that tells one: JSON may need six bytes for one of a value."""

_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


def values_in(document: Mapping[str, Any]) -> Values:
    """The values of a document: `{"value": text}` or `{"data": {key: text, …}}`. Raises `Invalid` with a pointer that goes no
    deeper than these two, since somebody may have put a value where a key belongs."""
    if len(document) != 1 or not document.keys() <= {"value", "data"}:
        raise Invalid("a secret is told by `value`, or by `data` with values by key, and by nothing else")
    if "value" in document:
        return _checked({DEFAULT_KEY: document["value"]}, "/value")
    data = document["data"]
    if not isinstance(data, dict) or not 1 <= len(data) <= KEYS_LIMIT:
        raise Invalid(f"`data` is an object with 1 to {KEYS_LIMIT} members", field="/data")
    if not all(isinstance(key, str) and _KEY.fullmatch(key) for key in data):
        raise Invalid(
            "a key is 1 to 128 letters, digits, '_', '.' and '-', and begins with none of the last", field="/data"
        )
    return _checked(data, "/data")


def revealed(values: Values) -> dict[str, str]:
    """As plain text: for who seals it at once."""
    return {key: value.get_secret_value() for key, value in values.items()}


def hidden(values: Mapping[str, str]) -> Values:
    return {key: SecretStr(value) for key, value in values.items()}


def _checked(values: Mapping[str, Any], pointer: str) -> Values:
    size = 0
    for value in values.values():
        if not isinstance(value, str) or not value:
            raise Invalid("a value is a text, and not empty", field=pointer)
        if "\x00" in value:
            raise Invalid("a value has no zero byte: neither a variable nor a log could show one", field=pointer)
        try:
            size += len(value.encode())
        except UnicodeEncodeError:
            raise Invalid("a value is text in UTF-8", field=pointer) from None  # its message shows the value
    if size > LIMIT_BYTES:
        raise Invalid(f"a secret has at most {LIMIT_BYTES} bytes in all", field=pointer)
    return hidden(values)
