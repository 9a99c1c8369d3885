"""What is counted stays: the ledger's entry is final only once its attempt has ended, and no other attempt may begin then."""

import itertools

import pytest
from msgspec.structs import replace

from datamodel.ledger import Entry
from datamodel.scheduling.attempts import ABANDON, COUNTED, INTERRUPTED, PLACED, RETRY, RUN, STOP, STOPPED, Attempt
from datamodel.scheduling.giving_up import EDGE_CUT_OFF, EDGE_DRAINED, EDGE_LOST
from datamodel.scheduling.jobs import ABORTED, FAILED, PENDING, RUNNING, SUCCEEDED
from tests.graph import JOBS

OWNER = "0" * 32
HOLDER = f"/desired-config/sites/s/edges/e/attempts/{OWNER}-0-1"


def entry(phase: str) -> Entry:
    return Entry(OWNER, 0, 1, phase, HOLDER)


@pytest.mark.parametrize(
    ("before", "phase", "intent", "retries"),
    list(
        itertools.product(
            (PLACED, RUNNING, RETRY),
            (PENDING, RUNNING, SUCCEEDED, FAILED, INTERRUPTED, STOPPED),
            (RUN, STOP, ABANDON),
            (0, 1),
        )
    ),
)
def test_an_entry_is_final_only_once_its_attempt_has_ended(before: str, phase: str, intent: str, retries: int) -> None:
    """So of an entry that is final, the attempt with its epoch changes nothing any more, whether or not the fold looks at the
    entry's phase too: it has ended, and one epoch has one attempt."""
    assert Attempt.settle is not None
    assert Attempt.phases is not None
    after = Attempt.settle.advance(entry(before), {"intent": intent, "retries": retries}, {"phase": phase})
    assert after.epoch == 1
    assert after.phase not in COUNTED or Attempt.phases.is_terminal(phase)


def begun(before: Entry, epoch: int, retries: int = 0) -> Entry | str:
    assert Attempt.settle is not None
    claim = Attempt.settle.claim(f"{JOBS}/{OWNER}-0-{epoch}")
    assert claim is not None
    return Attempt.settle.begin(before, claim, HOLDER, {"retries": retries, "index": 0, "count": 1})


@pytest.mark.parametrize(("index", "count"), [(1, 2), (0, 0)])
def test_no_attempt_begins_at_another_chunk_than_its_spec_says_or_beyond_the_last(index: int, count: int) -> None:
    assert Attempt.settle is not None
    claim = Attempt.settle.claim(f"{JOBS}/{OWNER}-0-1")
    assert claim is not None
    assert isinstance(Attempt.settle.begin(None, claim, HOLDER, {"retries": 0, "index": 0, "count": 1}), Entry)
    assert isinstance(Attempt.settle.begin(None, claim, HOLDER, {"retries": 0, "index": index, "count": count}), str)


@pytest.mark.parametrize("phase", [PLACED, RUNNING, SUCCEEDED, FAILED])
def test_no_attempt_begins_at_what_is_counted_or_held(phase: str) -> None:
    for epoch in (1, 2, 3):
        assert isinstance(begun(replace(entry(phase), failures=1), epoch), str)


@pytest.mark.parametrize("phase", [FAILED, ABORTED, RETRY])
def test_one_begins_anew_at_what_has_failed_less_often_than_its_job_grants_or_was_stopped(phase: str) -> None:
    before = replace(entry(phase), failures=1)
    after = begun(before, before.epoch + 1, retries=1)
    assert isinstance(after, Entry)
    assert (after.epoch, after.phase, after.failures, after.progress) == (before.epoch + 1, PLACED, 1, 0)
    assert isinstance(begun(before, before.epoch, retries=1), str)


def failed(code: int, reason: str = "NonZeroExit") -> Entry:
    """A chunk with retries to spare, after its first attempt has failed so."""
    assert Attempt.settle is not None
    rules = [
        {"codes": [3], "action": "retry"},
        {"ranges": [{"first": 2, "last": 9}], "action": "fail"},
        {"codes": [42], "action": "ignore"},
    ]
    spec = {"intent": RUN, "retries": 5, "exitCodes": rules}
    return Attempt.settle.advance(entry(RUNNING), spec, {"phase": FAILED, "exitCodes": [0, code], "reason": reason})


@pytest.mark.parametrize(
    ("code", "phase"), [(1, RETRY), (2, FAILED), (3, RETRY), (9, FAILED), (10, RETRY), (42, RETRY)]
)
def test_an_exit_code_may_be_the_end_of_a_chunk(code: int, phase: str) -> None:
    """One that is ignored is the agent's to ignore: an attempt that fails by it has an agent that cannot."""
    assert (failed(code).phase, failed(code).failures) == (phase, 1)


def test_what_ended_by_something_else_has_no_exit_code_that_means_anything() -> None:
    assert failed(2, "OOMKilled").phase == RETRY


NEWER = "/desired-config/sites/s/edges/f/attempts/" + f"{OWNER}-0-2"


def late(phase: str, reason: str, status: str = SUCCEEDED, epoch: int = 1, *, adopted: bool = False) -> Entry | None:
    """What the end of an attempt makes of a chunk that is in this phase, in its second epoch."""
    assert Attempt.settle is not None
    newer = Entry(OWNER, 0, 2, phase, NEWER, failures=1, progress=300)
    spec = {"intent": ABANDON, "intentReason": reason, **({"adopted": True} if adopted else {})}
    told = {"phase": status, "outputs": {"n": 1}, **({"settlement": "superseded"} if adopted else {})}
    claim = Attempt.settle.claim(f"{JOBS}/{OWNER}-0-{epoch}")
    assert claim is not None
    return Attempt.settle.adopt(newer, claim, HOLDER, spec, told, ended=adopted)


@pytest.mark.parametrize("phase", [PLACED, RUNNING, RETRY, SUCCEEDED, FAILED, ABORTED])
@pytest.mark.parametrize("reason", [EDGE_LOST, EDGE_CUT_OFF, EDGE_DRAINED, ""])
def test_the_first_result_of_a_chunk_that_was_replaced_wins(phase: str, reason: str) -> None:
    after = late(phase, reason)
    wins = reason in (EDGE_LOST, EDGE_CUT_OFF) and phase not in COUNTED
    assert (after is not None) == wins
    if after is not None:
        assert (after.epoch, after.holder, after.phase, after.progress) == (2, HOLDER, SUCCEEDED, 1000)
        assert (after.failures, bytes(after.outputs or b"")) == (1, b'{"n":1}')


@pytest.mark.parametrize("status", [FAILED, INTERRUPTED, STOPPED, RUNNING])
def test_nothing_but_a_success_of_an_older_epoch_changes_anything(status: str) -> None:
    for phase in (PLACED, RUNNING, RETRY):
        assert late(phase, EDGE_LOST, status) is None
        assert late(phase, EDGE_LOST, status, adopted=True) is None


@pytest.mark.parametrize("phase", [PLACED, RUNNING, RETRY, FAILED, ABORTED, SUCCEEDED])
def test_what_is_adopted_takes_the_place_of_all_but_a_success(phase: str) -> None:
    assert (late(phase, "", adopted=True) is not None) == (phase != SUCCEEDED)


def test_the_chunk_s_own_epoch_is_not_adopted() -> None:
    assert late(RUNNING, EDGE_LOST, epoch=2) is None
    assert late(FAILED, EDGE_LOST, epoch=2, adopted=True) is None
