"""The pages of many parents at once, as GraphQL reads them: what `list_nodes` finds below each."""

from datamodel.command import Command
from datamodel.ports import Store
from tests.graph import STEPS, SYSTEM, done

GROUPS = ("a", "a-b", "b", "empty")


def path(group: str) -> str:
    return f"/config/job-groups/{group}"


async def fill(store: Store) -> None:
    await done(store, *(Command("create", path(group)) for group in GROUPS))
    names = [(group, name) for group in GROUPS if group != "empty" for name in ("x", "y", "z")]
    await done(store, *(Command("create", f"{path(group)}/jobs/{name}", {"steps": STEPS}) for group, name in names))
    await done(store, Command("patchStatus", f"{path('a')}/jobs/y", {"phase": "running"}), actor=SYSTEM)


async def test_each_parent_has_the_page_that_listing_it_would_give(store: Store) -> None:
    await fill(store)
    parents = [path(group) for group in (*GROUPS, "absent")]
    for options in (
        {},
        {"limit": 2},
        {"after": f"{path('a')}/jobs/x"},
        {"phases": ("running",)},
        {"phases": ("", "pending"), "limit": 1},
    ):
        found = await store.children("Job", parents, **options)
        listed = {parent: await store.list_nodes("Job", under=parent, **options) for parent in parents}
        assert found == listed


async def test_no_parents_have_no_children(store: Store) -> None:
    assert await store.children("Job", []) == {}
