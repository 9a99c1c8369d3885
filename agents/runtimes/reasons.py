"""Why a step ended, where its exit code does not say it."""

from typing import Final

IMAGE_MISSING: Final = "ImageMissing"
"""No such image here, and the registry has none either."""

IMAGE_NEVER_PULLED: Final = "ImageNeverPulled"
"""No such image here, and the step forbids to ask a registry."""

PULL_FAILED: Final = "PullFailed"
"""The image could not be had: no registry answered, or it did not let us."""

SHELL_MISSING: Final = "ShellMissing"
"""The image does not have the shell that should run the step's script."""

CANNOT_START: Final = "CannotStart"
"""The engine took the step but could not run it: no such command, a limit out of range."""

DEVICE_MISSING: Final = "DeviceMissing"
"""The engine has no such GPU."""

UNSCHEDULABLE: Final = "Unschedulable"
"""The cluster found no node for it, or let nobody make its pod."""

NETWORK_MISSING: Final = "NetworkMissing"
"""The engine has no network of this name."""

DISK_FULL: Final = "DiskFull"
"""No space was left: on the edge's disk, or in the step's own `/tmp`."""

OOM_KILLED: Final = "OOMKilled"
"""The kernel ended the step because it used more memory than it asked for."""

PIDS_EXHAUSTED: Final = "PidsExhausted"
"""The step failed once it could make no more processes or threads."""

TIMED_OUT: Final = "TimedOut"
"""The attempt ran longer than its job allows, and was ended."""

LEASE_OVER: Final = "LeaseOver"
"""The hub could not be asked in time whether it may go on, or said that it may not, and its guard has ended it."""

ENGINE_AWAY: Final = "EngineAway"
"""The edge's engine did not answer for so long that the attempt, of which nothing had begun, was given back."""

SECRET_MISSING: Final = "SecretMissing"  # noqa: S105 - a word, not one
"""The job group does not have the secret any more, or not that key of it."""

SECRETS_TOO_LARGE: Final = "SecretsTooLarge"
"""The attempt's secrets are more than an edge is handed at a time."""

ARTIFACT_MISSING: Final = "ArtifactMissing"
"""The steps have left no such file."""

ARTIFACT_REFUSED: Final = "ArtifactRefused"
"""What they left in its place is no regular file, or is reached by way of a link, or has changed since."""

ARTIFACT_TOO_LARGE: Final = "ArtifactTooLarge"
"""It is beyond a limit: its own, the job's or the edge's."""

ARTIFACT_NOT_SENT: Final = "ArtifactNotSent"
"""The hub has not taken it in time."""

INPUT_GONE: Final = "InputGone"
"""The hub does not keep a file any more that the attempt was to be given."""

INPUT_BROKEN: Final = "InputBroken"
"""What the hub has in its place is another file."""

INPUT_TOO_LARGE: Final = "InputTooLarge"
"""The edge has no room for what the attempt was to be given."""

INPUT_NOT_FETCHED: Final = "InputNotFetched"
"""The hub has not given it in time."""

NETWORK_FORBIDDEN: Final = "NetworkForbidden"
IMAGE_FORBIDDEN: Final = "ImageForbidden"
DIGEST_REQUIRED: Final = "DigestRequired"
ROOT_FORBIDDEN: Final = "RootForbidden"
LIMIT_FORBIDDEN: Final = "LimitForbidden"
"""The edge's operator does not allow what the job asks for; nothing of it was started."""

UNSUPPORTED: Final = "Unsupported"
"""This edge's runtime cannot give what the job asks for; nothing of it was started."""
