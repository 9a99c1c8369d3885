"""Asking a registry for an image, by way of the engine. Blocks; runs in a slot for pulls."""

import threading
import time
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

import docker
import msgspec
import requests
from docker import auth
from docker.errors import APIError, DockerException
from docker.utils import parse_repository_tag
from urllib3.exceptions import ReadTimeoutError

from agents.runtimes.docker.complaints import reason_of_pull
from agents.runtimes.docker.engine import is_refusal
from agents.runtimes.reasons import IMAGE_MISSING, PULL_FAILED
from datamodel.errors import Transient
from datamodel.scheduling.images import image_name

STALL_S = 60
"""An engine tells of each layer's progress several times a second, and gives up on a silent registry by itself."""
PULL_TIMEOUT_S = 3600
_MESSAGE_CHARACTERS = 1000


class _Configuration(msgspec.Struct, rename="camel"):
    """The parts of docker's `config.json` that have to do with registries."""

    auths: dict[str, dict[str, str]] = {}
    creds_store: str = ""
    cred_helpers: dict[str, str] = {}


class PullFailure(NamedTuple):
    reason: str
    message: str


class Image(NamedTuple):
    """What an engine has. `user` is whom it runs as by itself, empty for root; `names` are its tags and digests."""

    user: str
    names: list[str]


def find_image(client: docker.APIClient, image: str) -> Image | None:
    """None where the engine has no such image, or takes this for no image's name."""
    try:
        found = client.inspect_image(image)  # type: ignore[no-untyped-call]
    except APIError as error:
        if is_refusal(error):
            return None
        raise
    user = (found.get("Config") or {}).get("User") or ""
    return Image(user, [*(found.get("RepoTags") or ()), *(found.get("RepoDigests") or ())])


def image_names(client: docker.APIClient) -> list[str]:
    """The tags and digests of all images of the engine, those of the newest first."""
    found = sorted(client.images(), key=lambda image: -image.get("Created", 0))
    names = (name for image in found for of in ("RepoTags", "RepoDigests") for name in image.get(of) or ())
    return [name for name in names if not name.startswith("<none>") and not name.endswith("<none>")]


def pull_image(
    client: docker.APIClient, image: str, credentials: Path | None, stall_s: float, closing: threading.Event
) -> PullFailure | None:
    """Returns once the image is here, or why it is not; a pull of which nothing is told for `stall_s` has failed. Raises
    `Transient` where the engine itself fails or is left."""
    try:
        login = _login(image, credentials)
    except (DockerException, OSError, ValueError) as error:  # never its text, which may quote the file
        return PullFailure(PULL_FAILED, f"the registry credentials of this edge cannot be read: {type(error).__name__}")
    repository, tag = parse_repository_tag(image)
    # Not `client.pull`, which waits for ever for an engine that says nothing more.
    answer = client.post(
        f"{client.base_url}/v{client.api_version}/images/create",
        params={"fromImage": repository, "tag": tag or "latest"},
        headers={"X-Registry-Auth": auth.encode_header(login)},
        stream=True,
        timeout=(stall_s, stall_s),
    )
    with answer:
        if answer.status_code != HTTPStatus.OK:
            said = error_in(answer.content) or f"the engine answered {answer.status_code}"
            is_refused = answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR
            return PullFailure(IMAGE_MISSING if is_refused else reason_of_pull(said), said)
        return _outcome(_lines(answer, stall_s), closing)


def error_in(said: bytes) -> str:
    """The error that a piece of an engine's answer tells of; empty where it is progress, or nothing that can be read."""
    try:
        found = msgspec.json.decode(said)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return ""
    told = (found.get("error") or found.get("message")) if isinstance(found, dict) else None
    return told[:_MESSAGE_CHARACTERS] if isinstance(told, str) else ""


def _outcome(lines: Iterator[bytes], closing: threading.Event) -> PullFailure | None:
    deadline_s = time.monotonic() + PULL_TIMEOUT_S
    for line in lines:
        if closing.is_set():
            raise Transient("the engine is being left")
        if (error := error_in(line)) and line.find(b'"error"') >= 0:
            return PullFailure(reason_of_pull(error), error)
        if time.monotonic() > deadline_s:
            return PullFailure(PULL_FAILED, f"the pull took longer than {PULL_TIMEOUT_S} s")
    return None


def _lines(answer: requests.Response, stall_s: float) -> Iterator[bytes]:
    try:
        yield from answer.iter_lines()
    except requests.ConnectionError as error:
        if not any(isinstance(cause, ReadTimeoutError) for cause in error.args):
            raise
        yield msgspec.json.encode({"error": f"the pull made no progress for {stall_s:g} s"})


def _login(image: str, credentials: Path | None) -> dict[str, Any]:
    """What the operator's file has for the image's registry; nothing where there is no file, or no entry."""
    if credentials is None:
        return {}
    file = msgspec.json.decode(credentials.read_bytes(), type=_Configuration)
    known = auth.load_config(config_dict=msgspec.to_builtins(file))
    registry, _ = auth.resolve_repository_name(image_name(image).repository)
    found: dict[str, Any] | None = known.resolve_authconfig(registry)
    return found or {}
