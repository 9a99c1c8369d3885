"""What people type, as paths."""

import pytest

from gateway.commands.failure import Exit, Failure
from gateway.commands.names import Listed, Target, meant, one_of, path_of, target, targets
from tests import garden
from tests.commands import kinds

KINDS = kinds()
NIGHT = "/config/job-groups/night"


@pytest.mark.parametrize(
    ("words", "within", "path"),
    [
        (["job", "primes"], "", "/config/job-groups/default/jobs/primes"),
        (["jobs", "night/primes"], "", f"{NIGHT}/jobs/primes"),
        (["Job", "primes"], "night", f"{NIGHT}/jobs/primes"),
        (["job", "night/primes"], "day", f"{NIGHT}/jobs/primes"),
        (["job/night/primes"], "", f"{NIGHT}/jobs/primes"),
        (["job/primes"], "", "/config/job-groups/default/jobs/primes"),
        ([f"{NIGHT}/jobs/primes"], "", f"{NIGHT}/jobs/primes"),
        (["jobgroup", "night"], "", NIGHT),
        (["job-groups/night"], "", NIGHT),
        (["edge", "attic/e-0"], "", "/inventory/sites/attic/edges/e-0"),
        (["edge", "e-0"], "attic", "/inventory/sites/attic/edges/e-0"),
        (["desired-edge", "attic/e-0"], "", "/desired-config/sites/attic/edges/e-0"),
        (["attempts", "x-0-1"], "attic/e-0", "/desired-config/sites/attic/edges/e-0/attempts/x-0-1"),
        (["attempts", "e-0/x-0-1"], "attic", "/desired-config/sites/attic/edges/e-0/attempts/x-0-1"),
        (["scheduler"], "", "/config/scheduler"),
        (["/config/"], "", "/config"),
    ],
)
def test_a_node_is_named_in_many_ways(words: list[str], within: str, path: str) -> None:
    assert target(KINDS, words, within).path == path


@pytest.mark.parametrize(
    ("words", "within", "kind", "under"),
    [
        (["jobs"], "", "Job", ""),
        (["jobs"], "night", "Job", NIGHT),
        ([f"{NIGHT}/jobs"], "", "Job", NIGHT),
        (["edges"], "attic", "Edge", "/inventory/sites/attic"),
        (["attempt"], "attic", "Attempt", "/desired-config/sites/attic"),
        (["/inventory/sites"], "", "Site", "/inventory"),
    ],
)
def test_a_kind_alone_is_a_list(words: list[str], within: str, kind: str, under: str) -> None:
    found = meant(KINDS, words, within)
    assert isinstance(found, Listed)
    assert (found.kind.name, found.under) == (kind, under)
    assert found.address == f"/v1/kinds/{kind}/nodes"


def test_several_names_are_several_nodes() -> None:
    assert [found.title for found in targets(KINDS, ["job", "a", "night/b"])] == ["job/default/a", "job/night/b"]
    assert [found.title for found in targets(KINDS, ["job/a", "edge/s/e"])] == ["job/default/a", "edge/s/e"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["jobz"], "there is no kind 'jobz'; did you mean `job`? `tendril kinds` lists what there is"),
        (["edge", "e"], "'e' does not say which edge; write it as SITE/EDGE, or say --in what it is"),
        (["job", "a/b/c"], "'a/b/c' has too many names for a job; write it as JOB-GROUP/JOB"),
        (["job", "Nights"], "'Nights' is no name; a name is lower-case letters, digits and hyphens, 63 at most"),
        (["job", "../x"], "'..' is no name; a name is lower-case letters, digits and hyphens, 63 at most"),
        (["/nowhere/x"], "no kind of node can be at /nowhere/x; `tendril kinds` tells where each is"),
        (["/config/job-groups/a?b"], "'a?b' is no name; a name is lower-case letters, digits and hyphens, 63 at most"),
        (["jobs"], "which job is not said; name one, as in `job JOB-GROUP/JOB`"),
        (["job/a", "b"], "'b' is no KIND/NAME; write all of them alike"),
        (["scheduler", "x"], "'x' has too many names for a scheduler; leave it out, since there is one alone"),
        (
            ["/config/scheduler", "x/config/scheduler"],
            "no kind of node can be at x/config/scheduler; `tendril kinds` tells where each is",
        ),
    ],
)
def test_what_means_nothing_is_refused_in_one_sentence(words: list[str], told: str) -> None:
    with pytest.raises(Failure) as refused:
        targets(KINDS, words)
    assert refused.value.sentence == told
    assert refused.value.code is Exit.INVALID


@pytest.mark.parametrize(
    ("words", "within", "told"),
    [
        (["jobs"], "night/x", "--in: 'night/x' has too many names for what a job is in; write it as JOB-GROUP"),
        (
            ["job", "night/a"],
            "night/x",
            "--in: 'night/x' has too many names for what a job is in; write it as JOB-GROUP",
        ),
        (["job/a"], "night/x", "--in: 'night/x' has too many names for what a job is in; write it as JOB-GROUP"),
        (["job-groups"], "night", "--in: 'night' has too many names for what a job-group is in; leave it out"),
        (["scheduler"], "night", "--in: 'night' has too many names for what a scheduler is in; leave it out"),
        (
            ["attempts"],
            "s/e/x",
            "--in: 's/e/x' has too many names for what an attempt is in; write it as DESIRED-SITE/DESIRED-EDGE",
        ),
    ],
)
def test_what_is_in_nothing_like_that_is_refused(words: list[str], within: str, told: str) -> None:
    with pytest.raises(Failure) as refused:
        meant(KINDS, words, within)
    assert refused.value.sentence == told


@pytest.mark.parametrize("word", ["hello", "night/hello", "job/night/hello", "Job/night/hello", "JOBS/night/hello"])
def test_where_the_kind_is_known_it_may_be_said(word: str) -> None:
    assert one_of(KINDS, KINDS.named("job"), word, "night").title == "job/night/hello"


def test_one_is_asked_for_and_two_are_named() -> None:
    with pytest.raises(Failure, match="one at a time"):
        target(KINDS, ["job", "a", "b"])


def test_names_lead_to_paths_and_back_for_every_kind() -> None:
    for known in (KINDS, kinds(garden.MODEL)):
        for kind in known:
            names = [f"n{place}" for place, _ in enumerate(kind.names)]
            path = path_of(kind, "/".join(names))
            assert kind.read(path) == tuple(names)
            assert known.at(path) is kind
            assert target(known, [kind.titled(path)] if names else [kind.singular]) == Target(kind, path)
            assert all(other is kind or other.read(path) is None for other in known)
            assert {known.named(word) for word in (kind.singular, kind.plural, kind.name)} == {kind}
