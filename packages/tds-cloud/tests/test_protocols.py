import inspect

import pytest

from tds_cloud import AsyncObjectStore, ObjectStore

METHODS = sorted(name for name, value in vars(ObjectStore).items() if inspect.isfunction(value) and name[0] != "_")


def test_both_faces_have_the_same_methods() -> None:
    faces = {name for name, value in vars(AsyncObjectStore).items() if inspect.isfunction(value) and name[0] != "_"}
    assert faces == set(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_both_faces_take_the_same_arguments(name: str) -> None:
    blocking = inspect.signature(getattr(ObjectStore, name)).parameters.values()
    awaiting = inspect.signature(getattr(AsyncObjectStore, name)).parameters.values()
    assert [(p.name, p.kind, p.default) for p in blocking] == [(p.name, p.kind, p.default) for p in awaiting]


@pytest.mark.parametrize("name", METHODS)
def test_async_face_awaits_all_but_the_stream(name: str) -> None:
    assert inspect.iscoroutinefunction(getattr(AsyncObjectStore, name)) is (name != "stream")


@pytest.mark.parametrize("name", [name for name in METHODS if name != "close"])
def test_every_method_says_what_it_raises(name: str) -> None:
    assert "Raises:" in (inspect.getdoc(getattr(ObjectStore, name)) or "")
