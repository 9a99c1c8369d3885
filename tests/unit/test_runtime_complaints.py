"""What engines and steps say, and the reason that it is."""

import pytest

from agents.runtimes.docker.complaints import last_complaint, reason_of_pull, reason_of_refusal
from agents.runtimes.docker.pull import error_in
from agents.runtimes.reasons import (
    CANNOT_START,
    DEVICE_MISSING,
    DISK_FULL,
    IMAGE_MISSING,
    NETWORK_MISSING,
    PIDS_EXHAUSTED,
    PULL_FAILED,
)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("mkdir /var/lib/docker/overlay2/x: no space left on device", DISK_FULL),
        ('could not select device driver "nvidia" with capabilities: [[gpu]]', DEVICE_MISSING),
        ("network lab not found", NETWORK_MISSING),
        ("Minimum memory limit allowed is 6MB", CANNOT_START),
        ("", CANNOT_START),
    ],
)
def test_an_engines_words_have_a_reason(said: str, reason: str) -> None:
    assert reason_of_refusal(said) == reason


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("manifest unknown", IMAGE_MISSING),
        ("manifest for busybox:0 not found: manifest unknown: manifest unknown", IMAGE_MISSING),
        ("write /var/lib/docker/tmp/x: no space left on device", DISK_FULL),
        ('Get "https://r/v2/": dial tcp: lookup r: no such host', PULL_FAILED),
        ("no basic auth credentials", PULL_FAILED),
    ],
)
def test_a_pulls_failure_has_a_reason(said: str, reason: str) -> None:
    assert reason_of_pull(said) == reason


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("sh: can't fork: Resource temporarily unavailable", PIDS_EXHAUSTED),
        ("bash: fork: retry: Resource temporarily unavailable", PIDS_EXHAUSTED),
        ("sh: 1: Cannot fork", PIDS_EXHAUSTED),
        ("RuntimeError: can't start new thread", PIDS_EXHAUSTED),
        ("java.lang.OutOfMemoryError: unable to create native thread", PIDS_EXHAUSTED),
        ("[FATAL tini (1)] fork failed: Resource temporarily unavailable", PIDS_EXHAUSTED),
        ("sh: write error: No space left on device", DISK_FULL),
        ("cp: a fork in the road", ""),
        ("BlockingIOError: [Errno 11] Resource temporarily unavailable: 'socket'", ""),
        ("", ""),
    ],
)
def test_a_steps_last_words_have_one(line: str, reason: str) -> None:
    assert last_complaint(f"before\n{line}\nafter\n") == (reason, line if reason else "")


def test_the_last_complaint_counts() -> None:
    assert last_complaint("sh: can't fork: no\nsh: No space left on device\n")[0] == DISK_FULL


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b'{"message":"no such host"}', "no such host"),
        (b'{"errorDetail":{"message":"x"},"error":"manifest unknown"}', "manifest unknown"),
        (b'{"status":"Pulling fs layer","progressDetail":{}}', ""),
        (b'{"error":{"a":1}}', ""),
        (b"<html>", ""),
        (b"[]", ""),
        (b"", ""),
        (b"\xff", ""),
        (b"[" * 100_000, ""),
    ],
)
def test_a_pulls_errors_are_heard(said: bytes, error: str) -> None:
    assert error_in(said) == error
