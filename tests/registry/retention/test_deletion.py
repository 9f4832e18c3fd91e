"""What is deleted is gone for good; a kill leaves no version without its files."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow.entities import ViewType

from registry import entries, store, versions
from registry.__main__ import main
from registry.promotion import promote, roll_back
from registry.retention import deletion, files
from registry.retention.plan import Plan

Seven = list[versions.Version]
PlanLater = Callable[[], Plan]


def numbers() -> set[int]:
    return {version.number for version in versions.list_versions("dln")}


def all_runs() -> set[str]:
    found = store.connect().search_runs([store.experiment("dln")], run_view_type=ViewType.ALL)
    return {run.info.run_id for run in found}


def test_deleted_versions_runs_and_files_are_gone_and_the_others_work(
    seven: Seven, plan_later: PlanLater, fresh_store: Path
) -> None:
    deleted_softly = store.connect().create_run(store.experiment("dln"))
    store.connect().delete_run(deleted_softly.info.run_id)
    before = {path for path in (fresh_store / "artifacts").rglob("*") if path.is_file()}
    plan = plan_later()
    assert not any(why for _, why in deletion.delete_all(plan.items))
    assert numbers() == {1, 2, 3, 4, 7}
    assert all_runs() == {version.run_id for version in seven if version.number not in (5, 6)}
    for version in versions.list_versions("dln"):
        assert entries.has_files(version)
        assert versions.config(f"dln/{version.number}") == {"width": 4, "layers": [1, 2]}
    after = {path for path in (fresh_store / "artifacts").rglob("*") if path.is_file()}
    assert after < before
    assert not any(item.location and files.size_bytes(item.location) for item in plan.items)
    assert not plan_later().items
    assert roll_back("dln").number == 1


@pytest.mark.parametrize("call", [1, 2, 3, 4])
def test_a_killed_deletion_leaves_no_version_without_files_and_is_continued(
    seven: Seven, plan_later: PlanLater, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    calls, delete = 0, files.delete

    def killed(location: str) -> None:
        nonlocal calls
        calls += 1
        if calls != call:
            delete(location)
            return
        folder = entries.local_folder(location)
        assert folder is not None
        for path in [path for path in folder.rglob("*") if path.is_file()][::2]:
            path.unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(files, "delete", killed)
        with pytest.raises(KeyboardInterrupt):
            list(deletion.delete_all(plan_later().items))
    for version in versions.list_versions("dln"):
        assert versions.config(f"dln/{version.number}"), version.title
    assert {1, 2, 3, 4, 7} <= numbers()
    assert not any(why for _, why in deletion.delete_all(plan_later().items))
    assert numbers() == {1, 2, 3, 4, 7}
    assert all_runs() == {version.run_id for version in seven if version.number not in (5, 6)}
    assert len(store.connect().search_logged_models([store.experiment("dln")])) == 5


def test_a_version_that_is_promoted_meanwhile_stays(seven: Seven, plan_later: PlanLater) -> None:
    plan = plan_later()
    promote("dln", 5)
    reasons = {item.identifier: why for item, why in deletion.delete_all(plan.items)}
    assert "meanwhile" in reasons["dln/5"]
    assert reasons[seven[4].run_id] == "a version needs it"
    assert numbers() == {1, 2, 3, 4, 5, 7}
    assert versions.config("dln/5"), "nor were its files deleted"


@pytest.mark.usefixtures("restored_logging")
def test_the_command_asks_first_and_says_what_it_does(
    seven: Seven, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(seven) == 7
    options = ["prune", "--keep-last", "1", "--older", "0h"]
    assert main([*options, "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "Version 1 of dln stays: it was in production before" in printed
    assert "version 5 of dln" in printed
    assert main(options) == 2
    assert "add --yes" in capsys.readouterr().err
    assert numbers() == {1, 2, 3, 4, 5, 6, 7}
    assert main([*options, "--json"]) == 2
    capsys.readouterr()
    assert main([*options, "--json", "--yes"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert all(item["deleted"] for item in values["items"])
    assert values["size_bytes"] == sum(item["size_bytes"] for item in values["items"]) > 0
    assert numbers() == {1, 2, 3, 4, 7}
    assert main([*options, "--yes"]) == 0
    assert "nothing to delete" in capsys.readouterr().out


@pytest.mark.usefixtures("seven", "restored_logging")
@pytest.mark.parametrize(
    ("options", "reason"),
    [(["--older", "soon"], "12h, 90d or 4w"), (["--keep-last", "0"], "has to be 1 or more")],
)
def test_bad_options_delete_nothing(
    options: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prune", "--yes", *options]) == 2
    assert reason in capsys.readouterr().err
    assert len(numbers()) == 7
