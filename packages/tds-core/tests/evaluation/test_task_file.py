import re
from pathlib import Path

import pytest

from tds_core import ConfigError
from tds_core.evaluation.task_file import choose_task
from tds_data.errors import TaskError
from tds_data.task import LIVER_TUMOUR


def test_task_is_found_by_its_name() -> None:
    assert choose_task("liver-tumour") is LIVER_TUMOUR
    with pytest.raises(TaskError, match="did you mean 'liver-tumour'"):
        choose_task("liver-tumor")


@pytest.mark.parametrize("name", ["knee.yaml", "knee.json"])
def test_task_of_a_file_needs_labels_and_regions_only(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text('{"name": "knee", "labels": ["bone", "tumour"], "regions": {"all": [1, 2]}}')
    task = choose_task(str(tmp_path / name))
    assert (task.name, task.labels, dict(task.regions)) == ("knee", ("bone", "tumour"), {"all": (1, 2)})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{name: k, label: [a], regions: {a: [1]}}", "has the unknown key 'label'; did you mean 'labels'?"),
        ("{name: k, labels: [a], regions: {a: [1]}, xyz: 3}", "known are name, channels"),
        ("[1]", "is no mapping; write name, labels and regions"),
        ("a: [", "cannot read the task"),
    ],
)
def test_file_that_is_no_task_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text(text)
    with pytest.raises(ConfigError, match=re.escape(message)):
        choose_task(str(tmp_path / "t.yaml"))


def test_absent_file_and_wrong_regions_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the task"):
        choose_task(str(tmp_path / "absent.yaml"))
    (tmp_path / "t.yaml").write_text("{name: k, labels: [a], regions: {a: [2]}}")
    with pytest.raises(TaskError, match="give at least one of 1 to 1"):
        choose_task(str(tmp_path / "t.yaml"))
