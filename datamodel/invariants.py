"""What must hold in every state, whatever happened: the checks that do not trust the fold."""

from collections import Counter
from collections.abc import Iterator

from datamodel.kinds import Kind
from datamodel.ledger import ALL, Entry, Totals
from datamodel.model import Model
from datamodel.node import Node
from datamodel.state import EntryKey, State


def violations(model: Model, state: State) -> Iterator[str]:
    """A sentence for each violation in a whole state, in a fixed order. Entries of owners that are gone do not matter."""
    yield from _orphans(model, state)
    yield from _wrong_links(model, state)
    yield from _wrong_totals(state)
    yield from _wrong_pools(model, state)
    yield from _wrong_attempts(model, state)


def _orphans(model: Model, state: State) -> Iterator[str]:
    for path in sorted(state.nodes):
        _, parent = model.locate(path)
        if parent and parent not in state.nodes:
            yield f"node {path}: its parent does not exist"


def _wrong_links(model: Model, state: State) -> Iterator[str]:
    kinds = {node.uid: node.kind for node in state.nodes.values()}
    for path in sorted(state.nodes):
        node = state.nodes[path]
        declared = model.kinds[node.kind].links
        for name, link in declared.items():
            count = len(node.links.get(name, ()))
            if (link.required and count == 0) or (count > 1 and not link.many):
                yield f"node {path}: its link {name!r} has {count} targets"
        for name, targets in node.links.items():
            for uid in targets:
                if name not in declared:
                    yield f"node {path}: its kind declares no link {name!r}"
                elif uid in kinds and kinds[uid] != declared[name].to:
                    yield f"node {path}: its link {name!r} leads to {uid}, a {kinds[uid]}"
                elif uid not in kinds and declared[name].gone != "keep":
                    yield f"node {path}: the target {uid} of its link {name!r} does not exist"


def _wrong_totals(state: State) -> Iterator[str]:
    phases: dict[str, Counter[str]] = {owner: Counter() for owner in state.totals}
    progress = Counter[str]()
    for entry in state.entries.values():
        if entry.owner in phases:
            phases[entry.owner][entry.phase] += 1
            progress[entry.owner] += entry.progress
    phases[ALL], progress[ALL] = sum(phases.values(), Counter()), progress.total()
    living = {ALL, *(node.uid for node in state.nodes.values())}
    for owner, totals in sorted({ALL: Totals(), **state.totals}.items(), key=lambda row: row[0]):
        if owner not in living:
            yield f"totals {owner}: no living node has this uid"
        sums = Totals(dict(phases[owner]), progress[owner])
        if totals != sums:
            yield f"totals {owner}: {totals} are not the sums of its entries: {sums}"


def _wrong_pools(model: Model, state: State) -> Iterator[str]:
    held: dict[str, Counter[str]] = {}
    for node in state.nodes.values():
        rule = model.kinds[node.kind].reserve
        if rule is not None and rule.held(node.status):
            held.setdefault(rule.pool(node.path), Counter()).update(rule.amounts(node.spec))
    for path in sorted(held.keys() | state.pools.keys()):
        used = Counter(state.pools[path].used) if path in state.pools else Counter[str]()
        if used != held.get(path, Counter()):
            yield f"pool {path}: {dict(used)} are in use, but nodes hold {dict(held.get(path, Counter()))}"


def _wrong_attempts(model: Model, state: State) -> Iterator[str]:
    current: dict[EntryKey, str] = {}
    for path in sorted(state.nodes):
        found = _claim(model.kinds[state.nodes[path].kind], state.nodes[path])
        entry = state.entries.get(found[0]) if found is not None else None
        if found is None or entry is None or entry.owner not in state.totals:
            continue
        key, epoch = found
        if epoch > entry.epoch:
            yield f"node {path}: its epoch {epoch} is above its entry's {entry.epoch}"
        elif epoch == entry.epoch and key in current:
            yield f"node {path}: claims the same epoch as {current[key]}"
        elif epoch == entry.epoch:
            current[key] = path
            if entry.holder != path and not _is_adopted(model.kinds[state.nodes[path].kind], entry):
                yield f"node {path}: claims the epoch that {entry.holder} holds"


def _is_adopted(kind: type[Kind], entry: Entry) -> bool:
    """Whether a piece that is counted has an older attempt's result."""
    claim = kind.settle.claim(entry.holder) if kind.settle is not None else None
    is_older = (
        claim is not None and (claim.owner, claim.index) == (entry.owner, entry.index) and claim.epoch < entry.epoch
    )
    return is_older and kind.settle is not None and entry.phase in kind.settle.final


def _claim(kind: type[Kind], node: Node) -> tuple[EntryKey, int] | None:
    claim = kind.settle.claim(node.path) if kind.settle is not None else None
    return ((claim.owner, claim.index), claim.epoch) if claim is not None else None
