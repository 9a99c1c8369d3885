"""What the client asks the system for, as it asks for it: the same request each time."""

import hashlib
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import msgspec

from datamodel.command import Actor, Command, Unit
from datamodel.kinds import USER, Document
from datamodel.node import Node
from datamodel.scheduling.jobs import SUCCEEDED
from datamodel.scheduling.scheduler import PRIORITY_DEFAULT
from datamodel.scheduling.service import config_paths
from sim.world.engine import Behaviour
from sim.world.hosts import IMAGE
from sim.world.keys import SITE
from sim.world.process import EPOCH
from sim.world.receivers import url_of
from sim.world.script import Plan, Say, Submit
from sim.world.splits import array_of
from sim.world.terms import NEVER, NO_TERMS, spec_of

GROUP = "/config/job-groups/default"
PATIENCE_S = 10.0
"""How much longer than it should take a chunk may run, of a job with a limit."""
HOPELESS_CPU = 4_000.0
"""No edge of a world has as much."""
ACTOR = Actor("client", USER)
SAYING = Actor("client/words", USER)
"""Who owns nothing else of what is asked of edges."""

_encode = msgspec.json.Encoder().encode


def path_of(job: str) -> str:
    return f"{GROUP}/jobs/{job}"


def schedule_path(name: str) -> str:
    return f"{GROUP}/schedules/{name}"


_MANNERS: dict[str, dict[str, Any]] = {
    "": {},
    "apart": {"placement": {"arrangement": {"chunks": "apart"}}},
    "spread": {"placement": {"arrangement": {"chunks": "spread"}, "preferred": [{"labels": "tendril/edge=edge-0"}]}},
    "packed": {"placement": {"arrangement": {"chunks": "pack"}, "required": "tendril/site"}},
    "narrow": {"maxParallel": 2},
    "gang": {"allOrNothing": True},
}


def submission(wish: Submit) -> Unit:
    """The same request each time."""
    behaviour = Behaviour(wish.seconds / wish.steps, wish.fails, wish.fails_by, wish.sigma, wish.failing)
    terms = wish.terms or NO_TERMS
    script = _encode(behaviour).decode()
    spec = {
        **_chunks(wish),
        "retries": wish.retries,
        "requests": {"cpu": HOPELESS_CPU if terms.hopeless else 1.0},
        "steps": [{"name": f"step-{number}", "image": IMAGE, "script": script} for number in range(wish.steps)],
        "outputs": {"ran": "sum", "chunk": "collect"},
        **spec_of(terms, wish.chunks),
    }
    spec = {**_MANNERS[wish.manner], **spec}
    if "%" in spec.get("array", ""):
        del spec["maxParallel"]
    if wish.priority != PRIORITY_DEFAULT:
        spec["priority"] = wish.priority
    if wish.fails_by == "time" and wish.fails < NEVER:
        spec["limits"] = {"timeoutS": wish.seconds + PATIENCE_S}
    if wish.tells:
        phases = ["running", "succeeded", "failed", "aborted"]
        spec["callbacks"] = [{"url": url_of(temper, wish.job), "on": phases} for temper in wish.tells]
    if wish.after:
        spec["after"] = [{"job": name, "on": wish.on} for name in wish.after]
    if wish.start_s is not None:
        spec["startAt"] = (EPOCH + timedelta(seconds=wish.start_s)).isoformat()
    if wish.replace_s is not None:
        spec["cutOff"] = {"policy": "replace", "afterS": wish.replace_s}
    if wish.lease_s is not None:
        spec["cutOff"] = {"policy": "exclusive", "leaseS": wish.lease_s}
    if wish.ttl_s is not None:
        spec["ttlAfterFinishS"] = wish.ttl_s
    digest = hashlib.sha256(_encode(spec)).hexdigest()
    create = Command("create", path_of(wish.job), spec, cause=f"request:submit-{wish.job}", correlation=wish.job)
    return Unit((create,), ACTOR, key=f"submit/{wish.job}", digest=digest)


def _chunks(wish: Submit) -> Document:
    """How a job says how many chunks it has."""
    match wish.counted:
        case "split":
            return {"maxChunks": wish.chunks, "workWs": 100.0 * wish.chunks, "minChunkWs": 130.0}
        case "array":
            return {"array": array_of(wish.chunks) + ("%2" if wish.manner == "narrow" else "")}
    return {"chunks": wish.chunks}


def word_of(wish: Say, position: int) -> Unit:
    """What an operator says of an edge, beside all else that is asked of it."""
    above, path = config_paths(SITE, wish.edge)
    word = {"says": wish.says, "position": position, "reason": "they say so"}
    commands = Command("apply", above), Command("apply", path), Command("patchSpec", path, {"word": word})
    return Unit(commands, SAYING, cause=f"request:{wish.says}-{wish.edge}")


def adoptions(attempts: Iterable[Node]) -> list[Unit]:
    """A request for each of these that has a result which was kept."""
    return [
        Unit((Command("patchSpec", one.path, {"adopted": True}),), SAYING, cause="request:adopt")
        for one in attempts
        if one.phase == SUCCEEDED and one.status.get("settlement") == "superseded" and "adopted" not in one.spec
    ]


def planned(wish: Plan) -> Unit:
    """The same request each time."""
    script = _encode(Behaviour(wish.seconds)).decode()
    job = {
        "chunks": wish.chunks,
        "requests": {"cpu": 1.0},
        "steps": [{"name": "step", "image": IMAGE, "script": script}],
    }
    spec: Document = {
        "cron": f"*/{wish.every_min} * * * *",
        "job": job,
        "concurrency": wish.concurrency,
        "keepFinished": {"successful": wish.keep, "failed": wish.keep},
    }
    if wish.deadline_s is not None:
        spec["startingDeadlineS"] = wish.deadline_s
    cause = f"request:plan-{wish.schedule}"
    create = Command("create", schedule_path(wish.schedule), spec, cause=cause, correlation=wish.schedule)
    return Unit((create,), ACTOR, key=f"plan/{wish.schedule}", digest=hashlib.sha256(_encode(spec)).hexdigest())
