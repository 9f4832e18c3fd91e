"""The commands of `python -m registry` about the whole store: upgrade, back up, restore, clean."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import FlagCreatePairsOff, Positional

from registry.console import print_json

Json = Annotated[bool, FlagCreatePairsOff, tyro.conf.arg(name="json")]


def upgrade(as_json: Json = False) -> None:
    """Bring a local registry that an older MLflow wrote to the installed one's form.

    A copy of the database is made first and stays beside it.

    For example: python -m registry upgrade

    Args:
        as_json: print JSON.
    """
    from registry import store

    outcome = store.upgrade()
    if as_json:
        print_json({"outcome": outcome})
    else:
        print(outcome)


def backup(
    file: Annotated[Path, Positional, tyro.conf.arg(metavar="FILE")], as_json: Json = False
) -> None:
    """Write the whole local registry into one file; pages and trainings may go on meanwhile.

    For example: python -m registry backup registry.tar

    Args:
        file: the new file, a tar archive of the database and all artifacts.
        as_json: print JSON.
    """
    from registry.store import backup

    written = backup.write(file)
    if as_json:
        print_json({"file": str(file), **asdict(written)})
    else:
        print(f"{file} holds the registry: {written.files} files, {written.size_bytes:,} bytes.")


def restore(
    file: Annotated[Path, Positional, tyro.conf.arg(metavar="FILE")], as_json: Json = False
) -> None:
    """Make the local registry what a backup holds; what was there before is kept beside it.

    No page, training or MLflow server may use it meanwhile.

    For example: python -m registry restore registry.tar

    Args:
        file: what `backup` wrote, here or on another machine.
        as_json: print JSON.
    """
    from registry import store
    from registry.store import backup

    replaced = backup.restore(file)
    if as_json:
        print_json({"folder": str(store.folder()), "replaced": replaced and str(replaced)})
        return
    print(f"The registry in {store.folder()} is now what {file} holds.")
    if replaced:
        print(f"What was there before is in {replaced}; delete it when you need it no more.")


def doctor(
    fix: Annotated[bool, FlagCreatePairsOff] = False,
    clean: Annotated[str | None, tyro.conf.arg(metavar="ID")] = None,
    as_json: Json = False,
) -> None:
    """Name what killed programs left: runs that count as running, models stored in part.

    What a program of this machine writes now is left alone.

    For example: python -m registry doctor --fix

    Args:
        fix: end such runs, and delete such models with their files.
        clean: do so, too, with this run or model, whose program may be another machine's.
        as_json: print JSON.
    """
    from registry import doctor

    found = doctor.leftovers()
    killed = [leftover for leftover in found if leftover.is_killed]
    named = doctor.find(clean, found) if clean else None
    cleaned = [each for each in found if (fix and each.is_killed) or each is named]
    for leftover in cleaned:
        doctor.clean(leftover)
    sentences = [each.cleaned if each in cleaned else each.found for each in found]
    if as_json:
        print_json({"leftovers": sentences, "killed": len(killed), "fixed": fix})
        return
    if killed and not fix:
        sentences.append(
            "`python -m registry doctor --fix` ends such runs and deletes such models."
        )
    print("\n".join(sentences or ["No killed program left anything."]))
