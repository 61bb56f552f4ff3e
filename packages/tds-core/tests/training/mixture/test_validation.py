from dataclasses import replace

import pytest
import torch

from tds_core.training.mixture.augment import Sources
from tds_core.training.mixture.validation import WholeHeadValidator, coarse_dice, predict


class Constant(torch.nn.Module):
    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = torch.nn.Parameter(logits)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        assert not self.training
        assert all(n % 8 == 0 for n in image.shape[2:])
        return self.logits.expand(1, 3, *image.shape[2:])


def test_whole_image_is_padded_for_the_network_and_cut_back(sources: Sources) -> None:
    network = Constant(torch.ones(1, 3, 1, 1, 1))
    logits = predict(network, sources.patients[0].image)
    assert logits.shape == (3, 24, 28, 20)
    assert logits.dtype == torch.float32
    assert network.training


def test_coarse_dice_counts_regions_and_gives_one_where_both_are_empty(sources: Sources) -> None:
    sample = replace(sources.patients[0], regions=sources.patients[0].regions.clone())
    sample.regions[2] = 0
    network = Constant(torch.tensor([1.0, -1.0, -1.0]).view(1, 3, 1, 1, 1))
    dice = coarse_dice(network, sample)
    size, tumour = sample.regions[0].numel(), float(sample.regions[0].sum())
    assert dice["WT"] == pytest.approx(2 * tumour / (size + tumour))
    assert (dice["TC"], dice["ET"]) == (0.0, 1.0)


def test_score_is_the_mean_over_patients_and_regions(sources: Sources) -> None:
    network = Constant(torch.tensor([1.0, -1.0, -1.0]).view(1, 3, 1, 1, 1))
    result = WholeHeadValidator(sources.patients).validate(network)
    assert [case.case for case in result.cases] == ["patient-1", "patient-2"]
    whole = sum(case.dice["WT"] for case in result.cases) / 2
    assert result.mean_dice == {"WT": pytest.approx(whole), "TC": 0.0, "ET": 0.0}
    assert result.score == pytest.approx(whole / 3)
    assert result.seconds >= 0
