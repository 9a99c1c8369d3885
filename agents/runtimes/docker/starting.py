"""Making and starting one step's container, whatever exists of it already. Blocks; runs in a thread of the engine's."""

import time
from http import HTTPStatus

import docker
from docker.errors import APIError, ImageNotFound

from agents.runtimes.docker.archive import open_to_all
from agents.runtimes.docker.container import (
    container_name,
    container_options,
    host_options,
    labels,
    step_state,
    volume_name,
)
from agents.runtimes.docker.engine import is_refusal
from agents.runtimes.protocol import StepState, Work
from agents.runtimes.reasons import CANNOT_START, IMAGE_MISSING, PULL_FAILED

_CANNOT_START_CODE = 125  # what `docker run` exits with when there is no container


def start_container(client: docker.APIClient, work: Work, index: int) -> StepState | None:
    """Starts step `index` once. Returns its end where it never got a container that could tell it.

    Raises `APIError` where the engine has trouble.
    """
    client.create_volume(volume_name(work.attempt), labels=labels(work))
    try:
        try:
            _create(client, work, index)
        except ImageNotFound:
            _pull(client, work.steps[index].image)
            _create(client, work, index)
    except _PullError as error:
        return _never_started(error.reason, str(error))
    except APIError as error:
        if is_refusal(error):
            return _never_started(CANNOT_START, str(error.explanation))
        raise
    _launch(client, container_name(work.attempt, work.steps[index].name), index)
    return None


def _create(client: docker.APIClient, work: Work, index: int) -> None:
    try:
        client.create_container(
            **container_options(work, index), host_config=client.create_host_config(**host_options(work))
        )
    except APIError as error:
        if error.status_code != HTTPStatus.CONFLICT:  # the name is taken: we were here before
            raise


def _launch(client: docker.APIClient, name: str, index: int) -> None:
    if step_state(client.inspect_container(name)) is not None:
        return
    if index == 0:
        # A new volume is root's alone, and the image's user may be another.
        client.put_archive(name, "/", open_to_all())
    try:
        client.start(name)
    except APIError:
        if step_state(client.inspect_container(name)) is None:
            raise


class _PullError(Exception):
    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def _pull(client: docker.APIClient, image: str) -> None:
    try:
        for line in client.pull(image, stream=True, decode=True):
            if "error" in line:
                raise _PullError(PULL_FAILED, line["error"])
    except APIError as error:
        raise _PullError(IMAGE_MISSING if is_refusal(error) else PULL_FAILED, str(error.explanation)) from error


def _never_started(reason: str, message: str) -> StepState:
    now_s = time.time()
    return StepState("exited", now_s, now_s, _CANNOT_START_CODE, reason, message)
