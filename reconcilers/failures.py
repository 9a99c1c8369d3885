"""Which jobs have failed: by a chunk that has failed more often than its job grants."""

from datamodel.ledger import Totals
from datamodel.node import Node
from datamodel.ports import Store
from datamodel.scheduling.jobs import FAILED

PAGE = 1_000


async def failed_for_good(store: Store, job: Node, totals: Totals) -> bool:
    """Whether a chunk of it is not tried again. Those that have failed are looked at one by one, since the job's retries may
    have been raised since."""
    if not totals.phases.get(FAILED):
        return False
    after = -1
    while entries := await store.entries(job.uid, phases=(FAILED,), after=after, limit=PAGE):
        if any(entry.failures > job.spec["retries"] for entry in entries):
            return True
        after = entries[-1].index
    return False
