"""Which secrets of builds are wanted no more."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from msgspec import structs

from datamodel.node import Node
from datamodel.secrets.ports import Described
from datamodel.seeds import seed
from gateway.fronts.keeping import GRACE, unwanted
from tests.graph import memory_store, new_job

NOW = datetime(2026, 11, 2, tzinfo=UTC)


def kept(name: str, age: timedelta = timedelta()) -> Described:
    return Described(name, 1, NOW - age, NOW - age)


async def test_those_whose_job_has_ended_well_or_is_gone() -> None:
    store = memory_store()
    await seed(store)
    job = await new_job(store)
    ids = {phase: str(uuid4()) for phase in ("", "pending", "running", "succeeded", "failed", "aborted")}
    jobs: dict[str, Node] = {
        f"/config/job-groups/default/jobs/{one}": structs.replace(job, status={"phase": phase})
        for phase, one in ids.items()
    }
    gone, coming = f"hades-{uuid4()}", f"hades-{uuid4()}"
    others = [kept("database", 2 * GRACE), kept("hades-mine", 2 * GRACE), kept("hades-", 2 * GRACE)]
    secrets = [kept(f"hades-{one}") for one in ids.values()] + [kept(gone, 2 * GRACE), kept(coming), *others]
    assert unwanted(secrets, jobs, NOW) == [f"hades-{ids['succeeded']}", f"hades-{ids['aborted']}", gone]
