"""What is counted stays: the ledger's entry is final only once its attempt has ended, and no other attempt may begin then."""

import itertools

import pytest
from msgspec.structs import replace

from datamodel.ledger import Entry
from datamodel.scheduling.attempts import ABANDON, COUNTED, INTERRUPTED, PLACED, RETRY, RUN, STOP, STOPPED, Attempt
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
