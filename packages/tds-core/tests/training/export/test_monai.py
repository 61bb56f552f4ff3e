import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from monai.bundle import ConfigParser
from monai.inferers.utils import sliding_window_inference
from monai.networks.nets.segresnet import SegResNet
from torch import Tensor, nn

from tds_core import BundleIncompatible, load_bundle, open_model, predict, verify_golden
from tds_core.bundle import CARD_NAME
from tds_core.training.export.monai import ImportOptions, import_monai
from tds_core.training.export.monai.fields import read_inferer, read_preprocessing, read_task
from tds_core.training.export.monai.files import open_monai, read_state
from tds_core.training.export.monai.networks import read_network
from tds_data.errors import ArchiveRefused
from tds_data.vocabulary import Modality

NETWORK = {
    "_target_": "SegResNet",
    "blocks_down": [1, 1],
    "blocks_up": [1],
    "init_filters": 8,
    "in_channels": 4,
    "out_channels": 3,
    "dropout_prob": 0.2,
}
INFERENCE: dict[str, Any] = {
    "imports": ["$import os", "$os.system('touch /tmp/never')"],
    "bundle_root": "/workspace",
    "device": "$torch.device('cuda')",
    "network_def": NETWORK,
    "network": "$@network_def.to(@device)",
    "preprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "LoadImaged", "keys": "image"},
            {"_target_": "NormalizeIntensityd", "keys": "image", "nonzero": True, "channel_wise": True},
            {"_target_": "ToTensord", "keys": "image"},
        ],
    },
    "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [16, 24, 16], "sw_batch_size": 1, "overlap": 0.5},
    "postprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "Activationsd", "keys": "pred", "sigmoid": True},
            {"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.6},
        ],
    },
}
METADATA: dict[str, Any] = {
    "version": "0.5.2",
    "name": "BraTS MRI segmentation",
    "authors": "Somebody | <b>else</b>",
    "license": "Apache-2.0",
    "eval_metrics": {"val_mean_dice": 0.8518},
    "network_data_format": {
        "inputs": {
            "image": {
                "type": "image",
                "num_channels": 4,
                "channel_def": {"0": "T1c", "1": "T1", "2": "T2", "3": "FLAIR"},
            }
        },
        "outputs": {
            "pred": {
                "type": "image",
                "channel_def": {"0": "Tumor core", "1": "Whole tumor", "2": "Enhancing tumor"},
            }
        },
    },
}


def monai_network() -> nn.Module:
    torch.manual_seed(0)
    arguments = {k: v for k, v in NETWORK.items() if k != "_target_"}
    return SegResNet(spatial_dims=3, **arguments).eval()  # type: ignore[arg-type]  # from a table


def write(
    folder: Path, *, inference: dict[str, Any] | None = None, metadata: dict[str, Any] | None = None, state: Any = None
) -> Path:
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    config = INFERENCE if inference is None else inference
    ConfigParser.export_config_file(config, str(folder / "configs" / "inference.json"))
    told = METADATA if metadata is None else metadata
    (folder / "configs" / "metadata.json").write_text(json.dumps(told), encoding="utf-8")
    torch.save(monai_network().state_dict() if state is None else state, folder / "models" / "model.pt")
    return folder


def changed(document: dict[str, Any], change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(document))
    change(copy)
    return copy


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("monai") / "brats_mri_segmentation")


@pytest.fixture(scope="module")
def imported(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    packed = import_monai(source, tmp_path_factory.mktemp("imported") / "bundle")
    return packed, load_bundle(packed.folder, trusted=[packed.sha256])


def test_imported_bundle_gives_what_monai_gives(imported: Any, source: Path) -> None:
    _, bundle = imported
    parser = ConfigParser()
    parser.read_config(str(source / "configs" / "inference.json"))
    network: nn.Module = parser.get_parsed_content("network_def").eval()
    network.load_state_dict(torch.load(source / "models" / "model.pt", weights_only=True))
    image = np.random.default_rng(0).normal(size=(4, 30, 21, 40)).astype(np.float32)  # T1c, T1, T2, FLAIR in RAS
    stored = torch.from_numpy(image).flip(1, 2)[None]  # as BraTS stores them: LPS
    with torch.inference_mode():
        logits = sliding_window_inference(stored, (16, 24, 16), 1, network, overlap=0.5)
    assert isinstance(logits, Tensor)
    expected = logits[0].sigmoid().flip(1, 2).numpy()  # TC, WT, ET
    found = predict(open_model(bundle), image, use=bundle.use)
    assert list(bundle.use.task.regions) == ["TC", "WT", "ET"]
    np.testing.assert_allclose(found, expected, atol=5e-3)
    assert np.abs(found - expected).mean() < 5e-4  # halves differ in single voxels only


def test_imported_bundle_says_how_it_is_run(imported: Any) -> None:
    packed, bundle = imported
    assert bundle.preprocess.modalities == (Modality.T1CE, Modality.T1, Modality.T2, Modality.FLAIR)
    assert bundle.preprocess.voxel_mm == (1.0, 1.0, 1.0)
    assert bundle.preprocess.clip == float("inf")
    assert bundle.postprocess.thresholds == {"TC": 0.6, "WT": 0.6, "ET": 0.6}
    assert bundle.use.windows.patch == (16, 24, 16)
    assert not bundle.use.windows.gaussian
    assert bundle.use.reversed_axes == (0, 1)
    assert bundle.use.is_brain_tumour
    assert bundle.identity.licence == "Apache-2.0"
    assert (bundle.identity.name, bundle.identity.version) == ("brats_mri_segmentation", "0.5.2")
    assert any("1 mm was taken" in note for note in packed.notes)
    assert any("to lie as LPS" in note for note in packed.notes)


def test_imported_bundle_gives_its_golden_case_and_a_card(imported: Any) -> None:
    packed, bundle = imported
    verify_golden(bundle, open_model(bundle))
    card = (packed.folder / CARD_NAME).read_text(encoding="utf-8")
    assert "Imported from a MONAI bundle" in card
    assert "Not measured with these weights" in card
    stated = bundle.description["provenance"]["stated"]
    assert stated["authors"] == "Somebody / (b)else(/b)"
    assert stated["eval_metrics"] == {"val_mean_dice": 0.8518}
    assert not Path("/tmp/never").exists()  # noqa: S108  # what the configuration would have made


def test_zip_and_yaml_and_a_folder_inside_are_read(tmp_path: Path, source: Path) -> None:
    inner = Path(shutil.copytree(source, tmp_path / "copy" / "inner"))
    (inner / "configs" / "inference.json").unlink()
    (inner / "configs" / "inference.yaml").write_text(yaml.safe_dump(INFERENCE), encoding="utf-8")
    (inner / "LICENSE").write_text("Apache License\nVersion 2.0", encoding="utf-8")
    archive = Path(shutil.make_archive(str(tmp_path / "brats"), "zip", tmp_path / "copy"))
    with open_monai(archive) as bundle:
        assert bundle.name == "brats"
        assert read_network(bundle, read_state(bundle)).multiple == (2, 2, 2)
    assert not bundle.root.exists()


def test_archive_that_reaches_outside_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("../../evil", "x")
    with pytest.raises(ArchiveRefused), open_monai(tmp_path / "evil.zip"):
        pass


class Evil:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        import os  # noqa: PLC0415  # what a hostile file would do

        return os.system, ("touch /tmp/evil-was-run",)


def test_pickled_code_is_not_run(tmp_path: Path) -> None:
    folder = write(tmp_path / "evil", state={"weight": Evil()})
    with pytest.raises(BundleIncompatible, match="is not a plain state dict"):
        import_monai(folder, tmp_path / "bundle")
    assert not Path("/tmp/evil-was-run").exists()  # noqa: S108  # see above


@pytest.mark.filterwarnings("ignore:.*torch.jit.*")
def test_torchscript_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "scripted")
    scripted = torch.jit.trace(nn.Conv3d(1, 1, 1), torch.zeros(1, 1, 2, 2, 2))
    torch.jit.save(scripted, str(folder / "models" / "model.pt"))
    with pytest.raises(BundleIncompatible, match="TorchScript"):
        import_monai(folder, tmp_path / "bundle")
    (folder / "models" / "model.pt").rename(folder / "models" / "model.ts")
    with pytest.raises(BundleIncompatible, match="it has TorchScript, which is code"):
        import_monai(folder, tmp_path / "bundle")


@pytest.mark.parametrize("wrapper", ["state_dict", "model"])
def test_wrapped_and_prefixed_weights_are_read(tmp_path: Path, wrapper: str) -> None:
    state = {f"module.{k}": v for k, v in monai_network().state_dict().items()}
    with open_monai(write(tmp_path / "wrapped", state={wrapper: state, "epoch": 3})) as bundle:
        assert read_state(bundle).keys() == monai_network().state_dict().keys()


@pytest.mark.parametrize("state", [{}, {"epoch": 3}, [torch.zeros(1)]])
def test_file_without_weights_is_refused(tmp_path: Path, state: Any) -> None:
    folder = write(tmp_path / "none", state=state if state != {} else {"state_dict": {}})
    with pytest.raises(BundleIncompatible, match="other than the tensors of a network"):
        import_monai(folder, tmp_path / "bundle")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["network_def"].update(_target_="os.system"), "its network is 'os.system'"),
        (
            lambda c: c["network_def"].update(_target_="scripts.evil.SegResNet"),
            "its network is 'scripts.evil.SegResNet'",
        ),
        (lambda c: c["network_def"].update(init_filters="$os.system('x')"), "is the expression"),
        (lambda c: c["network_def"].update(init_filters="@absent"), "refers to '@absent', which is not in"),
        (lambda c: c["network_def"].update(norm=["GROUP", {"num_groups": "$1"}]), "is the expression"),
        (lambda c: c["network_def"].update(surprise=1), "arguments that are not known here: surprise"),
        (lambda c: c["network_def"].update(spatial_dims=2), "is for 2 dimensions"),
        (lambda c: c["network_def"].update(init_filters=16), "its weights are not those of the SegResNet"),
        (lambda c: c["network_def"].update(init_filters="eight"), "cannot be built with its arguments"),
        (lambda c: c["network_def"].update(_target_="UNet", blocks_down=None), "arguments that are not known here"),
        (lambda c: c.pop("network_def"), "describes no network"),
        (lambda c: c["preprocessing"]["transforms"].pop(1), "must make z-scores"),
        (lambda c: c["preprocessing"]["transforms"][1].update(nonzero=False), "normalises over all voxels"),
        (lambda c: c["preprocessing"]["transforms"][1].update(divisor=3), "normalises by divisor"),
        (
            lambda c: c["preprocessing"]["transforms"].append({"_target_": "Lambdad"}),
            "has 'Lambdad', which is not known",
        ),
        (
            lambda c: c["preprocessing"]["transforms"].append({"_target_": "Orientationd", "axcodes": "SAR"}),
            "turns images to 'SAR'",
        ),
        (lambda c: c["inferer"].update(_target_="scripts.Inferer"), "its inferer is 'Inferer'"),
        (lambda c: c["inferer"].update(roi_size=[16, 16]), "where three numbers above 0 are needed"),
        (lambda c: c["inferer"].update(roi_size=[15, 16, 16]), "are no multiples of"),
        (lambda c: c["postprocessing"]["transforms"].pop(0), "whether its outputs are sigmoids or a softmax"),
    ],
)
def test_configuration_that_cannot_be_followed_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    folder = write(tmp_path / "odd", inference=changed(INFERENCE, change))
    with pytest.raises(BundleIncompatible, match=r"the MONAI bundle 'odd' cannot be imported: .*" + message):
        import_monai(folder, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.pop("network_data_format"), "does not say what the channels of its outputs are|inputs"),
        (
            lambda m: m["network_data_format"]["outputs"]["pred"].update(channel_def={"0": "liver", "1": "vessel"}),
            "regions that may overlap",
        ),
        (
            lambda m: m["network_data_format"]["outputs"]["pred"].update(channel_def={"0": "a", "7": "b"}),
            "what the channels of its outputs are",
        ),
    ],
)
def test_metadata_that_does_not_say_enough_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    folder = write(tmp_path / "odd", metadata=changed(METADATA, change))
    with pytest.raises(BundleIncompatible, match=message):
        import_monai(folder, tmp_path / "bundle")


def test_folder_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleIncompatible, match="there is no such folder or archive"):
        import_monai(tmp_path / "absent", tmp_path / "bundle")
    with pytest.raises(BundleIncompatible, match=r"it has no configs/metadata\.json"):
        import_monai(tmp_path, tmp_path / "bundle")
    folder = write(tmp_path / "source")
    (folder / "configs" / "inference.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(BundleIncompatible, match="holds no mapping"):
        import_monai(folder, tmp_path / "bundle")
    (folder / "configs" / "inference.json").write_text("{", encoding="utf-8")
    with pytest.raises(BundleIncompatible, match="cannot be read"):
        import_monai(folder, tmp_path / "bundle")
    (folder / "configs" / "inference.json").unlink()
    with pytest.raises(BundleIncompatible, match=r"no configs/inference\.json"):
        import_monai(folder, tmp_path / "bundle")


def test_references_to_plain_values_are_followed_and_circles_refused(tmp_path: Path) -> None:
    def refer(config: dict[str, Any]) -> None:
        config["filters"] = {"first": ["@number"]}
        config["number"] = 8
        config["network_def"]["init_filters"] = "@filters::first::0"

    with open_monai(write(tmp_path / "one", inference=changed(INFERENCE, refer))) as bundle:
        assert read_network(bundle, read_state(bundle)).arguments["init_filters"] == 8
    circle = changed(INFERENCE, lambda c: c["network_def"].update(init_filters="@network_def::init_filters"))
    with (
        open_monai(write(tmp_path / "two", inference=circle)) as bundle,
        pytest.raises(BundleIncompatible, match="refers to itself"),
    ):
        read_network(bundle, read_state(bundle))


def test_what_a_bundle_does_to_ct_is_read(tmp_path: Path) -> None:
    def ct(config: dict[str, Any]) -> None:
        config["preprocessing"]["transforms"] = [
            {"_target_": "Orientationd", "axcodes": "RAS"},
            {"_target_": "Spacingd", "pixdim": [1.5, 1.5, 2.0]},
            {"_target_": "ScaleIntensityRanged", "a_min": -57, "a_max": 164, "b_min": -1, "b_max": 1, "clip": True},
            {"_target_": "Lambdad", "_disabled_": True},
        ]
        config["postprocessing"]["transforms"][0] = {"_target_": "Activationsd", "softmax": True}
        config["inferer"]["mode"] = "gaussian"

    def spleen(metadata: dict[str, Any]) -> None:
        metadata["network_data_format"]["inputs"]["image"]["channel_def"] = {"0": "CT image"}
        metadata["network_data_format"]["outputs"]["pred"]["channel_def"] = {"0": "background", "1": "Spleen"}

    folder = write(tmp_path / "spleen_ct", inference=changed(INFERENCE, ct), metadata=changed(METADATA, spleen))
    with open_monai(folder) as bundle:
        before = read_preprocessing(bundle)
        assert (before.spacing_mm, before.orientation, before.window) == ((1.5, 1.5, 2.0), "RAS", (-57.0, 164.0))
        task, heads = read_task(bundle, before.window)
        assert (task.name, task.channels, task.labels, heads) == ("spleen-ct", ("ct-image",), ("spleen",), "classes")
        assert dict(task.windows) == {"ct-image": (-57.0, 164.0)}
        assert read_inferer(bundle).gaussian


@pytest.mark.parametrize(
    ("scale", "message"),
    [({"b_min": 0}, "spreads values to 0 to 1"), ({"a_min": 200}, r"window 200\.0 to 164\.0 is empty")],
)
def test_window_that_is_spread_otherwise_is_refused(tmp_path: Path, scale: dict[str, Any], message: str) -> None:
    step = {"_target_": "ScaleIntensityRanged", "a_min": -57, "a_max": 164, "b_min": -1, "b_max": 1, "clip": True}
    config = changed(INFERENCE, lambda c: c["preprocessing"]["transforms"].__setitem__(1, {**step, **scale}))
    with (
        open_monai(write(tmp_path / "ct", inference=config)) as bundle,
        pytest.raises(BundleIncompatible, match=message),
    ):
        read_preprocessing(bundle)


def test_what_a_bundle_does_not_say_can_be_told(tmp_path: Path) -> None:
    inference = changed(INFERENCE, lambda c: c.pop("inferer"))
    metadata = changed(METADATA, lambda m: m.pop("license"))
    folder = write(tmp_path / "quiet", inference=inference, metadata=metadata)
    options = ImportOptions(
        name="told", version="7", licence="CC-BY-4.0", spacing_mm=(2.0, 2.0, 3.0), patch=(8, 8, 8), orientation="RAS"
    )
    packed = import_monai(folder, tmp_path / "bundle", options=options)
    bundle = load_bundle(packed.folder, trusted=[packed.sha256])
    assert (bundle.identity.name, bundle.identity.version, bundle.identity.licence) == ("told", "7", "CC-BY-4.0")
    assert bundle.preprocess.voxel_mm == (2.0, 2.0, 3.0)
    assert (bundle.use.windows.patch, bundle.use.reversed_axes) == ((8, 8, 8), ())
    assert len(packed.notes) == 1


def test_fixed_network_without_a_window_size_is_refused(tmp_path: Path) -> None:
    from monai.networks.nets.unetr import UNETR  # noqa: PLC0415  # only here

    arguments = {
        "in_channels": 4,
        "out_channels": 3,
        "img_size": [32, 32, 32],
        "feature_size": 4,
        "hidden_size": 24,
        "mlp_dim": 32,
        "num_heads": 2,
    }

    def use_unetr(config: dict[str, Any]) -> None:
        config["network_def"] = {"_target_": "monai.networks.nets.UNETR", **arguments}
        config.pop("inferer")

    state = UNETR(**arguments).state_dict()  # type: ignore[arg-type]  # from a table
    folder = write(tmp_path / "unetr", inference=changed(INFERENCE, use_unetr), state=state)
    with pytest.raises(BundleIncompatible, match="needs a window size"):
        import_monai(folder, tmp_path / "bundle")
    with pytest.raises(BundleIncompatible, match="was built for"):
        import_monai(folder, tmp_path / "bundle", options=ImportOptions(patch=(48, 32, 32)))
