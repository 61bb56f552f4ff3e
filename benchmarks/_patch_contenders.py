"""What `patch_throughput.py` compares: each way to load patches, prepared once and then run in a process of its own.

    python benchmarks/_patch_contenders.py NAME prepare|warm|load SETTINGS.json

Every contender gives batches of float32 images and integer labels in the main process, of the same size, from the same
patients, z-scored before. All draw the list of nnU-Net's default trainer: rotation and scaling (together in 36 of 100
patches), noise (10), blur (20, each channel in half of them), brightness (15), contrast (15), low resolution (25, each
channel in half of them), gamma on the negative (10) and on the image (30), mirroring (half, for each axis). NOTES says
where a contender does less.
"""

import json
import math
import multiprocessing
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MODALITIES = ("t1", "t1ce", "t2", "flair")
DATASET = "Dataset901_Bench"
DEGREES = 30.0

NOTES = {
    "tds": "cuts what rotation needs around the patch; labels by interpolated shares; outside the head all stays zero",
    "monai_persistent": (
        "rotates inside the patch, so corners are empty; labels nearest; blur and low resolution act on all channels, "
        "half as often"
    ),
    "monai_cache": "as monai_persistent; the whole set is held in memory",
    "torchio_queue": (
        "augments a whole case and cuts 4 patches from it; no brightness, no contrast; gamma does not keep mean and "
        "deviation; reads preprocessed, uncompressed files"
    ),
    "nnunet": "its own defaults, without deep supervision",
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What every contender is told."""

    data: str
    scratch: str
    patch: int
    batch: int
    workers: int
    warm_s: float
    timed_s: float

    @property
    def folder(self) -> Path:
        """Where contenders keep what they prepare."""
        return Path(self.scratch)

    def cases(self) -> list[dict[str, Any]]:
        """Return the files of each case: a path for each sequence and for `label`, coded 0 to 3."""
        cases: list[dict[str, Any]] = json.loads((self.folder / "cases.json").read_text())
        return cases


Batches = Iterator[tuple[Any, Any]]


def prepare_tds(settings: Settings) -> None:
    """Cache the cases."""
    from tds_data.cache import build_cache  # noqa: PLC0415  # only the child that needs it pays for it
    from tds_data.datasets import read_manifest  # noqa: PLC0415  # as above

    build_cache(read_manifest(settings.folder / "manifest.json"), settings.folder / "tds", workers=settings.workers)


def load_tds(settings: Settings) -> Batches:
    """Give ours."""
    from tds_data.cache import open_cache  # noqa: PLC0415  # as above
    from tds_data.loading import LoaderMeans, PatchConfig, PatchLoader  # noqa: PLC0415  # as above

    config = PatchConfig(
        shape=(settings.patch, settings.patch, settings.patch), batch_size=settings.batch, batches_per_epoch=1_000_000
    )
    loader = PatchLoader(open_cache(settings.folder / "tds"), config, LoaderMeans(workers=settings.workers))
    for batch in loader.batches():
        yield batch.images, batch.labels


def _monai_fixed() -> list[Any]:
    from monai import transforms as mt  # noqa: PLC0415  # as above

    return [
        mt.LoadImaged(keys=["image", "label"], image_only=True, ensure_channel_first=True),
        mt.Orientationd(keys=["image", "label"], axcodes="RAS", labels=None),
        mt.CropForegroundd(keys=["image", "label"], source_key="image", allow_smaller=True),
        mt.NormalizeIntensityd(keys="image", nonzero=True, channel_wise=True),
        mt.FgBgToIndicesd(keys="label", image_key="image"),
        mt.EnsureTyped(keys="image", track_meta=False),
        mt.EnsureTyped(keys="label", dtype="uint8", track_meta=False),
    ]


def _monai_random(patch: int) -> list[Any]:
    from monai import transforms as mt  # noqa: PLC0415  # as above

    size, turn, both = (patch, patch, patch), math.radians(DEGREES), ["image", "label"]
    return [
        mt.SpatialPadd(keys=both, spatial_size=size),
        mt.RandCropByPosNegLabeld(
            keys=both,
            label_key="label",
            spatial_size=size,
            fg_indices_key="label_fg_indices",
            bg_indices_key="label_bg_indices",
        ),
        mt.RandAffined(
            keys=both,
            prob=0.36,
            rotate_range=(turn, turn, turn),
            scale_range=(0.3, 0.3, 0.3),
            mode=("bilinear", "nearest"),
            padding_mode="zeros",
        ),
        mt.RandGaussianNoised(keys="image", prob=0.1, std=0.1),
        mt.RandGaussianSmoothd(keys="image", prob=0.1, sigma_x=(0.5, 1), sigma_y=(0.5, 1), sigma_z=(0.5, 1)),
        mt.RandScaleIntensityd(keys="image", factors=0.25, prob=0.15, channel_wise=True),
        mt.RandScaleIntensityFixedMeand(
            keys="image", factors=0.25, prob=0.15, fixed_mean=True, preserve_range=True, channel_wise=True
        ),
        mt.RandSimulateLowResolutiond(keys="image", prob=0.125, zoom_range=(0.5, 1.0)),
        mt.RandAdjustContrastd(keys="image", prob=0.1, gamma=(0.7, 1.5), invert_image=True, retain_stats=True),
        mt.RandAdjustContrastd(keys="image", prob=0.3, gamma=(0.7, 1.5), retain_stats=True),
        *(mt.RandFlipd(keys=both, prob=0.5, spatial_axis=axis) for axis in range(3)),
        mt.SelectItemsd(keys=both),
    ]


def _monai_items(settings: Settings) -> list[dict[str, Any]]:
    return [{"image": [case[m] for m in MODALITIES], "label": case["label"]} for case in settings.cases()]


def prepare_monai_persistent(settings: Settings) -> None:
    """Write MONAI's cache."""
    from monai.data import PersistentDataset  # noqa: PLC0415  # as above
    from monai.transforms import Compose  # noqa: PLC0415  # as above

    dataset = PersistentDataset(_monai_items(settings), Compose(_monai_fixed()), settings.folder / "monai")
    for index in range(len(dataset)):
        dataset[index]


def load_monai_persistent(settings: Settings) -> Batches:
    """Give those of MONAI's PersistentDataset."""
    from monai.data import PersistentDataset  # noqa: PLC0415  # as above
    from monai.transforms import Compose  # noqa: PLC0415  # as above

    transform = Compose([*_monai_fixed(), *_monai_random(settings.patch)])
    return _monai_batches(PersistentDataset(_monai_items(settings), transform, settings.folder / "monai"), settings)


def load_monai_cache(settings: Settings) -> Batches:
    """Give those of MONAI's CacheDataset."""
    from monai.data import CacheDataset  # noqa: PLC0415  # as above
    from monai.transforms import Compose  # noqa: PLC0415  # as above

    transform = Compose([*_monai_fixed(), *_monai_random(settings.patch)])
    dataset = CacheDataset(_monai_items(settings), transform, num_workers=settings.workers, progress=False)
    return _monai_batches(dataset, settings)


def _monai_batches(dataset: Any, settings: Settings) -> Batches:  # noqa: ANN401  # one of two unrelated classes
    from monai.data import DataLoader, set_track_meta  # noqa: PLC0415  # as above

    set_track_meta(False)
    loader = DataLoader(
        dataset,
        batch_size=settings.batch,
        num_workers=settings.workers,
        shuffle=True,
        persistent_workers=True,
        drop_last=True,
    )
    while True:
        for batch in loader:
            yield batch["image"], batch["label"]


def prepare_torchio_queue(settings: Settings) -> None:
    """Write preprocessed cases as plain files, which TorchIO has no cache of its own for."""
    import torchio as tio  # noqa: PLC0415  # as above

    folder = settings.folder / "torchio"
    folder.mkdir(exist_ok=True)
    for case in settings.cases():
        subject = tio.Subject(image=tio.ScalarImage([case[m] for m in MODALITIES]), label=tio.LabelMap(case["label"]))
        subject = tio.ToCanonical()(subject)
        subject = _cropped(subject)
        subject = tio.ZNormalization(masking_method=_is_head)(subject)
        # Its sampler cannot cut a patch that is larger than the case.
        subject = tio.CropOrPad(tuple(max(n, settings.patch) for n in subject.spatial_shape))(subject)
        subject["image"].save(folder / f"{case['name']}-image.nii")
        subject["label"].save(folder / f"{case['name']}-label.nii")


def _cropped(subject: Any) -> Any:  # noqa: ANN401  # TorchIO is imported by the child alone
    import torchio as tio  # noqa: PLC0415  # as above

    inside = _is_head(subject["image"].data).any(0)
    margins = []
    for axis in range(3):
        line = inside.movedim(axis, 0).flatten(1).any(1).nonzero().flatten()
        margins += [int(line[0]), inside.shape[axis] - 1 - int(line[-1])]
    return tio.Crop(tuple(margins))(subject)


def _is_head(image: Any) -> Any:  # noqa: ANN401  # a tensor
    return image != 0


def load_torchio_queue(settings: Settings) -> Batches:
    """Give those of TorchIO's queue."""
    import torchio as tio  # noqa: PLC0415  # as above
    from torch.utils.data import DataLoader  # noqa: PLC0415  # as above

    folder = settings.folder / "torchio"
    subjects = [
        tio.Subject(
            image=tio.ScalarImage(folder / f"{case['name']}-image.nii"),
            label=tio.LabelMap(folder / f"{case['name']}-label.nii"),
        )
        for case in settings.cases()
    ]
    transform = tio.Compose(
        [
            tio.RandomAffine(scales=(0.7, 1.4), degrees=DEGREES, isotropic=True, p=0.36, default_pad_value=0),
            tio.RandomNoise(std=(0, 0.1), p=0.1),
            tio.RandomBlur(std=(0.5, 1), p=0.1),
            tio.RandomAnisotropy(axes=(0, 1, 2), downsampling=(1, 2), p=0.125),
            tio.RandomGamma(log_gamma=(math.log(0.7), math.log(1.5)), p=0.37),
            tio.RandomFlip(axes=(0, 1, 2), flip_probability=0.5),
        ]
    )
    dataset = tio.SubjectsDataset(subjects, transform=transform)
    sampler = tio.LabelSampler(
        patch_size=settings.patch, label_name="label", label_probabilities=dict.fromkeys(range(4), 1)
    )
    queue = tio.Queue(
        dataset, max_length=8 * settings.batch, samples_per_volume=4, sampler=sampler, num_workers=settings.workers
    )
    while True:
        for batch in DataLoader(queue, batch_size=settings.batch, num_workers=0, drop_last=True):
            yield batch["image"][tio.DATA], batch["label"][tio.DATA]


def _nnunet_environment(settings: Settings) -> Path:
    """Point nnU-Net at the scratch folder, before it is imported."""
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        folder = settings.folder / "nnunet" / name
        folder.mkdir(parents=True, exist_ok=True)
        os.environ[name] = str(folder)
    return settings.folder / "nnunet"


def prepare_nnunet(settings: Settings) -> None:
    """Let nnU-Net plan and preprocess, with the patch size of all contenders."""
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
        "labels": {"background": 0, "NCR": 1, "ED": 2, "ET": 3},
        "numTraining": len(settings.cases()),
        "file_ending": ".nii.gz",
    }
    (raw / "dataset.json").write_text(json.dumps(description))
    from nnunetv2.experiment_planning import plan_and_preprocess_api as api  # noqa: PLC0415  # as above

    api.extract_fingerprints([901], num_processes=settings.workers)
    api.plan_experiments([901])
    plans_file = folder / "nnUNet_preprocessed" / DATASET / "nnUNetPlans.json"
    plans = json.loads(plans_file.read_text())
    plans["configurations"]["3d_fullres"] |= {"patch_size": [settings.patch] * 3, "batch_size": settings.batch}
    plans_file.write_text(json.dumps(plans))
    api.preprocess([901], configurations=["3d_fullres"], num_processes=[settings.workers])


def load_nnunet(settings: Settings) -> Batches:
    """Give those of nnU-Net's loader, put together as its trainer does."""
    folder = _nnunet_environment(settings) / "nnUNet_preprocessed" / DATASET
    import numpy as np  # noqa: PLC0415  # as above
    from batchgenerators.dataloading.nondet_multi_threaded_augmenter import (  # noqa: PLC0415  # as above
        NonDetMultiThreadedAugmenter,
    )
    from nnunetv2.training.data_augmentation.compute_initial_patch_size import get_patch_size  # noqa: PLC0415  # as above
    from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader  # noqa: PLC0415  # as above
    from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class  # noqa: PLC0415  # as above
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer  # noqa: PLC0415  # as above
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager  # noqa: PLC0415  # as above

    plans = PlansManager(str(folder / "nnUNetPlans.json"))
    configuration = plans.get_configuration("3d_fullres")
    labels = plans.get_label_manager(json.loads((folder / "dataset.json").read_text()))
    size, turn = (settings.patch,) * 3, (-np.deg2rad(DEGREES), np.deg2rad(DEGREES))
    transforms = nnUNetTrainer.get_training_transforms(
        size,
        turn,
        None,
        (0, 1, 2),
        do_dummy_2d_data_aug=False,
        use_mask_for_norm=configuration.use_mask_for_norm,
        foreground_labels=labels.foreground_labels,
    )
    data = str(folder / configuration.data_identifier)
    loader = nnUNetDataLoader(
        infer_dataset_class(data)(data),
        settings.batch,
        get_patch_size(size, turn, turn, turn, (0.85, 1.25)),
        size,
        labels,
        oversample_foreground_percent=0.33,
        transforms=transforms,
    )
    batches = NonDetMultiThreadedAugmenter(
        loader, None, settings.workers, num_cached=max(6, settings.workers // 2), pin_memory=False, wait_time=0.002
    )
    while True:
        batch = next(batches)
        yield batch["data"], batch["target"]


PREPARE: dict[str, Callable[[Settings], None]] = {
    "tds": prepare_tds,
    "monai_persistent": prepare_monai_persistent,
    "torchio_queue": prepare_torchio_queue,
    "nnunet": prepare_nnunet,
}
LOAD: dict[str, Callable[[Settings], Batches]] = {
    "tds": load_tds,
    "monai_persistent": load_monai_persistent,
    "monai_cache": load_monai_cache,
    "torchio_queue": load_torchio_queue,
    "nnunet": load_nnunet,
}


def _touch(batch: tuple[Any, Any], settings: Settings) -> int:
    """Check a batch and return how many patches it has."""
    images, labels = batch
    shape = (settings.batch, len(MODALITIES), *(settings.patch,) * 3)
    if tuple(images.shape) != shape or tuple(labels.shape)[-3:] != shape[-3:] or str(images.dtype) != "torch.float32":
        message = f"a batch has {tuple(images.shape)} {images.dtype} and {tuple(labels.shape)} instead of {shape}"
        raise RuntimeError(message)
    float(images[-1, -1, -1, -1, -1])
    return settings.batch


def _tell(**event: Any) -> None:  # noqa: ANN401  # plain JSON types
    print(json.dumps(event), flush=True)


def measure(batches: Batches, settings: Settings) -> None:
    """Take batches for a while and tell the parent process when what happened."""
    _touch(next(batches), settings)
    _tell(event="first", at=time.time())
    end = time.monotonic() + settings.warm_s
    while time.monotonic() < end:
        _touch(next(batches), settings)
    _tell(event="start", at=time.time())
    start, patches = time.monotonic(), 0
    while time.monotonic() - start < settings.timed_s:
        patches += _touch(next(batches), settings)
    _tell(event="stop", at=time.time(), patches=patches, wall_s=time.monotonic() - start)
    sys.stdin.readline()  # the parent reads memory and processor time while everything is still there


def main() -> None:
    """Prepare or run one contender, as the parent process asks."""
    name, what, settings_file = sys.argv[1:]
    settings = Settings(**json.loads(Path(settings_file).read_text()))
    if what == "prepare":
        if name == "nnunet":
            shutil.rmtree(settings.folder / "nnunet", ignore_errors=True)
        PREPARE[name](settings)
        return
    batches = LOAD[name](settings)
    if what == "warm":
        _touch(next(batches), settings)
    else:
        measure(batches, settings)
    for process in multiprocessing.active_children():  # some loaders do not end their workers
        process.kill()
    os._exit(0)


if __name__ == "__main__":
    main()
