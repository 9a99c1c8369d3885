"""Why a step ended, where its exit code does not say it."""

from typing import Final

IMAGE_MISSING: Final = "ImageMissing"
"""No such image here, and the registry has none either."""

PULL_FAILED: Final = "PullFailed"
"""No such image here, and no registry could be asked."""

CANNOT_START: Final = "CannotStart"
"""The engine took the step but could not run it: no shell, no such command, a limit out of range."""

OOM_KILLED: Final = "OOMKilled"
"""The kernel ended the step because it used more memory than it asked for."""
