import pickle

import pytest

from tds_data.errors import TaskError
from tds_data.task import BRAIN_TUMOUR, TASKS, Task, find_task

PLAIN = {"name": "t", "channels": ("a", "b"), "labels": ("x", "y"), "regions": {"all": (1, 2)}}


def test_tasks_are_found_by_name_and_the_nearest_is_named() -> None:
    assert find_task("brain-tumour") is BRAIN_TUMOUR
    with pytest.raises(TaskError, match="did you mean 'liver-tumour'"):
        find_task("liver-tumor")
    with pytest.raises(TaskError, match=f"known are {', '.join(TASKS)}"):
        find_task("something else")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": ("a", "a")}, "needs channels"),
        ({"labels": ()}, "needs labels"),
        ({"regions": {}}, "needs regions"),
        ({"regions": {"all": (1, 3)}}, "holds the labels"),
        ({"regions": {"all": ()}}, "give at least one of 1 to 2"),
        ({"windows": {"c": (0.0, 1.0)}}, "a finite range of one of a, b"),
        ({"windows": {"a": (1.0, 1.0)}}, "a finite range"),
        ({"windows": {"a": (0.0, float("inf"))}}, "a finite range"),
    ],
)
def test_task_that_cannot_be_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        Task(**{**PLAIN, **change})  # type: ignore[arg-type]  # on purpose


def test_task_goes_to_other_processes_and_cannot_be_changed() -> None:
    task = Task(**PLAIN, windows={"a": (0.0, 1.0)})  # type: ignore[arg-type]  # a plain dictionary of its fields
    assert pickle.loads(pickle.dumps(task)) == task  # noqa: S301  # our own
    with pytest.raises(TypeError):
        task.regions["all"] = (1,)  # type: ignore[index]  # on purpose
