import json
from datetime import UTC, datetime, timedelta

import pytest

from registry import artifacts, store, versions
from registry.__main__ import main
from registry.errors import BadVersion, EmptyRegistry
from registry.promotion import journal, promote, roll_back
from registry.promotion.journal import Entry, Kind
from tests.registry.conftest import Register

pytestmark = pytest.mark.usefixtures("restored_logging")
START = datetime(2026, 11, 27, 12, tzinfo=UTC)


def entry(minute: int, kind: Kind, before: int | None, after: int | None) -> Entry:
    at = START + timedelta(minutes=minute)
    return Entry(at=at, kind=kind, before=before, after=after, who="ada", why="")


def kinds(name: str = "dln") -> list[tuple[str, int | None, int | None]]:
    return [(each.kind, each.before, each.after) for each in journal.read(name)]


def move_by_hand(number: int) -> None:
    store.connect().set_registered_model_alias("dln", "production", str(number))


def test_each_promotion_is_noted_with_who_when_and_why(
    register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada")
    register(), register()
    before = datetime.now(UTC) - timedelta(seconds=1)
    promote("dln", 1, "the first — ☺")
    promote("dln", 2)
    first, second = journal.read("dln")
    assert (first.kind, first.before, first.after) == ("promoted", None, 1)
    assert (second.kind, second.before, second.after) == ("promoted", 1, 2)
    assert (first.who, first.why) == ("ada", "the first — ☺")
    assert before < first.at < second.at < datetime.now(UTC)


def test_a_refused_promotion_is_not_noted_as_a_move(register: Register) -> None:
    register(), register()
    promote("dln", 1)
    journal.add("dln", "refused", 1, 2, "accuracy is lower")
    assert journal.serving(journal.read("dln")) == 1
    assert journal.observe("dln") == 1
    assert kinds() == [("promoted", None, 1), ("refused", 1, 2)]


def test_the_longest_reason_is_stored_in_any_script(register: Register) -> None:
    register()
    promote("dln", 1, "好" * 10_000)
    (noted,) = journal.read("dln")
    assert set(noted.why) == {"好"}
    assert len(noted.why) == journal.LONGEST_REASON


def test_moves_made_in_mlflow_are_noted_once_when_they_are_noticed(register: Register) -> None:
    register(), register()
    promote("dln", 1)
    move_by_hand(2)
    assert [journal.observe("dln"), journal.observe("dln")] == [2, 2]
    store.connect().delete_registered_model_alias("dln", "production")
    assert [journal.observe("dln"), journal.observe("dln")] == [None, None]
    assert kinds() == [("promoted", None, 1), ("moved", 1, 2), ("removed", 2, None)]
    assert {each.who for each in journal.read("dln")[1:]} == {"unknown (UI)"}


def test_a_program_that_sees_an_alias_before_its_entry_does_not_note_it_twice(
    register: Register,
) -> None:
    register()
    move_by_hand(1)
    journal.observe("dln")
    journal.add("dln", "promoted", None, 1)
    assert kinds() == [("promoted", None, 1)]


def test_a_quick_move_back_by_hand_is_noted_once(register: Register) -> None:
    register(), register()
    promote("dln", 1)
    promote("dln", 2)
    roll_back("dln")
    move_by_hand(2)
    assert [journal.observe("dln"), journal.observe("dln")] == [2, 2]
    assert kinds()[2:] == [("rolled back", 2, 1), ("moved", 1, 2)]


def test_every_registry_command_notices_a_move(
    register: Register, capsys: pytest.CaptureFixture[str]
) -> None:
    register(), register()
    promote("dln", 1)
    for command in ("list", "show dln", "history dln", "promote dln 1 --force --reason no"):
        move_by_hand(2)
        assert main(command.split()) == 0
        assert kinds()[-1 if "promote" not in command else -2] == ("moved", 1, 2), command
        promote("dln", 1)
    capsys.readouterr()


def test_the_journal_is_a_table_for_mlflows_page(register: Register) -> None:
    register()
    promote("dln", 1, "first")
    promote("dln", 1, "again")
    client = store.connect()
    (run,) = client.search_runs([store.experiment("journal")])
    assert run.info.status == "FINISHED"
    table = artifacts.fetch_json(run.info.run_id, "journal.json")
    assert [row[-1] for row in table["data"]] == ["first", "again"]
    assert json.loads(run.data.tags["mlflow.loggedArtifacts"])[0]["type"] == "table"


def test_rolling_back_returns_to_the_version_before_and_then_farther(register: Register) -> None:
    for _ in range(4):
        register()
    for number in (1, 2, 3, 4):
        promote("dln", number)
    assert roll_back("dln", "worse in the dark").number == 3
    assert roll_back("dln").number == 2
    promote("dln", 4)
    assert roll_back("dln").number == 2
    assert [kind for kind, *_ in kinds()].count("rolled back") == 3
    assert journal.read("dln")[4].why == "worse in the dark"


def test_rolling_back_passes_over_deleted_and_failed_versions(register: Register) -> None:
    for _ in range(4):
        register()
    for number in (1, 2, 3, 4):
        promote("dln", number)
    client = store.connect()
    client.delete_model_version("dln", "3")
    client.set_model_version_tag("dln", "2", "validation_status", "failed")
    assert roll_back("dln").number == 1
    with pytest.raises(BadVersion, match="No earlier version of dln"):
        roll_back("dln")
    assert versions.resolve("dln").number == 1


def test_after_a_move_by_hand_the_version_before_it_comes_back(register: Register) -> None:
    register(), register()
    promote("dln", 1)
    move_by_hand(2)
    assert roll_back("dln").number == 1


def test_an_empty_registry_has_nothing_to_roll_back(register: Register) -> None:
    with pytest.raises(EmptyRegistry):
        roll_back("dln")
    register()
    with pytest.raises(BadVersion, match="No earlier version"):
        roll_back("dln")


def test_what_served_at_a_time(register: Register, capsys: pytest.CaptureFixture[str]) -> None:
    register(), register()
    promote("dln", 1)
    between = datetime.now().astimezone().isoformat()
    promote("dln", 2)
    for at, number in ((between, 1), ("2999-01-01", 2), ("2001-01-01 10:00", None)):
        assert main(["history", "dln", "--at", at, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["version"] == number
    assert main(["history", "dln", "--at", "yesterday"]) == 2
    assert "'yesterday' is no time" in capsys.readouterr().err


def test_the_history_is_printed_newest_first(
    register: Register, capsys: pytest.CaptureFixture[str]
) -> None:
    register(), register()
    promote("dln", 1, "a start")
    assert main(["promote", "dln", "2", "--reason", "better", "--force"]) == 0
    assert main(["rollback", "dln"]) == 0
    capsys.readouterr()
    assert main(["history", "dln"]) == 0
    lines = capsys.readouterr().out.splitlines()
    places = [
        next(n for n, line in enumerate(lines) if each in line)
        for each in ("rolled back", "better", "a start")
    ]
    assert places == sorted(places)
    assert main(["history", "fecnet"]) == 3


def test_a_tag_that_a_person_changed_is_left_out(register: Register) -> None:
    register()
    promote("dln", 1)
    client = store.connect()
    for key, value in (("journal.1", "{"), ("journal.2", '{"at": "x"}'), ("journal.3", "[]")):
        client.set_registered_model_tag("dln", key, value)
    assert kinds() == [("promoted", None, 1)]


def test_the_versions_one_can_go_back_to() -> None:
    moves: list[Entry] = [
        entry(0, "seeded", None, 1),
        entry(1, "promoted", 1, 2),
        entry(2, "refused", 2, 9),
        entry(3, "promoted", 2, 3),
        entry(4, "rolled back", 3, 2),
        entry(5, "removed", 2, None),
        entry(6, "moved", None, 5),
    ]
    assert journal.earlier(moves) == [5, 2, 1]
    assert journal.serving(moves, START + timedelta(minutes=3, seconds=30)) == 3
    assert journal.serving(moves, START + timedelta(minutes=5)) is None
    assert journal.serving(moves, START - timedelta(minutes=1)) is None
