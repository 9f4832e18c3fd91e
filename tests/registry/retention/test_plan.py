"""What is old goes, but for what serves, served last, is named, is new, or is under way."""

import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from filelock import FileLock

from registry import store, versions
from registry.errors import BadPrune
from registry.promotion import promote, roll_back
from registry.retention import age
from registry.retention.plan import Plan, make_plan
from registry.temporary import TemporaryFolder
from tests.registry.conftest import Register

Seven = list[versions.Version]
PlanLater = Callable[[], Plan]


def going(plan: Plan, kind: str = "version") -> set[str]:
    return {item.identifier for item in plan.items if item.kind == kind}


def test_old_versions_go_but_for_those_that_are_needed(seven: Seven, plan_later: PlanLater) -> None:
    plan = plan_later()
    assert going(plan) == {"dln/5", "dln/6"}
    assert going(plan, "run") == {seven[4].run_id, seven[5].run_id}
    assert len(going(plan, "model")) == 2
    assert plan.size_bytes > 0
    reasons = {number: why for (_, number), why in plan.kept.items()}
    assert {*reasons} == {1, 2, 3, 4, 7}
    for number, word in ((1, "rollback"), (2, "production"), (3, "tried"), (4, "version 7")):
        assert word in reasons[number]
    assert "newest 1" in reasons[7]


def test_what_is_young_stays_and_the_newest_do_whatever_their_age(
    seven: Seven, plan_later: PlanLater
) -> None:
    assert len(seven) == 7
    assert not make_plan(1, timedelta(days=90)).items
    assert going(make_plan(3, timedelta(0))) == set()
    assert going(plan_later()) == {"dln/5", "dln/6"}


def test_the_version_that_a_roll_back_takes_is_the_last_good_one(
    seven: Seven, plan_later: PlanLater
) -> None:
    assert len(seven) == 7
    for number in (5, 6, 2):
        promote("dln", number)
    store.connect().set_model_version_tag("dln", "6", "validation_status", "failed")
    assert going(plan_later()) == {"dln/1", "dln/6"}
    assert roll_back("dln").number == 5


def test_a_running_training_keeps_its_run_and_the_versions_that_it_names(
    seven: Seven, plan_later: PlanLater
) -> None:
    assert len(seven) == 7
    client = store.connect()
    run = client.create_run(store.experiment("emotion"))
    client.log_param(run.info.run_id, "teacher", "models:/dln/5")
    plan = plan_later()
    assert going(plan) == {"dln/6"}
    assert run.info.run_id not in going(plan, "run")
    client.set_terminated(run.info.run_id)
    plan = plan_later()
    assert going(plan) == {"dln/5", "dln/6"}
    assert run.info.run_id in going(plan, "run")


def test_a_starter_and_foreign_models_and_runs_stay(
    register: Register, plan_later: PlanLater
) -> None:
    register(starter="ab" * 32)
    register()
    client = store.connect()
    client.create_registered_model("another")
    client.create_model_version("another", (Path(tempfile.gettempdir()) / "x").as_uri())
    foreign = client.create_run(client.create_experiment("another"))
    client.set_terminated(foreign.info.run_id)
    plan = plan_later()
    assert not going(plan)
    assert foreign.info.run_id not in going(plan, "run")
    assert "starter" in plan.kept["dln", 1]


@pytest.mark.usefixtures("register")
def test_folders_of_killed_programs_and_unused_indexes_go(
    fresh_store: Path, plan_later: PlanLater
) -> None:
    store.connect()
    top = Path(tempfile.gettempdir())
    killed = top / "expression-studio-page-0"
    killed.mkdir()
    (killed / "face.jpg").write_bytes(b"visitor")
    with FileLock(f"{killed}.lock"):
        pass
    Path(f"{killed}.lock").touch()
    index = fresh_store / "search" / "0123"
    index.mkdir(parents=True)
    (index / "faces.parquet").write_bytes(b"vectors")
    with TemporaryFolder(parent=top) as alive:
        killed.mkdir(exist_ok=True)
        plan = plan_later()
    assert going(plan, "folder") == {str(killed)}
    assert str(alive) not in going(plan, "folder")
    assert going(plan, "index") == {str(index)}
    assert not going(make_plan(1, timedelta(days=90)), "index")


def test_ages_are_hours_days_and_weeks() -> None:
    assert age.parse("12h") == timedelta(hours=12)
    assert age.parse("90d") == timedelta(days=90)
    assert age.parse(" 4w") == timedelta(weeks=4)
    for text in ("", "90", "-1d", "1.5d", "9" * 30 + "d", "3 months"):
        with pytest.raises(BadPrune, match="12h, 90d or 4w"):
            age.parse(text)
