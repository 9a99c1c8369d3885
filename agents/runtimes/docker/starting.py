"""Making and starting one step's container, whatever exists of it already. Blocks; runs in a thread of the engine's."""

import time
from http import HTTPStatus

import docker
from docker.errors import APIError, ImageNotFound

from agents.runtimes.archive import archive, inputs_packed
from agents.runtimes.docker.archive import open_to_all
from agents.runtimes.docker.complaints import reason_of_refusal
from agents.runtimes.docker.container import (
    container_name,
    container_options,
    host_options,
    labels,
    step_state,
    volume_name,
)
from agents.runtimes.docker.engine import is_refusal
from agents.runtimes.policy import Policy
from agents.runtimes.protocol import StepState, Work
from agents.runtimes.reasons import CANNOT_START
from agents.runtimes.shared import SHARED

_CANNOT_START_CODE = 125  # what `docker run` exits with when there is no container


def start_container(
    client: docker.APIClient, work: Work, index: int, policy: Policy, image_user: str
) -> StepState | None:
    """Starts step `index` once, of an image that is here. Returns its end where it never got a container that could tell it.

    Raises `APIError` where the engine has trouble.
    """
    try:
        client.create_volume(volume_name(work.attempt), labels=labels(work))
        is_new = _create(client, work, index, policy, image_user)
    except ImageNotFound:  # removed since it was looked at
        raise
    except APIError as error:
        return _refused(error, is_final=is_refusal(error))
    try:
        _launch(client, work, index, is_new=is_new)
    except APIError as error:
        return _refused(error, is_final=False)
    return None


def _refused(error: APIError, *, is_final: bool) -> StepState:
    """Raises the error again where it is trouble of the engine's that says nothing about the step."""
    explanation = str(error.explanation)
    reason = reason_of_refusal(explanation)
    if reason == CANNOT_START and not is_final:
        raise error
    return never_started(reason, explanation)


def never_started(reason: str, message: str) -> StepState:
    now_s = time.time()
    return StepState("exited", now_s, now_s, _CANNOT_START_CODE, reason, message)


def _create(client: docker.APIClient, work: Work, index: int, policy: Policy, image_user: str) -> bool:
    """False where the name is taken: we were here before."""
    try:
        client.create_container(
            **container_options(work, index, policy, image_user),
            host_config=client.create_host_config(**host_options(work, index, policy)),
        )
    except APIError as error:
        if error.status_code != HTTPStatus.CONFLICT:
            raise
        return False
    return True


def _launch(client: docker.APIClient, work: Work, index: int, *, is_new: bool) -> None:
    name = container_name(work.attempt, work.steps[index].name)
    if not is_new and step_state(client.inspect_container(name)) is not None:
        return
    if index == 0:
        # A new volume is root's alone, and the image's user may be another.
        client.put_archive(name, SHARED, open_to_all())
        if work.inputs:
            client.put_archive(name, SHARED, archive(inputs_packed(work.inputs)))
    try:
        client.start(name)
    except APIError:
        if step_state(client.inspect_container(name)) is None:
            raise
