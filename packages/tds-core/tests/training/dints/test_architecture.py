from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tds_core.errors import ConfigError
from tds_core.training.config import NetworkConfig, TrainingConfig, parse, to_document
from tds_core.training.dints import (
    Architecture,
    DintsOptions,
    DintsSearchOptions,
    inline_architecture,
    load_architecture,
)
from tds_core.training.dints.architecture import OPERATIONS
from tds_core.training.dints.networks import architecture_codes, path_number
from tds_core.training.run import with_absolute_paths

from .conftest import edge, make_config, make_network


def write(path: Path, document: object) -> Path:
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def test_a_written_architecture_is_read_back(tmp_path: Path, found: Architecture) -> None:
    path = write(tmp_path / "a.yaml", {"format": 1, "architecture": to_document(found), "search": {"any": "thing"}})
    assert load_architecture(path) == found


@pytest.mark.parametrize("document", [{"format": 2}, [], {"architecture": {}}, "text"])
def test_other_files_are_no_architecture(tmp_path: Path, document: object) -> None:
    with pytest.raises(ConfigError, match=r"'a.yaml' is no architecture of format 1"):
        load_architecture(write(tmp_path / "a.yaml", document))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no file '.*a\.yaml'; check the path"):
        load_architecture(tmp_path / "a.yaml")


def test_an_architecture_with_an_unknown_operation_names_the_nearest(tmp_path: Path, found: Architecture) -> None:
    document = to_document(found)
    document["blocks"][0][0]["operation"] = "conv_3x3x33"
    path = write(tmp_path / "a.yaml", {"format": 1, "architecture": document})
    with pytest.raises(ConfigError, match=r"architecture\.blocks.*did you mean 'conv_3x3x3'"):
        load_architecture(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"blocks": ()}, "at least one block"),
        ({"blocks": ((),)}, "block 0 has no path"),
        ({"blocks": ((edge(0, 0), edge(0, 0)),)}, "the same one twice"),
        ({"blocks": ((edge(1, 2),),)}, "outside 0 to 1"),
        ({"blocks": ((edge(-1, 0),),)}, "outside 0 to 1"),
        ({"blocks": ((edge(0, 1),), (edge(0, 0),))}, r"block 1 reads the levels \[0\], but block 0 writes \[1\]"),
        ({"blocks": ((edge(0, 0), edge(0, 1)), (edge(0, 0),))}, r"block 1 reads .*block 0 writes \[0, 1\]"),
        ({"channels": 3}, "channels must be a positive multiple of 2"),
        ({"depths": 5}, "depths must be between 2 and 4"),
        ({"norm": "batch"}, "norm cannot be 'batch'"),
        ({"norm": "group", "groups": 3}, "channels must be a positive multiple of 3"),
    ],
)
def test_what_makes_no_network_is_refused(changes: dict[str, Any], message: str) -> None:
    values: dict[str, Any] = {"channels": 4, "depths": 2, "downsample": False, "blocks": ((edge(0, 0),),), **changes}
    with pytest.raises(ConfigError, match=message):
        Architecture(**values)


def test_a_path_leads_to_a_neighbour_at_most() -> None:
    with pytest.raises(ConfigError, match="not from 0 to 2"):
        edge(0, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 5}, "channels must be a positive multiple of 2"),
        ({"blocks": 0}, "blocks must be between 1 and 64"),
        ({"depths": 5}, "depths must be between 2 and 4"),
        ({"norm": "batch"}, "norm cannot be 'batch'"),
        ({"channels": 20, "norm": "group"}, "channels must be a positive multiple of 8"),
        ({"search": {"memory": 1.5}}, "memory must be between 0 and 1"),
        ({"search": {"warmup_share": 1}}, "warmup_share must be between"),
        ({"search": {"learning_rate": 0}}, "learning_rate must be a finite number above 0"),
        ({"search": {"topology_weight": -1}}, "topology_weight must be between"),
        ({"search": {"memroy": 0.5}}, "did you mean 'memory'"),
    ],
)
def test_a_space_that_cannot_be_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(DintsSearchOptions, options, "network.options.")


def test_a_configuration_may_switch_an_option_off() -> None:
    assert parse(NetworkConfig, {"options": {"downsample": False}}).options == {"downsample": False}


def test_codes_are_those_of_monais_paths(found: Architecture) -> None:
    space = make_network(depths=3).dints_space
    ends = list(zip(space.arch_code2in, space.arch_code2out, strict=True))
    assert [path_number(*pair) for pair in ends] == list(range(7))
    nodes, paths, operations = architecture_codes(found)
    assert nodes.tolist() == [[1, 1, 0], [1, 1, 0], [0, 1, 1], [0, 1, 1]]
    for number, block in enumerate(found.blocks):
        assert {ends[path] for path in np.flatnonzero(paths[number])} == {(e.source, e.target) for e in block}
        for one in block:
            assert OPERATIONS[operations[number, path_number(one.source, one.target)]] == one.operation


def test_operations_are_monais_in_order() -> None:
    cell = make_network().dints_space.cell_tree["(0, 0)"]
    assert tuple(cell.OPS) == OPERATIONS


def test_a_named_file_is_put_in_place(tmp_path: Path, found: Architecture) -> None:
    write(tmp_path / "a.yaml", {"format": 1, "architecture": to_document(found)})
    options = inline_architecture({"architecture": "a.yaml"}, tmp_path)
    assert parse(DintsOptions, options).architecture == found
    assert inline_architecture(options, tmp_path) == options
    assert inline_architecture({"channels": 4}, tmp_path) == {"channels": 4}
    absolute = inline_architecture({"architecture": str(tmp_path / "a.yaml")}, Path("elsewhere"))
    assert absolute == options


def test_a_run_holds_its_architecture_wherever_it_is_resumed(tmp_path: Path, found: Architecture) -> None:
    write(tmp_path / "a.yaml", {"format": 1, "architecture": to_document(found)})
    told = make_config(network=NetworkConfig(name="dints", options={"architecture": "a.yaml"}))
    kept = yaml.safe_load(yaml.safe_dump(to_document(with_absolute_paths(told, tmp_path))))
    options = parse(TrainingConfig, kept).network.options
    assert parse(DintsOptions, options).architecture == found
    missing = make_config(network=NetworkConfig(name="dints", options={"architecture": "b.yaml"}))
    with pytest.raises(ConfigError, match=r"there is no file '.*b\.yaml'; check the path"):
        with_absolute_paths(missing, tmp_path)
