"""What `against_nnunet.py` compares: each trainer in a process of its own, on the same patients and the same network.

    python benchmarks/_training_contenders.py NAME prepare|train SETTINGS.json

All train nnU-Net's PlainConvUNet, built from the same plans with the same first weights, on classes with softmax, with
SGD of Nesterov momentum 0.99 and polynomial decay, gradients clipped at 12, nnU-Net's default augmentation or the list
of it, patches of one size, as many in a batch, for as many steps. nnU-Net does not use autocast on a CPU; ours is timed
with bf16, its default, and with float32, to tell apart what comes from the number format.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MODALITIES = ("t1", "t1ce", "t2", "flair")
DATASET = "Dataset902_Train"
LABELS = {"background": 0, "NCR": 1, "ED": 2, "ET": 3}
WARM_STEPS = 5
SEED = 0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What every contender is told."""

    scratch: str
    validation: tuple[str, ...]
    patch: int
    batch: int
    steps: int
    spacing_mm: float
    features: tuple[int, ...]
    workers: int

    @property
    def folder(self) -> Path:
        """Where contenders keep what they prepare."""
        return Path(self.scratch)

    def cases(self) -> list[dict[str, Any]]:
        """Return the files of each case: a path for each sequence and for `label`, coded 0 to 3."""
        cases: list[dict[str, Any]] = json.loads((self.folder / "cases.json").read_text())
        return cases


def tell(event: str, **values: object) -> None:
    """Print an event for the parent."""
    print(json.dumps({"event": event, "at": time.time(), **values}), flush=True)


def architecture(settings: Settings) -> dict[str, Any]:
    """Return the network as nnU-Net's plans describe it."""
    stages = len(settings.features)
    return {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": {
            "n_stages": stages,
            "features_per_stage": list(settings.features),
            "conv_op": "torch.nn.modules.conv.Conv3d",
            "kernel_sizes": [[3, 3, 3]] * stages,
            "strides": [[1, 1, 1]] + [[2, 2, 2]] * (stages - 1),
            "n_conv_per_stage": [2] * stages,
            "n_conv_per_stage_decoder": [2] * (stages - 1),
            "conv_bias": True,
            "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
            "norm_op_kwargs": {"eps": 1e-5, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


def _nnunet_environment(settings: Settings) -> Path:
    """Point nnU-Net at the scratch folder, before it is imported."""
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        folder = settings.folder / "nnunet" / name
        folder.mkdir(parents=True, exist_ok=True)
        os.environ[name] = str(folder)
    os.environ.update({"nnUNet_n_proc_DA": str(settings.workers), "nnUNet_compile": "f"})
    return settings.folder / "nnunet"


def prepare_nnunet(settings: Settings) -> None:
    """Let nnU-Net plan and preprocess, with the patch, voxels and network of all contenders."""
    folder = _nnunet_environment(settings)
    raw = folder / "nnUNet_raw" / DATASET
    for part in ("imagesTr", "labelsTr"):
        (raw / part).mkdir(parents=True, exist_ok=True)
    for case in settings.cases():
        for channel, modality in enumerate(MODALITIES):
            (raw / "imagesTr" / f"{case['name']}_{channel:04d}.nii.gz").symlink_to(case[modality])
        (raw / "labelsTr" / f"{case['name']}.nii.gz").symlink_to(case["label"])
    description = {
        "channel_names": dict(enumerate(MODALITIES)),
        "labels": LABELS,
        "numTraining": len(settings.cases()),
        "file_ending": ".nii.gz",
    }
    (raw / "dataset.json").write_text(json.dumps(description))
    from nnunetv2.experiment_planning import plan_and_preprocess_api as api  # noqa: PLC0415  # only its child pays

    api.extract_fingerprints([902], num_processes=settings.workers)
    api.plan_experiments([902])
    preprocessed = folder / "nnUNet_preprocessed" / DATASET
    plans = json.loads((preprocessed / "nnUNetPlans.json").read_text())
    plans["configurations"]["3d_fullres"] |= {
        "patch_size": [settings.patch] * 3,
        "batch_size": settings.batch,
        "spacing": [settings.spacing_mm] * 3,
        "architecture": {
            "network_class_name": architecture(settings)["network_class_name"],
            "arch_kwargs": architecture(settings)["arch_kwargs"],
            "_kw_requires_import": architecture(settings)["_kw_requires_import"],
        },
    }
    (preprocessed / "nnUNetPlans.json").write_text(json.dumps(plans))
    api.preprocess([902], configurations=["3d_fullres"], num_processes=[settings.workers])
    names = [case["name"] for case in settings.cases()]
    split = {"train": [n for n in names if n not in settings.validation], "val": list(settings.validation)}
    (preprocessed / "splits_final.json").write_text(json.dumps([split]))


def train_nnunet(settings: Settings) -> None:
    """Drive nnU-Net's own trainer for as many steps, and score its masks."""
    folder = _nnunet_environment(settings) / "nnUNet_preprocessed" / DATASET
    import torch  # noqa: PLC0415  # as above
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer  # noqa: PLC0415  # as above

    torch.manual_seed(SEED)
    trainer = nnUNetTrainer(
        json.loads((folder / "nnUNetPlans.json").read_text()) | {"continue_training": False},
        "3d_fullres",
        0,
        json.loads((folder / "dataset.json").read_text()),
        device=torch.device("cuda" if torch.cuda.is_available() else "cpu"),
    )
    trainer.num_epochs = settings.steps  # its rate falls with the epoch: one step each
    trainer.initialize()
    trainer.on_train_start()
    for step in range(settings.steps):
        if step == WARM_STEPS:
            tell("start")
        trainer.current_epoch = step
        trainer.on_train_epoch_start()
        trainer.train_step(next(trainer.dataloader_train))
    tell("stop", steps=settings.steps - WARM_STEPS)
    for loader in (trainer.dataloader_train, trainer.dataloader_val):
        if hasattr(loader, "_finish"):
            loader._finish()  # noqa: SLF001  # there is no public way to end its workers
    tell("scores", dice=_nnunet_scores(trainer, settings))


def _nnunet_scores(trainer: Any, settings: Settings) -> dict[str, dict[str, float]]:  # noqa: ANN401  # untyped
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor  # noqa: PLC0415  # as above

    trainer.set_deep_supervision_enabled(False)
    trainer.network.eval()
    predictor = nnUNetPredictor(
        tile_step_size=0.5, use_mirroring=False, perform_everything_on_device=False, device=trainer.device
    )
    predictor.manual_initialization(
        trainer.network,
        trainer.plans_manager,
        trainer.configuration_manager,
        [trainer.network.state_dict()],
        trainer.dataset_json,
        "nnUNetTrainer",
        None,
    )
    cases = [case for case in settings.cases() if case["name"] in settings.validation]
    target = settings.folder / "nnunet" / "masks"
    target.mkdir(exist_ok=True)
    files = [[case[m] for m in MODALITIES] for case in cases]
    outputs = [str(target / case["name"]) for case in cases]
    predictor.predict_from_files_sequential(files, outputs, save_probabilities=False)
    from tds_data import read_volume  # noqa: PLC0415  # as above

    masks = {case["name"]: read_volume(target / f"{case['name']}.nii.gz").voxels for case in cases}
    return _dice(masks, cases)


def _dice(masks: dict[str, Any], cases: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    from tds_core.metrics import region_dice  # noqa: PLC0415  # as above
    from tds_data import read_volume  # noqa: PLC0415  # as above

    truths = {case["name"]: read_volume(Path(case["label"])).voxels for case in cases}
    return {
        name: {str(r): float(v) for r, v in region_dice(mask, truths[name]).items()} for name, mask in masks.items()
    }


def prepare_tds(settings: Settings) -> None:
    """Cache the cases at the voxel size of all contenders."""
    from tds_data.cache import CacheConfig, build_cache  # noqa: PLC0415  # as above
    from tds_data.datasets import read_manifest  # noqa: PLC0415  # as above
    from tds_data.preprocess import PreprocessConfig  # noqa: PLC0415  # as above

    config = CacheConfig(preprocess=PreprocessConfig(spacing_mm=settings.spacing_mm))
    manifest = read_manifest(settings.folder / "manifest.json")
    build_cache(manifest, settings.folder / "tds", config, workers=settings.workers)


def _tds_config(settings: Settings, precision: str) -> Any:  # noqa: ANN401  # imported below
    from tds_core.training.config import TrainingConfig, parse  # noqa: PLC0415  # as above

    document = {
        "name": "bench",
        "data": {
            "datasets": [{"path": str(settings.folder / "manifest.json")}],
            "spacing_mm": settings.spacing_mm,
            "workers": settings.workers,
        },
        "network": {"heads": "classes", "deep_supervision": True},
        "sampling": {
            "patch": [settings.patch] * 3,
            "batch": settings.batch,
            "steps_per_epoch": settings.steps,
            "foreground_share": 0.33,
            "augmentation": "standard",
        },
        "loss": {"name": "dice_ce"},
        "optimiser": {
            "name": "sgd",
            "learning_rate": 1e-2,
            "weight_decay": 3e-5,
            "momentum": 0.99,
            "clip_norm": 12.0,
            "average_decay": None,
        },
        "schedule": {"name": "polynomial"},
        "length": {"epochs": 1},
        "precision": precision,
        "seed": SEED,
        "safety": {"checkpoint_every_steps": settings.steps},
    }
    return parse(TrainingConfig, document)


def _plain_network(settings: Settings) -> Any:  # noqa: ANN401  # a network of nnU-Net's library
    import torch  # noqa: PLC0415  # as above
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans  # noqa: PLC0415  # as above

    torch.manual_seed(SEED)
    shape = architecture(settings)
    return get_network_from_plans(
        shape["network_class_name"],
        shape["arch_kwargs"],
        shape["_kw_requires_import"],
        len(MODALITIES),
        len(LABELS),
        allow_init=True,
        deep_supervision=True,
    )


def train_tds(settings: Settings, precision: str) -> None:
    """Drive our engine for as many steps, with everything it guards against, and score its masks."""
    import shutil  # noqa: PLC0415  # as above

    from tds_core.training.distributed import World, choose_device  # noqa: PLC0415  # as above
    from tds_core.training.engine import BatchSize, Events, RunParts, build_guards, fit  # noqa: PLC0415  # as above
    from tds_core.training.guards import StopRequest  # noqa: PLC0415  # as above
    from tds_core.training.run.cases import RunCases  # noqa: PLC0415  # as above
    from tds_core.training.run.learning import open_source, supervised_learner  # noqa: PLC0415  # as above
    from tds_core.training.schedules import RateSchedule  # noqa: PLC0415  # as above
    from tds_core.training.tracking import SilentTracker  # noqa: PLC0415  # as above
    from tds_data.cache import open_cache  # noqa: PLC0415  # as above

    config = _tds_config(settings, precision)
    world = World(device=choose_device(config.device))
    cases = open_cache(settings.folder / "tds").cases
    kept = RunCases(
        training=tuple(c for c in cases if c.name not in settings.validation),
        validation=tuple(c for c in cases if c.name in settings.validation),
    )
    learner = supervised_learner(config, _plain_network(settings).to(world.device), world)
    timed = _Timed(learner)
    folder = settings.folder / f"run-{precision}"
    shutil.rmtree(folder, ignore_errors=True)
    tracker = SilentTracker()
    source = open_source(config, kept, world)
    with StopRequest() as stop:
        size = BatchSize(batch=settings.batch, micro_batch=None)
        guards = build_guards(
            config.safety, size, folder=folder, stop=stop, world=world, events=Events(tracker, folder)
        )
        parts = RunParts(
            learner=timed,
            source=source,
            validator=None,
            schedule=RateSchedule(config.schedule, peak=config.optimiser.learning_rate, total_steps=settings.steps),
            tracker=tracker,
            folder=folder,
            device=world.device,
            world=world,
            guards=guards,
        )
        fit(config, parts, report=lambda _: None)
    tell("stop", steps=settings.steps - WARM_STEPS, at_last_step=timed.ended)
    source.close()
    tell("scores", dice=_tds_scores(config, learner.evaluated, settings))


class _Timed:
    """Our learner, which tells when the warm-up is over and when the last step was made."""

    def __init__(self, learner: Any) -> None:  # noqa: ANN401  # the protocol's
        self._learner = learner
        self._steps = 0
        self.ended = 0.0

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # all else is the learner's
        return getattr(self._learner, name)

    def step(self, batch: Any, *, micro_batch: int, rate: float) -> Any:  # noqa: ANN401  # the protocol's
        """Make a step."""
        if self._steps == WARM_STEPS:
            tell("start")
        result = self._learner.step(batch, micro_batch=micro_batch, rate=rate)
        self._steps += 1
        self.ended = time.time()
        return result


def _tds_scores(config: Any, network: Any, settings: Settings) -> dict[str, dict[str, float]]:  # noqa: ANN401  # above
    import torch  # noqa: PLC0415  # as above

    from tds_core.training.config import Heads  # noqa: PLC0415  # as above
    from tds_core.training.validation.prediction import PredictionConfig, predict_image  # noqa: PLC0415  # as above
    from tds_core.windows import WindowPlan  # noqa: PLC0415  # as above
    from tds_data.datasets import load_entry, read_manifest  # noqa: PLC0415  # as above
    from tds_data.preprocess import PreprocessConfig, prepare, region_labels, restore  # noqa: PLC0415  # as above
    from tds_data.vocabulary import REGIONS  # noqa: PLC0415  # as above

    multiple = 2 ** (len(settings.features) - 1)
    how = PredictionConfig(
        plan=WindowPlan(patch=(settings.patch,) * 3, overlap=0.5, multiple=(multiple,) * 3),
        heads=Heads.CLASSES,
        task=config.goal,
        precision=config.precision,
        device=next(network.parameters()).device,
    )
    manifest = read_manifest(settings.folder / "manifest.json")
    network.decoder.deep_supervision = False
    masks = {}
    for entry in manifest.cases:
        if entry.name not in settings.validation:
            continue
        prepared = prepare(load_entry(manifest, entry), PreprocessConfig(spacing_mm=settings.spacing_mm))
        found = predict_image(network, torch.from_numpy(prepared.tensor), how).numpy()
        masks[entry.name] = region_labels(
            {r: restore(p, prepared) >= 0.5 for r, p in zip(REGIONS, found, strict=True)}  # noqa: PLR2004  # a half
        )
    return _dice(masks, [case for case in settings.cases() if case["name"] in settings.validation])


PREPARE: dict[str, Callable[[Settings], None]] = {"tds": prepare_tds, "nnunet": prepare_nnunet}
TRAIN: dict[str, Callable[[Settings], None]] = {
    "tds_bf16": lambda settings: train_tds(settings, "bf16"),
    "tds_fp32": lambda settings: train_tds(settings, "fp32"),
    "nnunet": train_nnunet,
}


def main() -> None:
    """Run as a child of `against_nnunet.py`."""
    name, what, file = sys.argv[1:]
    values = json.loads(Path(file).read_text())
    settings = Settings(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
    (PREPARE if what == "prepare" else TRAIN)[name](settings)


if __name__ == "__main__":
    main()
