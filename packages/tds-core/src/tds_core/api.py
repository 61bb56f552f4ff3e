"""The short way in: one call from files to a mask and a report."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from tds_core.bundle import load_bundle
from tds_core.engine import open_model
from tds_core.inference import InferenceOptions, Segmentation, segment
from tds_data.case import Case
from tds_data.discover import discover
from tds_data.labels import read_reference
from tds_data.study_files import load_case
from tds_data.vocabulary import Modality
from tds_data.volume import Volume


class TumorDetector:
    """A model that stays loaded over many studies.

    Args:
        model_path: Folder of a model bundle; the one that ships with tds-core if `None`.
        device: `cpu`, `gpu` or `auto`.
        trusted: SHA-256 values of manifests to accept when `model_path` is not the shipped bundle.

    Attributes:
        bundle: The model.

    Raises:
        ModelError: If the bundle is missing, altered or nobody vouches for it.
        DeviceUnavailable: If there is no such device.
    """

    def __init__(
        self, model_path: str | Path | None = None, device: str = "cpu", *, trusted: Collection[str] = ()
    ) -> None:
        self.bundle = load_bundle(None if model_path is None else Path(model_path), trusted=trusted)
        self._engine = open_model(self.bundle, device=device)

    def predict(
        self, path: str | Path, *, reference: str | Path | None = None, modality: Modality | None = None
    ) -> Segmentation:
        """Return what the model finds in a study on disk.

        Args:
            path: A folder of named NIfTI files, a BIDS subject, a 4D or a single NIfTI file.
            reference: An expert mask; only with one (given here or lying in the folder) does the report hold a Dice.
            modality: The sequence that a single file holds; needed when its name does not say.

        Raises:
            DataError: If the study cannot be read or is refused.
            OutOfMemory: If the study would not fit into memory.
        """
        files = discover(Path(path), assume=modality)
        if reference is None:
            return self.predict_case(load_case(files))
        # The mask that may lie in the folder is not even read: another one was asked for.
        case = load_case(replace(files, reference=None))
        case = replace(case, reference=read_reference(Path(reference)))
        return self.predict_case(case)

    def predict_case(self, case: Case, *, options: InferenceOptions | None = None) -> Segmentation:
        """Return what the model finds in a case in memory.

        Args:
            case: Registered, skull-stripped sequences.
            options: How to run; its `device` is ignored, the detector's own is used.

        Raises:
            RefusedStudy: If the quality gate refuses the study (from tds_data).
            OutOfMemory: If the study would not fit into memory.
        """
        return segment(case, bundle=self.bundle, engine=self._engine, options=options)


class TumorSegmenter:
    """A `TumorDetector` that is asked for the mask alone.

    Args:
        model_path: As for `TumorDetector`.
        device: As for `TumorDetector`.
        trusted: As for `TumorDetector`.

    Raises:
        ModelError: If the bundle is missing, altered or nobody vouches for it.
        DeviceUnavailable: If there is no such device.
    """

    def __init__(
        self, model_path: str | Path | None = None, device: str = "cpu", *, trusted: Collection[str] = ()
    ) -> None:
        self._detector = TumorDetector(model_path, device, trusted=trusted)

    def segment(self, path: str | Path, *, modality: Modality | None = None) -> Volume:
        """Return the mask of a study on disk: uint8 labels 0 to 3 on the study's own grid.

        Args:
            path: As for `TumorDetector.predict`.
            modality: As there.

        Raises:
            DataError: If the study cannot be read or is refused.
            OutOfMemory: If the study would not fit into memory.
        """
        return self._detector.predict(path, modality=modality).mask


def quick_detect(
    path: str | Path, *, reference: str | Path | None = None, modality: Modality | None = None
) -> Segmentation:
    """Return what the shipped model finds in a study on disk.

    Args:
        path: A folder of named NIfTI files, a BIDS subject, a 4D or a single NIfTI file.
        reference: An expert mask, if a Dice is wanted.
        modality: The sequence that a single file holds; needed when its name does not say.

    Raises:
        DataError: If the study cannot be read or is refused.
        ModelError: If the shipped model was altered.
        OutOfMemory: If the study would not fit into memory.
    """
    return TumorDetector().predict(path, reference=reference, modality=modality)
