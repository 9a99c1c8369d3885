"""What ran, by the steps' own word, beside what the system says it had placed: the checker's rules of where and how often."""

from collections.abc import Iterator

from datamodel.scheduling.attempts import VACANT
from datamodel.scheduling.giving_up import UNHEARD
from datamodel.scheduling.jobs import SUCCEEDED
from sim.chaos.evidence import AttemptSeen, Evidence


def what_ran_was_placed(evidence: Evidence) -> Iterator[str]:
    """Every attempt that ran is one that the system has made, and ran at the site where that is."""
    sites = {attempt.name: attempt.site for attempt in evidence.attempts}
    whole = {job.uid: name for name, job in evidence.whole.items()}
    for attempt, owner, place in sorted({(line.attempt, line.owner, line.place) for line in evidence.lines}):
        if owner not in whole:
            continue
        if attempt not in sites:
            yield f"{whole[owner]}: {attempt} ran and was never placed"
        elif evidence.places and evidence.places.get(place) != sites[attempt]:
            yield f"{whole[owner]}: {attempt} of {sites[attempt]} ran at {evidence.places.get(place, place)}"


def nothing_runs_twice(evidence: Evidence) -> Iterator[str]:
    """No attempt begins twice, but one that a clone of its agent had as well; and no chunk is begun anew, but where the attempt
    before has ended without success, or was replaced since its edge was not heard from."""
    attempts = {attempt.name: attempt for attempt in evidence.attempts}
    whole = {job.uid for job in evidence.whole.values()}
    begun: dict[str, int] = {}
    chunks: dict[tuple[str, int], set[int]] = {}
    for line in evidence.lines:
        if line.owner in whole and line.event == "start" and line.step == 1:
            begun[line.attempt] = begun.get(line.attempt, 0) + 1
            chunks.setdefault((line.owner, line.chunk), set()).add(line.epoch)
    for name, times in begun.items():
        if times > 1 and name in attempts and attempts[name].site not in evidence.cloned:
            yield f"{name} on {attempts[name].edge} was begun {times} times"
    placed = {(attempt.owner, attempt.chunk, attempt.epoch): attempt for attempt in evidence.attempts}
    for (owner, chunk), epochs in chunks.items():
        for epoch in sorted(epochs)[:-1]:
            before = placed.get((owner, chunk, epoch))
            if before is not None and not _may_be_followed(before):
                yield f"{before.name} on {before.edge} is {before.phase}, and its chunk was begun once more"


def _may_be_followed(attempt: AttemptSeen) -> bool:
    return attempt.phase in VACANT - {SUCCEEDED} or attempt.reason in UNHEARD
