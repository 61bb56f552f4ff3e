from itertools import pairwise, product

import numpy as np
import pytest
import torch
from monai.networks.nets.dints import DiNTS

from tds_core.training.dints import Architecture, Edge, SearchConfig
from tds_core.training.dints.architecture import OPERATIONS
from tds_core.training.dints.memory import found_memory, largest_memory, path_memory, smallest_memory
from tds_core.training.dints.penalties import PenaltyMeter

from .conftest import make_network


def shaken(seed: int, **changes: object) -> DiNTS:
    network = make_network(**changes)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name in ("log_alpha_a", "log_alpha_c"):
            alpha = getattr(network.dints_space, name)
            alpha.copy_(2 * torch.randn(alpha.shape, generator=generator))
    return network


@pytest.mark.parametrize("depths", [2, 3])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_topology_penalty_is_monais(depths: int, seed: int) -> None:
    space = shaken(seed, depths=depths).dints_space
    sets, _ = space.get_prob_a(child=True)
    torch.testing.assert_close(PenaltyMeter(space).measure().topology, space.get_topology_entropy(sets))


@pytest.mark.parametrize("downsample", [True, False])
def test_expected_memory_goes_as_monais_does(*, downsample: bool) -> None:
    ratios = []
    for seed in range(4):
        space = shaken(seed, depths=3, downsample=downsample).dints_space
        theirs = space.get_ram_cost_usage((1, 2, 32, 32, 32))
        ratios.append((PenaltyMeter(space).measure().memory / theirs).detach())
    torch.testing.assert_close(torch.stack(ratios), ratios[0].expand(4))


def measured(network: DiNTS) -> dict[str, float]:
    with torch.no_grad():
        penalties = PenaltyMeter(network.dints_space).measure()
    return {name: float(getattr(penalties, name)) for name in ("operations", "paths", "topology", "memory")}


def test_entropies_are_nought_where_all_is_decided_and_largest_where_nothing_is() -> None:
    network = make_network()
    space = network.dints_space
    with torch.no_grad():
        space.log_alpha_a.fill_(-30)
        space.log_alpha_a[:, 0] = 30
        space.log_alpha_c.fill_(-30)
        space.log_alpha_c[..., 1] = 30
    decided = measured(network)
    assert decided["operations"] == pytest.approx(0, abs=1e-5)
    assert decided["paths"] == pytest.approx(0, abs=1e-4)
    assert decided["topology"] == pytest.approx(0, abs=1e-2)
    with torch.no_grad():
        space.log_alpha_c.fill_(0)
        space.log_alpha_a.fill_(0)
    undecided = measured(network)
    assert undecided["operations"] == pytest.approx(np.log(5) / 5)
    assert undecided["paths"] == pytest.approx(np.log(15) / 15, rel=1e-3)


def test_a_decided_search_expects_the_memory_of_what_it_finds() -> None:
    network = make_network(blocks=1)
    space = network.dints_space
    with torch.no_grad():
        space.log_alpha_a.fill_(-30)
        space.log_alpha_a[0, 1] = 30  # from level 1 to level 0
        space.log_alpha_c.fill_(-30)
        space.log_alpha_c[..., 1] = 30
    memory = path_memory(space)
    one = Edge(source=1, target=0, operation=OPERATIONS[1])
    architecture = Architecture(channels=4, depths=2, downsample=False, blocks=((one,),))
    share = found_memory(memory, architecture) / largest_memory(memory)
    assert measured(network)["memory"] == pytest.approx(share, rel=1e-4)


def every_architecture(blocks: int) -> list[Architecture]:
    pairs = [(0, 0), (1, 0), (0, 1), (1, 1)]
    sets = [[pair for pair, on in zip(pairs, choice, strict=True) if on] for choice in product([0, 1], repeat=4)]
    found = []
    for chosen in product([s for s in sets if s], repeat=blocks):
        if all({t for _, t in a} == {s for s, _ in b} for a, b in pairwise(chosen)):
            made = tuple(
                tuple(Edge(source=s, target=t, operation="skip_connect") for s, t in block) for block in chosen
            )
            found.append(Architecture(channels=4, depths=2, downsample=False, blocks=made))
    return found


def test_the_smallest_network_is_the_smallest_of_all() -> None:
    memory = path_memory(make_network(blocks=3).dints_space)
    memory[1] *= 3  # so that the way through matters
    memory[2, 0] *= 5
    everything = [found_memory(memory, architecture) for architecture in every_architecture(3)]
    assert smallest_memory(memory) == pytest.approx(min(everything))
    assert max(everything) < largest_memory(memory)


def test_pressure_weighs_all_penalties() -> None:
    penalties = PenaltyMeter(make_network().dints_space).measure()
    config = SearchConfig(memory=0.1, memory_weight=2.0, entropy_weight=3.0, topology_weight=0.5)
    expected = (
        3 * (penalties.operations + penalties.paths) + 0.5 * penalties.topology + 2 * (penalties.memory - 0.1).abs()
    )
    torch.testing.assert_close(penalties.total(config, 0.25), 0.25 * expected)
