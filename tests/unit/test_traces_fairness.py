"""Over long runs of the real planner: shares are as weights say, nobody waits for ever behind who is more urgent, and no large
chunk behind small ones.

Shares and urgency are of chunks that are alike: large ones wait until room is kept for them.
"""

import random
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from datamodel.scheduling.scheduler import ARRIVAL, BEST_FIT, FAIR_SHARE, FIRST_FIT, POWER_AWARE, PRIORITY, SPREAD
from reconcilers.planning.turns import Terms
from sim.traces.edges import edges_of
from sim.traces.figures import fairness
from sim.traces.replay import Manner, replay
from sim.traces.workload import Task
from tests.traces import task

LONG_S = 60
CPU, PLACES = 0.25, 512
"""So many that the smallest share is many chunks: what is due is rounded to whole ones."""
policies = st.sampled_from([BEST_FIT, FIRST_FIT, SPREAD, POWER_AWARE])
chances = st.integers(0, 2**32).map(random.Random)


def wanted(groups: Sequence[str], longest_s: int, dice: random.Random) -> list[Task]:
    """As much for each group, all there from the start, one group after the other."""
    tasks: list[Task] = []
    for group in groups:
        left_s = LONG_S * PLACES / len(groups)
        while left_s > 0:
            tasks.append(task(0, dice.randint(1, longest_s), dice.randint(1, 20), cpu=CPU, group=group))
            left_s -= tasks[-1].run_ms / 1000 * tasks[-1].chunks
    return tasks


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=2, max_size=4), st.integers(5, 12), policies, chances)
def test_shares_are_within_a_twentieth_of_what_weights_say(
    weights: Sequence[int], longest_s: int, policy: str, dice: random.Random
) -> None:
    by_group = {f"g{number}": weight for number, weight in enumerate(weights)}
    edges, tasks = edges_of("4x32:64"), wanted(list(by_group), longest_s, dice)
    terms = {group: Terms(weight=float(weight)) for group, weight in by_group.items()}
    found = replay(tasks, edges, Manner(policy), terms)
    assert fairness(tasks, edges, found.spans, terms)["unfairPercent"] <= 5.0


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 99), st.floats(0.8, 1.5), st.integers(1, 9), policies, chances)
def test_age_makes_up_for_priority_however_much_comes_that_is_more_urgent(
    priority: int, load: float, longest_s: int, policy: str, dice: random.Random
) -> None:
    """Urgent work for 300 s, about as much as the 8 places can do; a second of waiting is worth a point. Whoever comes more
    than `100 - priority` seconds after goes after. Who came before has to be begun: places that are busy from some moment on
    have done all that came since when they have had the time for it, and what they did at that moment."""
    tasks, at_s = [task(50, 1, priority=priority, group="late")], 0.0
    while at_s < 300:
        tasks.append(task(at_s, dice.randint(1, longest_s), priority=100))
        at_s += dice.expovariate(8 * load / ((1 + longest_s) / 2))
    tasks.sort(key=lambda one: one.submit_ms)
    found = replay(tasks, edges_of("1x8:64"), Manner(policy, PRIORITY, 1.0))
    (began_s,) = (span.start_ms / 1000 for span in found.spans if tasks[span.task].group == "late")
    latest_s = turn_s = 50.0 + 100 - priority
    work_s = 0.0
    for one in reversed([one for one in tasks if one.submit_ms <= 1000 * turn_s and one.priority == 100]):
        work_s += one.run_ms / 1000
        latest_s = max(latest_s, one.submit_ms / 1000 + work_s / 8)
    assert began_s <= latest_s + longest_s


@settings(max_examples=10, deadline=None)
@given(
    st.sampled_from([8.0, 32.0]), st.integers(1, 9), policies, st.sampled_from([FAIR_SHARE, PRIORITY, ARRIVAL]), chances
)
def test_a_large_chunk_begins_once_what_ran_has_ended_however_many_small_ones_come(
    cpu: float, longest_s: int, policy: str, order: str, dice: random.Random
) -> None:
    """More small ones than the edge can do, and each of them goes before the large one wherever there is room."""
    tasks, at_s = [task(50, 5, cpu=cpu, group="large")], 0.0
    while at_s < 200:
        tasks.append(task(at_s, dice.randint(1, longest_s), cpu=1.0, group="small"))
        at_s += dice.expovariate(32 * 1.2 / ((1 + longest_s) / 2))
    tasks.sort(key=lambda one: one.submit_ms)
    found = replay(tasks, edges_of("1x32:64"), Manner(policy, order, 0.0, 2.0))
    (began_s,) = (span.start_ms / 1000 for span in found.spans if tasks[span.task].group == "large")
    assert began_s <= 50.0 + 2.0 + longest_s + 0.1
