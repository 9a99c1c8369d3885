"""Where the verbs of jobs are. They are not of every kind, so the command line knows them by name."""

from gateway.commands.client import Client
from gateway.commands.failure import Failure
from gateway.commands.kinds import KindInfo, Kinds, kinds_of
from gateway.commands.names import Target, one_of

JOB = "Job"
JOBS = "/v1/jobs"


def job_kind(kinds: Kinds) -> KindInfo:
    """The kind of jobs. Raises `Failure` where the model that runs has none."""
    found = next((kind for kind in kinds if kind.name == JOB), None)
    if found is None:
        raise Failure("the model that runs has no jobs", "`tendril kinds` lists what it has")
    return found


def job_address(target: Target) -> str:
    """The address of a job's verbs. Raises `Failure` for another kind."""
    if target.kind.name != JOB:
        raise Failure(f"{target.title} is no job", "name a job, as in default/primes")
    return f"{JOBS}/{target.kind.shown(target.path)}"


def shown_at(target: Target) -> str:
    """The address at which most is told of a node: of a job, its executions too."""
    return job_address(target) if target.kind.name == JOB else f"/v1{target.path}"


def job_of(client: Client, word: str, within: str) -> Target:
    """The job that a word means: a name by itself is a job's too. Raises `Failure`."""
    kinds = kinds_of(client)
    return one_of(kinds, job_kind(kinds), word, within)
