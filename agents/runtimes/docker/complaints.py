"""What an engine, or what a step said last, means where nothing but words tells it. Pure."""

import re

from agents.runtimes.reasons import (
    CANNOT_START,
    DEVICE_MISSING,
    DISK_FULL,
    IMAGE_MISSING,
    NETWORK_MISSING,
    PIDS_EXHAUSTED,
    PULL_FAILED,
)

_NO_SPACE = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
_NO_DEVICE = re.compile(
    r"could not select device driver|unknown or invalid runtime name|nvidia-container-cli", re.IGNORECASE
)
_NO_NETWORK = re.compile(r"network \S+ not found", re.IGNORECASE)
_NO_IMAGE = re.compile(r"manifest unknown|name unknown|manifest .*not found|repository does not exist", re.IGNORECASE)
_NO_PROCESS = re.compile(
    r"\b(?:can(?:no|')t |could not )?fork(?:ing)?\b.*(?:fail|unavailable|retry)"
    r"|\bcan(?:no|')t fork\b|can't start new thread|unable to create (?:new )?native thread",
    re.IGNORECASE,
)
_HEARD_CHARACTERS = 4096


def reason_of_refusal(explanation: str) -> str:
    """Why an engine did not make or start a container, from its own words."""
    for pattern, reason in ((_NO_SPACE, DISK_FULL), (_NO_DEVICE, DEVICE_MISSING), (_NO_NETWORK, NETWORK_MISSING)):
        if pattern.search(explanation):
            return reason
    return CANNOT_START


def reason_of_pull(explanation: str) -> str:
    """Why an engine did not get an image, where its status does not say it."""
    if _NO_IMAGE.search(explanation):
        return IMAGE_MISSING
    return DISK_FULL if _NO_SPACE.search(explanation) else PULL_FAILED


def last_complaint(stderr: str) -> tuple[str, str]:
    """Reason and line of what a step that failed complained of last; two empty strings where it says neither that it could
    make no process nor that it found no space. Engines count neither, so there is nothing else to go by."""
    for line in reversed(stderr[-_HEARD_CHARACTERS:].splitlines()):
        if _NO_PROCESS.search(line):
            return PIDS_EXHAUSTED, line.strip()
        if _NO_SPACE.search(line):
            return DISK_FULL, line.strip()
    return "", ""
