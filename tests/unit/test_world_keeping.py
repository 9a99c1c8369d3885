"""Worlds whose log loses its beginning: whoever is behind is told so and goes on, and who is killed keeps nobody waiting."""

from msgspec.structs import replace

from sim.world.author import MISSED
from sim.world.database import SEGMENT_POSITIONS
from sim.world.run import run
from sim.world.script import AnyAction, Away, Compact, Restore, Script, Submit, Watch, Wipe
from sim.world.world import World

JOBS = tuple(Submit(20.0 + number, f"job-{number}", 2, seconds=2.0) for number in range(10))
MISSING = tuple(Submit(61.0 + 0.005 * number, f"missed-{number}", 1, seconds=0.2) for number in range(MISSED))


def script(*actions: AnyAction, keep_s: float | None = None) -> Script:
    ordered = tuple(sorted(actions, key=lambda action: action.at_s))
    return Script(seed=5, edges=2, replicas=2, seconds=120.0, keep_s=keep_s, actions=ordered)


def test_the_log_is_compacted_to_an_age() -> None:
    outcome = run(script(*JOBS, Compact(60.0, 0.0)))
    assert outcome.broken == []
    assert outcome.counts["oldest"] > outcome.counts["positions"] - 3 * SEGMENT_POSITIONS > 0
    outcome = run(script(*JOBS, Compact(60.0, 120.0)))
    assert outcome.broken == []
    assert outcome.counts["oldest"] == 0


def test_one_that_is_killed_at_any_step_is_followed_by_one_that_goes_on() -> None:
    whole = run(script(*JOBS, Compact(60.0, 0.0))).counts["oldest"]
    reached = set()
    for killed_s in (0.0, 0.01, 0.02, 0.04, 0.08, 0.16):
        world = World(script(*JOBS, Compact(60.0, 0.0, killed_s), Compact(61.0, 0.0)))
        world._universe.at(61.0, lambda: reached.add(world._database.oldest))  # noqa: B023 - of this turn
        outcome = world.run()
        assert outcome.broken == []
        assert outcome.counts["oldest"] == whole
    assert len(reached) > 3


def test_the_reconcilers_compact_it_too() -> None:
    outcome = run(replace(script(*JOBS, keep_s=10.0), seconds=500.0))
    assert outcome.broken == []
    assert outcome.counts["oldest"] > SEGMENT_POSITIONS


def test_a_hub_that_is_behind_what_is_kept_begins_anew() -> None:
    away = (Away(60.0, "reconcilers-0", 9.0), Away(60.0, "reconcilers-1", 9.0))
    assert run(script(*JOBS, *MISSING, *away)).counts["gone"] == 0
    outcome = run(script(*JOBS, *MISSING, *away, Compact(65.0, 0.0)))
    assert outcome.broken == []
    assert outcome.counts["gone"] > 0


def test_a_watcher_that_is_behind_what_is_kept_lists_again() -> None:
    for kind in ("Job", "Attempt"):
        world = World(script(*JOBS, *MISSING, Watch(10.0, kind, 30.0), *(Compact(at_s, 0.0) for at_s in (64.0, 90.0))))
        assert world.run().broken == []
        (watcher,) = world._watchers.values()
        assert watcher.left_behind > 0


def test_a_copy_from_before_a_compaction_is_put_back() -> None:
    oldest: list[int] = []
    world = World(script(*JOBS, Watch(10.0, "Job", 5.0), Compact(61.0, 0.0), Restore(63.0, 4.0), Wipe(70.0)))
    for at_s in (62.0, 64.0):
        world._universe.at(at_s, lambda: oldest.append(world._database.oldest))
    assert world.run().broken == []
    assert oldest[0] > SEGMENT_POSITIONS
    assert oldest[1] == 0


def test_a_watcher_that_is_told_what_was_not_so_is_heard() -> None:
    world = World(script(*JOBS, Watch(10.0, "Job", 0.0)))
    world._universe.at(30.5, lambda: world._past._nodes.update({at: {} for at in world._past.positions}))
    broken = world.run().broken[0]
    assert broken.startswith("watcher-10.0 ")
    assert "what was not so: ['/config/job-groups/default/jobs/job-0'" in broken


def test_of_a_database_that_was_put_back_twice_only_what_is_known_is_held_against_watchers() -> None:
    """The second copy is the later one: it is of the log that the first one had taken away."""
    jobs = (Submit(18.0, "lost", 1), Submit(22.0, "lost-too", 1), Submit(33.0, "another", 1))
    outcome = run(script(*jobs, Watch(5.0, "Job", 0.0), Restore(31.0, 15.0), Restore(34.0, 4.0)))
    assert outcome.broken == []
    assert outcome.counts["Restore"] == 2
