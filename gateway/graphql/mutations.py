"""Mutations. What is wrong with the input comes back as `userErrors`, not as an error of the request."""

from typing import Any

import strawberry
from strawberry.types.field import StrawberryField

from datamodel.command import Command
from datamodel.errors import TendrilError, Transient
from datamodel.names import check_name
from gateway.exposure import check_deletable
from gateway.graphql.context import Info
from gateway.graphql.kinds import Kinds, NodeInterface
from gateway.graphql.objects import object_type, plain, resolved
from gateway.graphql.scalars import JSON
from gateway.jobs import group_path, submit
from gateway.problem import Finding, detail_of, findings


@strawberry.type(
    description="One thing that is wrong; `pointer` is a JSON pointer into the input, empty for all of it."
)
class UserError:
    pointer: str
    message: str


def mutation_type(kinds: Kinds) -> Any:
    """The root type of mutations."""
    return object_type(
        "Mutation",
        [
            _mutation("submitJob", _payload("SubmitJobPayload", plain("job", kinds.types["Job"] | None)), submit_job),
            _mutation(
                "createJobGroup",
                _payload("CreateJobGroupPayload", plain("jobGroup", kinds.types["JobGroup"] | None)),
                create_job_group,
            ),
            _mutation(
                "deleteNode",
                _payload("DeleteNodePayload", plain("deleted", bool), plain("node", NodeInterface | None)),
                delete_node,
            ),
        ],
    )


async def submit_job(info: Info, document: JSON) -> Any:
    """Submits a job: the document that `POST /v1/jobs` takes."""
    try:
        return {"job": await submit(info.context.backend, document, cause="submitJob"), "userErrors": ()}
    except TendrilError as error:
        return {"job": None, "userErrors": _user_errors(error)}


async def create_job_group(info: Info, name: str, description: str = "") -> Any:
    """Creates a group of jobs."""
    backend = info.context.backend
    try:
        path = group_path(check_name(name, "/name"))
        command = Command("create", path, {"description": description})
        verdict = await backend.carry_out(command, cause="createJobGroup")
        return {"jobGroup": await backend.node_after(verdict), "userErrors": ()}
    except TendrilError as error:
        return {"jobGroup": None, "userErrors": _user_errors(error)}


async def delete_node(info: Info, path: str) -> Any:
    """Deletes a node with everything below it. Where somebody has to clean up first, `deleted` is false and `node` shows
    it until it is gone."""
    backend = info.context.backend
    try:
        check_deletable(backend.model, path)
        node = await backend.delete(path, cause="deleteNode")
    except TendrilError as error:
        return {"deleted": False, "node": None, "userErrors": _user_errors(error)}
    return {"deleted": node is None, "node": node, "userErrors": ()}


def _mutation(name: str, payload: Any, resolver: Any) -> StrawberryField:
    return resolved(name, payload, resolver, resolver.__doc__)


def _payload(name: str, *fields: StrawberryField) -> Any:
    return object_type(name, [*fields, plain("userErrors", list[UserError])])


def _user_errors(error: TendrilError) -> list[Finding]:
    """What the user can do something about. A store that does not answer is an error of the request."""
    if isinstance(error, Transient):
        raise error
    return list(findings(error)) or [Finding("", detail_of(error))]
