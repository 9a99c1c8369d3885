"""What GraphQL has for jobs beside their kind: their executions, and how they are submitted."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from strawberry.types.field import StrawberryField

from datamodel.errors import TendrilError
from datamodel.names import check_name
from datamodel.node import Node
from gateway.backend import Backend
from gateway.executions import Execution, executions_of
from gateway.graphql.context import EXECUTIONS_CHARGE, Context, Info
from gateway.graphql.explain import explain_field
from gateway.graphql.mutations import argument_errors, into_input, mutation, payload, replay_guard, user_errors
from gateway.graphql.objects import listed, loaded, object_type, plain
from gateway.graphql.scalars import JSON
from gateway.jobs import job_path, submit
from gateway.verbs import SUMMARIES, VERBS, act


def job_fields() -> list[StrawberryField]:
    """Where a job ran or runs, and why it is as it is."""
    return [_executions_field(), explain_field()]


def _executions_field() -> StrawberryField:
    execution = object_type(
        "Execution",
        [
            *(plain(name, str) for name in ("site", "edge")),
            *(plain(name, int) for name in ("chunks", "running", "succeeded", "failed")),
            plain("percent", float),
            plain("heard", bool),
        ],
        Execution.__doc__,
    )

    return loaded("executions", listed(execution), _executions, "Every edge where the job ran or runs.")


async def _executions(context: Context, jobs: Sequence[Node]) -> Sequence[Any]:
    context.charge(EXECUTIONS_CHARGE * len(jobs), "executions")
    await context.together()
    return await context.batch(_by_job).get_all([job.uid for job in jobs])


async def _by_job(backend: Backend, jobs: Collection[str]) -> dict[str, list[Execution]]:
    return await executions_of(backend.store, jobs)


def job_mutations(types: Mapping[str, Any]) -> list[StrawberryField]:
    """How jobs are submitted, and what people ask of those that they have."""
    submitted = payload("SubmitJobPayload", plain("job", types["Job"] | None))
    return [
        mutation("submitJob", submitted, submit_job),
        *(_verb_mutation(verb, types["Job"]) for verb in VERBS),
    ]


def _verb_mutation(verb: str, job_type: Any) -> StrawberryField:
    async def do(info: Info, group: str, name: str, idempotency_key: str | None = None) -> Any:
        key, digest = replay_guard(f"{verb}Job", idempotency_key, [group, name])
        try:
            path = job_path(check_name(group, "/group"), check_name(name, "/name"))
            job, _ = await act(info.context.backend, path, verb, key=key, digest=digest)
        except TendrilError as error:
            return {"job": None, "userErrors": argument_errors(error, ("/group", "/name"), "/name")}
        return {"job": job, "userErrors": ()}

    do.__doc__ = f"{SUMMARIES[verb]}."
    done = payload(f"{verb.capitalize()}JobPayload", plain("job", job_type | None))
    return mutation(f"{verb}Job", done, do)


async def submit_job(info: Info, document: JSON, idempotency_key: str | None = None) -> Any:
    """Submits a job: the document that `POST /v1/jobs` takes. Sent again with its key, it does nothing again, for 24 hours."""
    key, digest = replay_guard("submitJob", idempotency_key, document)
    try:
        return {"job": await submit(info.context.backend, document, key=key, digest=digest), "userErrors": ()}
    except TendrilError as error:
        return {"job": None, "userErrors": [into_input(found) for found in user_errors(error)]}
