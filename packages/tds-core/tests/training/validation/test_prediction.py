import pytest
import torch
from monai.inferers.utils import sliding_window_inference
from torch import Tensor, nn

from tds_core.training.config import BRAIN_TUMOUR, LIVER_TUMOUR, Heads, NetworkConfig, Precision
from tds_core.training.models import build_network
from tds_core.training.validation import PredictionConfig, predict_case, predict_image, region_probabilities
from tds_core.windows import WindowPlan

CPU = torch.device("cpu")
PATCH = (16, 16, 16)
SMALL = {"init_filters": 8, "blocks_down": [1, 1], "blocks_up": [1]}


class Counting(nn.Module):
    """Passes images on and remembers what it was shown."""

    def __init__(self, *, outputs: int = 3) -> None:
        super().__init__()
        self.mix = nn.Conv3d(4, outputs, 1)
        self.drop = nn.Dropout(0.5)
        self.batches: list[tuple[int, ...]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.batches.append(tuple(x.shape))
        result: Tensor = self.drop(self.mix(x))
        return result


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return build_network(NetworkConfig(options=SMALL), in_channels=4, out_channels=3, patch=PATCH)


@pytest.fixture
def image() -> Tensor:
    return torch.randn((4, 37, 23, 13), generator=torch.Generator().manual_seed(1))


def how(plan: WindowPlan, **changes: object) -> PredictionConfig:
    settings: dict[str, object] = {
        "plan": plan,
        "heads": Heads.REGIONS,
        "task": BRAIN_TUMOUR,
        "precision": Precision.FP32,
        "device": CPU,
    }
    return PredictionConfig(**{**settings, **changes})  # type: ignore[arg-type]  # from a table


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.7])
def test_probabilities_are_those_of_monai(network: nn.Module, image: Tensor, overlap: float) -> None:
    found = predict_case(
        network,
        image,
        patch=PATCH,
        overlap=overlap,
        heads=Heads.REGIONS,
        task=BRAIN_TUMOUR,
        precision=Precision.FP32,
        device=CPU,
    )
    with torch.inference_mode():
        logits = sliding_window_inference(image[None], PATCH, 2, network.eval(), overlap=overlap, mode="gaussian")
    assert isinstance(logits, Tensor)
    torch.testing.assert_close(found, logits[0].sigmoid(), atol=1e-5, rtol=1e-5)
    assert found.shape == (3, 37, 23, 13)


def test_image_that_goes_whole_gives_what_the_network_gives(network: nn.Module, image: Tensor) -> None:
    found = predict_image(network, image, how(WindowPlan(multiple=(2, 2, 2))))
    with torch.inference_mode():
        logits = network.eval()(nn.functional.pad(image, (0, 1, 0, 1, 0, 1))[None])[0, :, :37, :23, :13]
    torch.testing.assert_close(found, logits.sigmoid())


def test_mirrored_copies_are_averaged(network: nn.Module, image: Tensor) -> None:
    plan = WindowPlan(multiple=(2, 2, 2))
    even = image[:, :36, :22, :12]
    found = predict_image(network, even, how(plan, mirror=(0, 2)))
    copies = [predict_image(network, even.flip(axes), how(plan)).flip(axes) for axes in ([], [1], [3], [1, 3])]
    torch.testing.assert_close(found, torch.stack(copies).mean(0))


def test_region_of_softmax_heads_is_as_probable_as_its_labels_together() -> None:
    logits = torch.randn((3, 4, 5, 6), generator=torch.Generator().manual_seed(2))
    classes = logits.softmax(0)
    found = region_probabilities(logits.clone(), Heads.CLASSES, LIVER_TUMOUR)
    torch.testing.assert_close(found, torch.stack([classes[1] + classes[2], classes[2]]))


def test_softmax_heads_are_averaged_over_windows_as_logits(image: Tensor) -> None:
    torch.manual_seed(0)
    network = Counting(outputs=4)
    found = predict_image(network, image, how(WindowPlan(patch=PATCH), heads=Heads.CLASSES))
    with torch.inference_mode():
        expected = region_probabilities(network.eval()(image[None])[0], Heads.CLASSES, BRAIN_TUMOUR)
    torch.testing.assert_close(found, expected)


def test_network_stays_in_its_mode_even_where_parts_differ(image: Tensor) -> None:
    network = Counting()
    network.train()
    network.mix.eval()
    predict_image(network, image, how(WindowPlan(patch=PATCH)))
    assert (network.training, network.mix.training, network.drop.training) == (True, False, True)
    assert all(parameter.grad is None for parameter in network.parameters())


def test_few_windows_go_through_at_once(image: Tensor) -> None:
    network = Counting()
    predict_image(network, image, how(WindowPlan(patch=PATCH)))
    assert {shape[2:] for shape in network.batches} == {PATCH}
    assert max(shape[0] for shape in network.batches) <= 8
    large = Counting()
    predict_image(large, torch.zeros((4, 97, 96, 96)), how(WindowPlan(patch=(96, 96, 96))))
    assert {shape[0] for shape in large.batches} == {1}


@pytest.mark.parametrize("precision", [Precision.BF16, Precision.FP16])
def test_low_precision_stays_close_and_gives_float32(network: nn.Module, image: Tensor, precision: Precision) -> None:
    plan = WindowPlan(patch=PATCH)
    exact = predict_image(network, image, how(plan))
    rough = predict_image(network, image, how(plan, precision=precision))
    assert rough.dtype == torch.float32
    assert not torch.equal(rough, exact)
    torch.testing.assert_close(rough, exact, atol=0.05, rtol=0)


def test_result_can_take_part_in_gradients_later(network: nn.Module, image: Tensor) -> None:
    found = predict_image(network, image, how(WindowPlan(patch=PATCH)))
    assert not found.is_inference()
