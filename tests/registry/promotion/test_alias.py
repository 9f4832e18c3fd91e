import pytest

from registry import store, versions
from registry.errors import BadVersion, EmptyRegistry
from registry.promotion import PRODUCTION, promote
from tests.registry.conftest import Register


def test_promotion_moves_the_alias_from_one_version_to_another(register: Register) -> None:
    assert [register().number, register().number] == [1, 2]
    assert promote("dln", 1).aliases == (PRODUCTION,)
    promoted = promote("dln", 2)
    assert promoted == versions.resolve("dln")
    assert promoted.number == 2
    assert versions.resolve("dln/1").aliases == ()


def test_what_mlflows_page_promotes_is_in_production(register: Register) -> None:
    register()
    store.connect().set_registered_model_alias("dln", "production", "1")
    assert versions.resolve("dln@production").number == 1


def test_only_a_whole_version_is_promoted(register: Register) -> None:
    register()
    promote("dln", 1)
    store.connect().create_model_version("dln", "file:///nothing")
    with pytest.raises(BadVersion, match="incomplete"):
        promote("dln", 2)
    with pytest.raises(BadVersion, match="has no version 3; it has 2, 1"):
        promote("dln", 3)
    with pytest.raises(EmptyRegistry):
        promote("emotion", 1)
    assert versions.resolve("dln").number == 1
