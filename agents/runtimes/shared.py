"""The directory that the steps of an attempt share."""

from typing import Final

SHARED: Final = "/shared"

SHARED_VARIABLE: Final = "SHARED_DIR"
"""Tells a step where its shared directory is: `/shared`, except on a host where nothing could be mounted there."""

RESULT_FILE: Final = "result.json"

RESULT_LIMIT_BYTES: Final = 64 * 1024
