import os
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch import nn

from tds_core.training.config import TrainingConfig
from tds_core.training.losses import LOSS_NAMES
from tds_core.training.models import MODEL_NAMES
from tds_core.training.planning import Load, estimate_memory
from tds_core.training.planning.memory import CONTEXT_BYTES, CPU_SHARE
from tds_core.training.planning.tracing import Casts, LiveBytes, weight_bytes

Configured = Callable[..., TrainingConfig]
CUBE = (32, 32, 32)


def test_bytes_are_counted_while_they_are_held() -> None:
    live = LiveBytes("cuda")
    with live:
        first = torch.empty(1000, device="meta")
        assert live.now == 4000
        view = first[:10].reshape(2, 5)
        second = first.half()
        assert live.now == 6000
        del first
        assert live.now == 6000, "the view still holds it"
        del view, second
    assert (live.now, live.peak) == (0, 6000)


def test_what_was_there_before_is_not_counted() -> None:
    weight = nn.Linear(10, 10, device="meta").weight
    live = LiveBytes("cuda")
    live.ignore([weight])
    with live:
        turned = weight.t()
    assert live.now == 0
    del turned


def test_what_backward_needs_is_held_until_then() -> None:
    layer = nn.Sequential(nn.Linear(100, 100), nn.Sigmoid(), nn.Linear(100, 100)).to("meta")
    live = LiveBytes("cuda")
    live.ignore(layer.parameters())
    with live:
        total = layer(torch.empty((50, 100), device="meta")).sum()
        held = live.now
        total.backward()
    # Input and sigmoid are kept; the linear layers' own results are not.
    assert held == 2 * 50 * 100 * 4 + 4
    assert live.now == weight_bytes(layer) + 4


def test_convolutions_need_room_for_copies_of_their_images() -> None:
    conv = nn.Conv3d(2, 3, 3, padding=1, device="meta")
    peaks = {}
    for device, dtype in (("cuda", torch.float32), ("cuda", torch.bfloat16), ("cpu", torch.bfloat16)):
        live = LiveBytes(device)
        live.ignore(conv.parameters())
        with live, torch.no_grad():
            torch.conv3d(torch.empty((1, 2, 8, 8, 8), dtype=dtype, device="meta"), conv.weight.to(dtype), padding=1)
        peaks[device, dtype] = live.peak
    kernel = 3 * 2 * 27
    assert peaks["cuda", torch.float32] == 2 * 5 * 512 * 4
    assert peaks["cuda", torch.bfloat16] == 2 * 5 * 512 * 2 + kernel * 2
    assert peaks["cpu", torch.bfloat16] == 5 * 512 * 2 + 5 * 512 * 4 + kernel * 2


def test_casts_are_those_of_autocast() -> None:
    image = torch.rand((1, 4, 4, 4, 4))
    conv, norm, act = nn.Conv3d(4, 4, 1), nn.GroupNorm(2, 4), nn.PReLU()
    with torch.autocast("cpu", torch.bfloat16):
        wanted = [
            conv(image).dtype,
            act(conv(image)).dtype,
            torch.einsum("ij,jk->ik", image[0, 0, 0], conv.weight[:, :, 0, 0, 0]).dtype,
        ]
    with Casts(torch.bfloat16, "cpu"):
        found = [
            conv(image).dtype,
            act(conv(image)).dtype,
            torch.einsum("ij,jk->ik", image[0, 0, 0], conv.weight[:, :, 0, 0, 0]).dtype,
        ]
    assert found == wanted
    with Casts(torch.bfloat16, "cuda"):
        assert norm(conv(image)).dtype == torch.float32


@pytest.mark.parametrize("name", [name for name in MODEL_NAMES if not name.startswith("dints")])
def test_every_network_can_be_counted(configured: Configured, name: str) -> None:
    config = configured(f"network.name={name}", "precision=bf16")
    small, large = (estimate_memory(config, Load(patch=(64, 64, 64), micro_batch=n)) for n in (16, 32))
    assert 1.8 * small.step < large.step < 2.1 * small.step
    assert 0 < small.validation < small.step / 16


def test_activations_grow_with_voxels_and_each_device_has_its_allowance(configured: Configured) -> None:
    config = configured("optimiser.average_decay=null", "precision=fp32")
    steps = [estimate_memory(config, Load(patch=(n, 64, 64), micro_batch=2)).step for n in (32, 64, 128)]
    assert steps[2] - steps[1] == pytest.approx(2 * (steps[1] - steps[0]), rel=0.02)
    cuda = estimate_memory(config, Load(patch=CUBE, micro_batch=1))
    cpu = estimate_memory(configured("device=cpu", "precision=fp32"), Load(patch=CUBE, micro_batch=1))
    assert cuda.average == 0
    assert cpu.context == int(CPU_SHARE * max(cpu.step, cpu.validation))
    assert cpu.average == cpu.weights
    assert cuda.context > CONTEXT_BYTES


def test_optimiser_precision_supervision_and_accumulation_are_counted(configured: Configured) -> None:
    load = Load(patch=(64, 64, 64), micro_batch=1)
    adam, sgd = (estimate_memory(configured(f"optimiser.name={n}"), load).optimiser for n in ("adamw", "sgd"))
    assert adam == 2 * sgd
    dynunet = [
        estimate_memory(configured("network.name=dynunet", *more), load).step
        for more in (["precision=bf16"], ["precision=fp32"], ["precision=fp32", "network.deep_supervision=true"])
    ]
    assert dynunet[0] < 0.7 * dynunet[1]
    assert dynunet[1] < dynunet[2]
    alone = estimate_memory(configured(), load)
    summed = estimate_memory(configured(), Load(patch=load.patch, micro_batch=1, accumulated=True))
    assert summed.step > alone.step


def test_group_norm_in_float32_makes_16_bits_dear_on_cuda(configured: Configured) -> None:
    load = Load(patch=(64, 64, 64), micro_batch=1)
    steps = {p: estimate_memory(configured(f"precision={p}"), load).step for p in ("fp32", "bf16")}
    assert steps["bf16"] > 0.9 * steps["fp32"]


@pytest.mark.parametrize("loss", LOSS_NAMES)
@pytest.mark.parametrize("heads", ["regions", "classes"])
def test_every_loss_can_be_counted(configured: Configured, loss: str, heads: str) -> None:
    config = configured(f"loss.name={loss}", f"network.heads={heads}", "network.options.init_filters=8")
    memory = estimate_memory(config, Load(patch=CUBE, micro_batch=1))
    assert memory.step > 32**3 * (4 + config.output_channels) * 4


def test_an_image_that_goes_through_whole_counts_in_validation(configured: Configured) -> None:
    patch = estimate_memory(configured(), Load(patch=CUBE, micro_batch=1))
    whole = estimate_memory(configured(), Load(patch=CUBE, micro_batch=1, image=(64, 48, 32)))
    assert whole.validation == pytest.approx(3 * patch.validation, rel=0.1)
    assert whole.step == patch.step


def test_counting_draws_nothing_from_torchs_generator(configured: Configured) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    estimate_memory(configured("network.name=unet"), Load(patch=CUBE, micro_batch=1))
    assert torch.equal(torch.get_rng_state(), before)


MEASURE = """
import gc, sys
import torch
from tds_core.training.config import TrainingConfig, parse
from tds_core.training.guards.host_memory import peak_bytes, reset_peak, resident_bytes, trim
from tds_core.training.losses import build_loss
from tds_core.training.models import build_network
from tds_core.training.planning import Load, estimate_memory
from tds_core.training.planning.memory import CPU_SHARE

torch.set_num_threads(1)


def make(config, size):
    return build_network(config.network, in_channels=4, out_channels=3, patch=(size, size, size)).train()


def step(config, network, size, batch):
    images = torch.rand((batch, 4, size, size, size))
    labels = torch.randint(0, 4, (batch, size, size, size), dtype=torch.uint8)
    with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bf16"):
        outputs = network(images)
    build_loss(config.loss, config.goal, config.network.heads)(outputs.float(), labels).backward()


for name, size, precision in [words.split("-") for words in sys.argv[1:]]:
    size = int(size)
    config = parse(TrainingConfig, {
        "name": "x", "data": {"datasets": [{"path": "x"}]}, "network": {"name": name}, "device": "cpu",
        "precision": precision, "optimiser": {"average_decay": None},
    })
    memory = estimate_memory(config, Load(patch=(size, size, size), micro_batch=2))
    step(config, make(config, 32), 32, 1)  # what the libraries load the first time is none of the step's
    gc.collect()
    trim()
    before = resident_bytes()
    network = make(config, size)
    if not reset_peak():
        raise SystemExit("no peak")
    step(config, network, size, 2)
    print(memory.weights + memory.step + int(CPU_SHARE * memory.step), peak_bytes() - before, flush=True)
    del network
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="needs Linux to measure")  # noqa: PTH110  # a condition
def test_estimates_are_what_steps_take() -> None:
    asked = ["segresnet-48-fp32", "unet-64-fp32", "dynunet-48-fp32", "unet-48-bf16"]
    done = subprocess.run([sys.executable, "-c", MEASURE, *asked], check=False, capture_output=True, text=True)  # noqa: S603  # our own script
    if "no peak" in done.stderr:
        pytest.skip("the system does not let the peak be measured")
    assert done.returncode == 0, done.stderr
    found = {name: tuple(map(int, line.split())) for name, line in zip(asked, done.stdout.splitlines(), strict=True)}
    ratios = {name: estimated / measured for name, (estimated, measured) in found.items()}
    assert all(0.75 < ratio < 1.25 for ratio in ratios.values()), ratios
