"""The command `python -m registry prune`."""

import sys
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import FlagCreatePairsOff

from registry import console
from registry.console import print_json
from registry.store_commands import Json

if TYPE_CHECKING:
    from registry.retention.plan import Item, Plan

Flag = Annotated[bool, FlagCreatePairsOff]
Older = Annotated[str, tyro.conf.arg(metavar="AGE")]


def prune(
    keep_last: int = 5,
    older: Older = "90d",
    dry_run: Flag = False,
    yes: Flag = False,
    as_json: Json = False,
) -> None:
    """Delete old versions, runs and their files, and what killed programs left, for good.

    Never deleted: a version with an alias, the one in production, the one that a roll back takes,
    what one of those was made with, the newest ones, and what is under way.

    For example: python -m registry prune --keep-last 5 --older 90d --dry-run

    Args:
        keep_last: how many versions of each model stay in any case.
        older: only what is older is deleted: 12h, 90d or 4w.
        dry_run: print what would be deleted, and delete nothing.
        yes: don't ask.
        as_json: print JSON; without --dry-run it needs --yes.
    """
    from registry.retention import age
    from registry.retention.deletion import LEFT_ON_SERVER, deletes_rows
    from registry.retention.kept import require_keep_last
    from registry.retention.plan import make_plan

    require_keep_last(keep_last)
    plan = make_plan(keep_last, age.parse(older))
    if not as_json:
        _print(plan)
    if not dry_run and plan.items:
        _confirm(plan, yes, as_json)
    stay = {} if dry_run else _delete(plan)
    is_left = not dry_run and any(item.kind == "run" for item in plan.items) and not deletes_rows()
    if as_json:
        print_json(_values(plan, dry_run, stay) | ({"note": LEFT_ON_SERVER} if is_left else {}))
        return
    for item, reason in stay.items():
        print(f"{item.title} stays: {reason}", file=sys.stderr)
    if not dry_run and plan.items:
        freed = plan.size_bytes - sum(item.size_bytes for item in stay)
        print(f"Deleted {len(plan.items) - len(stay)} of {len(plan.items)}: {_size(freed)}.")
    if is_left:
        print(LEFT_ON_SERVER)


def _delete(plan: "Plan") -> dict["Item", str]:
    """Delete everything; return what stays, and why."""
    from registry.retention.deletion import delete_all

    deleted = console.track(delete_all(plan.items), "deleted", total=len(plan.items))
    return {item: reason for item, reason in deleted if reason}


def _confirm(plan: "Plan", yes: bool, as_json: bool) -> None:
    """Ask whether everything shall be deleted.

    Raises:
        BadPrune: nobody can be asked, or the answer is no.
    """
    from registry.errors import BadPrune

    if yes:
        return
    if as_json or not sys.stdin.isatty():
        raise BadPrune("Nothing was deleted: nobody can be asked here, so add --yes, or --dry-run.")
    answer = input(f"Delete these {len(plan.items)} for good ({_size(plan.size_bytes)})? [y/N] ")
    if answer.strip().lower() not in ("y", "yes"):
        raise BadPrune("Nothing was deleted.")


def _print(plan: "Plan") -> None:
    from rich.table import Table

    for (name, number), reason in sorted(plan.kept.items()):
        print(f"Version {number} of {name} stays: {reason}.")
    if not plan.items:
        print("There is nothing to delete.")
        return
    table: Table = Table(title=f"to be deleted: {_size(plan.size_bytes)}")
    for column in ("kind", "what", "size"):
        table.add_column(column, justify="right" if column == "size" else "left")
    for item in plan.items:
        table.add_row(item.kind, item.title, _size(item.size_bytes) if item.size_bytes else "")
    console.print_table(table)


def _values(plan: "Plan", dry_run: bool, stay: dict["Item", str]) -> dict[str, object]:
    return {
        "dry_run": dry_run,
        "size_bytes": plan.size_bytes,
        "items": [
            item.to_dict() | {"deleted": not dry_run and item not in stay, "why": stay.get(item)}
            for item in plan.items
        ],
        "kept": [
            {"model": name, "version": number, "why": why}
            for (name, number), why in sorted(plan.kept.items())
        ],
    }


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.1f} MB"
