import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tds_core import Bundle, OutOfMemory
from tds_core import memory as memory_module
from tds_core.bundle import NetworkUse
from tds_core.memory import available_bytes, check_memory, needed_bytes
from tds_core.windows import WindowPlan
from tds_data import Case, Modality, Prepared, Volume, prepare

GIB = 1024**3

# Prints the estimate and the real peak beyond what was there once the study lay in memory. Two cores, because every
# thread of a runtime keeps memory of its own.
MEASURE = """
import os, re, sys
from pathlib import Path
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
import numpy as np
from tds_data import Case, PreprocessConfig, Volume, prepare
from tds_data.testing import draw_brain

def status(key):
    return int(re.search(key + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

shape, edge = [int(n) for n in sys.argv[1:4]], float(sys.argv[4])
small = draw_brain(shape=(80, 80, 60), spacing_mm=3.0)  # drawing at 1 mm would be the peak

def enlarged(volume):
    times = round(3.0 / edge)
    voxels = volume.voxels if times == 1 else np.kron(volume.voxels, np.ones((times,) * 3, np.int16))
    starts = [(n - wanted) // 2 for n, wanted in zip(voxels.shape, shape)]
    part = voxels[tuple(slice(start, start + wanted) for start, wanted in zip(starts, shape))]
    return Volume(np.asfortranarray(part), np.diag([-edge, -edge, edge, 1.0]))

case = Case(name="head", images={m: enlarged(v) for m, v in small.images.items()})
del small
before = status("VmRSS")
from tds_core.inference import segment
segment(case)
peak = status("VmHWM") - before
from tds_core.memory import needed_bytes
print(needed_bytes(case, prepare(case, PreprocessConfig())), peak)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from Linux's /proc")
@pytest.mark.parametrize("study", [("54", "62", "56", "3"), ("240", "240", "155", "1")], ids=["3 mm", "BraTS at 1 mm"])
def test_estimate_lies_between_the_real_peak_and_twice_that(study: tuple[str, ...]) -> None:
    command = [sys.executable, "-c", MEASURE, *study]
    printed = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603  # our own code
    estimate, peak = (int(word) for word in printed.stdout.split())
    assert peak <= estimate <= 2 * peak


@pytest.fixture
def prepared(phantom: Case, bundle: Bundle) -> Prepared:
    return prepare(phantom, bundle.preprocess)


def test_study_above_the_callers_limit_is_refused(phantom: Case, prepared: Prepared) -> None:
    needed = needed_bytes(phantom, prepared)
    check_memory(phantom, prepared, needed)
    with pytest.raises(OutOfMemory, match=r"needs about .* GiB, the limit is .* GiB; raise the limit") as caught:
        check_memory(phantom, prepared, needed - 1)
    assert (caught.value.needed_bytes, caught.value.limit_bytes) == (needed, needed - 1)
    assert isinstance(caught.value, MemoryError)


def test_study_above_what_is_free_is_refused(
    phantom: Case, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_module, "available_bytes", lambda: 1000)
    with pytest.raises(OutOfMemory):
        check_memory(phantom, prepared, None)
    with pytest.raises(OutOfMemory) as caught:
        check_memory(phantom, prepared, 10 * GIB)
    assert caught.value.limit_bytes == 1000


def test_where_the_system_tells_nothing_only_the_callers_limit_counts(
    phantom: Case, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_module, "available_bytes", lambda: None)
    check_memory(phantom, prepared, None)
    with pytest.raises(OutOfMemory):
        check_memory(phantom, prepared, 1)


def test_larger_studies_need_more(phantom: Case, prepared: Prepared) -> None:
    larger = Case(name="larger", images={Modality.T1: Volume(np.zeros((300, 300, 300), np.int8), np.eye(4))})
    assert needed_bytes(larger, prepared) > needed_bytes(phantom, prepared) + 27_000_000


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose files say nothing yet."""
    monkeypatch.setattr(memory_module, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory_module, "_CONTROL_GROUP", tmp_path)
    return tmp_path


def test_free_memory_of_the_machine_is_read_from_meminfo(system: Path) -> None:
    (system / "meminfo").write_text("MemTotal: 9000 kB\nMemFree: 10 kB\nMemAvailable:  4096 kB\n", encoding="ascii")
    assert available_bytes() == 4096 * 1024


def test_container_has_what_its_limit_leaves_and_old_files_free(system: Path) -> None:
    (system / "meminfo").write_text("MemAvailable: 999999999 kB\n", encoding="ascii")
    (system / "memory.max").write_text("1000000\n", encoding="ascii")
    (system / "memory.current").write_text("900000\n", encoding="ascii")
    assert available_bytes() == 100_000
    (system / "memory.stat").write_text("anon 5\ninactive_file 300000\n", encoding="ascii")
    assert available_bytes() == 400_000
    (system / "memory.max").write_text("500000\n", encoding="ascii")
    assert available_bytes() == 0


def test_container_without_a_limit_has_the_machine(system: Path) -> None:
    (system / "meminfo").write_text("MemAvailable: 7 kB\n", encoding="ascii")
    (system / "memory.max").write_text("max\n", encoding="ascii")
    (system / "memory.current").write_text("900000\n", encoding="ascii")
    assert available_bytes() == 7 * 1024


@pytest.mark.usefixtures("system")
def test_other_systems_are_asked_for_free_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sysconf", {"SC_AVPHYS_PAGES": 50, "SC_PAGE_SIZE": 4096}.__getitem__, raising=False)
    assert available_bytes() == 50 * 4096


@pytest.mark.usefixtures("system")
def test_system_without_such_names_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sysconf", raising=False)
    assert available_bytes() is None


def test_windows_need_what_one_of_them_takes_and_the_image_a_few_times(phantom: Case, prepared: Prepared) -> None:
    x, y, z = prepared.tensor.shape[1:]
    windows = WindowPlan(patch=(16, 16, 16))
    whole = NetworkUse(windows=WindowPlan(), bytes_per_voxel=10_000)
    by_windows = replace(whole, windows=windows)
    saved = needed_bytes(phantom, prepared, whole) - needed_bytes(phantom, prepared, by_windows)
    assert saved > 10_000 * (x * y * z - 16**3) - 100 * x * y * z
    heavy = needed_bytes(phantom, prepared, replace(by_windows, weight_bytes=GIB))
    assert heavy - needed_bytes(phantom, prepared, by_windows) == GIB
    with pytest.raises(OutOfMemory):
        check_memory(phantom, prepared, needed_bytes(phantom, prepared, by_windows), whole)
