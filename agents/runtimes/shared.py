"""The directory that the steps of an attempt share."""

from typing import Final

from datamodel.errors import Invalid

SHARED: Final = "/shared"

SHARED_VARIABLE: Final = "SHARED_DIR"
"""Tells a step where its shared directory is: `/shared`, except on a host where nothing could be mounted there."""

SECRETS: Final = "/run/secrets"

SECRETS_VARIABLE: Final = "SECRETS_DIR"
"""Tells a step where the files of its secrets are, if it has any: `/run/secrets`, except as above."""

RESULT_FILE: Final = "result.json"

RESULT_LIMIT_BYTES: Final = 64 * 1024


def no_file(path: str, what: str) -> Invalid:
    """What is at a path is not to be read as a file."""
    return Invalid(f"{SHARED}/{path} is {what}, no regular file")
