"""Two recipes are trained in the same way and compared; finished trainings are not repeated."""

import shutil
from pathlib import Path

import pytest

from registry import versions
from training import compare
from training.__main__ import main
from training.datasets.prepared import Prepared
from training.engine.recipe import RecipeError

pytestmark = pytest.mark.xdist_group("trainings")


@pytest.mark.timeout(400)
@pytest.mark.usefixtures("fresh_store")
def test_two_recipes_are_trained_once_and_compared_on_the_same_triplets(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(drawn, tmp_path / "toy")

    def rows() -> list[tuple[str, float, float]]:
        found = compare.compare_recipes(
            "dln-smoke", "fecnet-smoke", [tmp_path / "toy"], seeds=1, epochs=1, split="test"
        )
        assert all(len(row.cells()) == 4 for row in found)
        return [(f"{row.set} {row.quantity}", row.first.value, row.second.value) for row in found]

    first = rows()
    assert {"toy triplet_accuracy", "toy leak_auc", "toy adversarial"} <= {r[0] for r in first}
    assert rows() == first
    assert [v.number for v in versions.list_versions("dln")] == [1]
    assert [v.number for v in versions.list_versions("fecnet")] == [1]

    data = [Prepared.open(tmp_path / "toy")]
    for row in compare.compare_versions("dln/1", "dln/1", data, "test"):
        assert row.first.difference(row.second) == (0, 0)
    empty = [Prepared(tmp_path / "toy", "no persons", data[0].index.assign(person=None), None)]
    with pytest.raises(RecipeError, match="no fixed triplets"):
        compare.compare_versions("dln/1", "fecnet/1", empty, "test")
    assert main(["compare", "dln/1", "fecnet/1", "--versions", "--data", "toy"]) == 0


def test_a_recipe_that_does_not_learn_from_triplets_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["compare", "emotion", "dln-smoke"]) == 2
    assert "emotion doesn't learn from triplets; choose from" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["dln-smoke", "fecnet-smoke", "--seeds", "0"], "at least 1 seed and 1 epoch"),
        (["dln-smoke", "fecnet-smoke", "--epochs", "0"], "at least 1 seed and 1 epoch"),
        (["dln/1", "dln/2", "--versions"], "name it with --data"),
    ],
)
def test_a_comparison_of_nothing_is_refused(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *options]) == 2
    assert message in capsys.readouterr().err
