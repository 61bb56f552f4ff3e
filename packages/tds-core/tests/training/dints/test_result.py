from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from monai.networks.nets.dints import DiNTS

from tds_core.training.dints import Architecture, DintsSearchOptions, decode, load_architecture, write_search_result
from tds_core.training.dints.architecture import OPERATIONS

from .conftest import SPACE, edge, make_network

OPTIONS = DintsSearchOptions(**SPACE)


def shaken(seed: int) -> DiNTS:
    network = make_network()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name in ("log_alpha_a", "log_alpha_c"):
            alpha = getattr(network.dints_space, name)
            alpha.copy_(torch.randn(alpha.shape, generator=generator))
    return network


def most_probable(network: DiNTS) -> list[set[tuple[int, int]]]:
    """The best of all ways through all sets of paths, found by trying each."""
    space = network.dints_space
    with torch.no_grad():
        sets = space.get_prob_a(child=True)[0].numpy()
    ends = list(zip(space.arch_code2in, space.arch_code2out, strict=True))
    children = [{ends[i] for i in np.flatnonzero(child)} for child in space.child_list]
    best, found = np.inf, []
    for way in product(range(len(children)), repeat=space.num_blocks):
        chosen = [children[i] for i in way]
        if any({t for _, t in a} != {s for s, _ in b} for a, b in pairwise(chosen)):
            continue
        cost = -sum(np.log(sets[number, i] + 1e-5) for number, i in enumerate(way))
        if cost < best:
            best, found = cost, chosen
    return found


@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_decoded_is_the_most_probable_network(seed: int) -> None:
    network = shaken(seed)
    architecture = decode(network, OPTIONS)
    assert [{(e.source, e.target) for e in block} for block in architecture.blocks] == most_probable(network)
    likeliest = network.dints_space.log_alpha_c.argmax(-1)
    for number, block in enumerate(architecture.blocks):
        for one in block:
            assert one.operation == OPERATIONS[int(likeliest[number, 2 * one.target + one.source])]


def test_a_search_leaves_its_architecture_with_the_reasons(tmp_path: Path) -> None:
    network = shaken(3)
    found = write_search_result(tmp_path, network, OPTIONS)
    assert load_architecture(tmp_path / "architecture.yaml") == found
    text = (tmp_path / "architecture.yaml").read_text()
    assert "not a medical device" in text
    reasons = yaml.safe_load(text)["search"]
    memory = reasons["memory"]
    assert memory["wanted"] == 0.5
    assert 0 < memory["smallest"] <= memory["found"] < 1
    assert 0 < memory["expected"] < 1
    space = network.dints_space
    with torch.no_grad():
        paths = space.get_prob_a(child=False)[1]
    for number, block in enumerate(reasons["probabilities"]):
        for path, told in enumerate(block):
            assert told["probability"] == pytest.approx(paths[number, path].item(), abs=1e-4)
            assert sum(told["operations"]) == pytest.approx(1, abs=1e-3)
            chosen = any((e.source, e.target) == (told["source"], told["target"]) for e in found.blocks[number])
            assert told["chosen"] is chosen
    assert (tmp_path / "architecture.txt").read_text().startswith("1   ")


def test_the_norm_of_the_search_goes_into_what_is_found() -> None:
    network = make_network(channels=8, norm="group", groups=4)
    options = DintsSearchOptions(**{**SPACE, "channels": 8, "norm": "group", "groups": 4})
    found = decode(network, options)
    assert (found.norm, found.groups, found.channels) == ("group", 4, 8)


def decided() -> DiNTS:
    network = make_network()
    space = network.dints_space
    with torch.no_grad():
        space.log_alpha_a.fill_(-9)
        for number, path in ((0, 2), (1, 3), (2, 1)):  # down, along level 1, up
            space.log_alpha_a[number, path] = 9
        space.log_alpha_c.fill_(-9)
        space.log_alpha_c[..., 3] = 9
    return network


def test_a_search_without_a_decision_warns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_search_result(tmp_path, decided(), OPTIONS)
    assert not caplog.messages
    undecided = make_network()
    with torch.no_grad():
        undecided.dints_space.log_alpha_a.fill_(0.0)
        undecided.dints_space.log_alpha_a[:, 3] = 0.1
        undecided.dints_space.log_alpha_a[:, :3] = -0.1
    write_search_result(tmp_path, undecided, OPTIONS)
    assert "search_undecided" in caplog.text


def test_a_decided_search_decodes_to_what_it_decided() -> None:
    assert decode(decided(), OPTIONS) == Architecture(
        channels=4,
        depths=2,
        downsample=False,
        blocks=((edge(0, 1, "conv_3x1x3"),), (edge(1, 1, "conv_3x1x3"),), (edge(1, 0, "conv_3x1x3"),)),
    )
