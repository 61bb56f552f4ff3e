import gc
import importlib
import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch.utils.data import DataLoader

from tds_data.cache import Cache, DamagePolicy
from tds_data.errors import AugmentError, BudgetTooSmall, DamagedCache, LoadingError, MissingDependency, WorkerDied
from tds_data.loading import (
    HEAVY,
    STANDARD,
    LoaderMeans,
    PatchBatch,
    PatchConfig,
    PatchDataset,
    PatchLoader,
    PatchRecord,
)
from tds_data.loading import _workers as workers_module
from tds_data.loading import loader as loader_module
from tds_data.loading._slots import Slots
from tds_data.loading.maker import PatchMaker

CONFIG = PatchConfig(shape=(17, 19, 15), batch_size=2, batches_per_epoch=8, augmentation=HEAVY, seed=3)

Batch = tuple[torch.Tensor, torch.Tensor, tuple[PatchRecord, ...]]


def copied(batch: PatchBatch) -> Batch:
    return batch.images.clone(), batch.labels.clone(), batch.records


def all_of(cache: Cache, config: PatchConfig, workers: int, *, epoch: int = 0, start: int = 0) -> list[Batch]:
    with PatchLoader(cache, config, LoaderMeans(workers=workers)) as loader:
        return [copied(batch) for batch in loader.batches(epoch, start=start)]


def assert_same(found: list[Batch], expected: list[Batch]) -> None:
    assert len(found) == len(expected)
    for (images, labels, records), (other_images, other_labels, other_records) in zip(found, expected, strict=True):
        assert records == other_records
        assert torch.equal(images, other_images)
        assert torch.equal(labels, other_labels)


@pytest.fixture(scope="module")
def expected(cache: Cache) -> list[Batch]:
    return all_of(cache, CONFIG, 0)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_batches_are_the_same_whatever_the_number_of_workers(cache: Cache, expected: list[Batch], workers: int) -> None:
    assert_same(all_of(cache, CONFIG, workers), expected)


@pytest.mark.parametrize("workers", [0, 2])
def test_any_position_can_be_begun_with(cache: Cache, expected: list[Batch], workers: int) -> None:
    assert_same(all_of(cache, CONFIG, workers, start=5), expected[5:])
    assert all_of(cache, CONFIG, workers, start=8) == []


@pytest.mark.parametrize("workers", [0, 1])
def test_shares_of_a_batch_are_together_the_batch(cache: Cache, workers: int) -> None:
    config = replace(CONFIG, batch_size=5, batches_per_epoch=2)
    whole = all_of(cache, config, 0)
    shares = []
    for part in range(3):
        with PatchLoader(cache, config, LoaderMeans(workers=workers, part=part, parts=3)) as loader:
            shares.append([copied(batch) for batch in loader.batches(0)])
    for number, (images, labels, records) in enumerate(whole):
        parts = [share[number] for share in shares]
        assert sorted(len(part[0]) for part in parts) == [1, 2, 2]
        assert torch.equal(torch.cat([part[0] for part in parts]), images)
        assert torch.equal(torch.cat([part[1] for part in parts]), labels)
        assert tuple(record for part in parts for record in part[2]) == records


def test_share_takes_the_memory_of_its_patches_only(cache: Cache) -> None:
    config = replace(CONFIG, batch_size=4)
    plans = [PatchLoader(cache, config, LoaderMeans(workers=0, parts=parts)).plan for parts in (1, 4)]
    assert plans[0].batch_bytes == 4 * plans[1].batch_bytes


def test_share_that_cannot_be_is_refused(cache: Cache) -> None:
    with pytest.raises(LoadingError, match="share 2 of 2 was asked for"):
        LoaderMeans(part=2, parts=2)
    with pytest.raises(LoadingError, match="a batch of 2 patches cannot be shared by 3 processes"):
        PatchLoader(cache, CONFIG, LoaderMeans(workers=0, part=0, parts=3))


def test_epochs_and_seeds_differ(cache: Cache, expected: list[Batch]) -> None:
    for other in (all_of(cache, CONFIG, 0, epoch=1), all_of(cache, replace(CONFIG, seed=4), 0)):
        assert not any(torch.equal(a[0], b[0]) for a, b in zip(expected, other, strict=True))


def test_batches_have_the_shapes_and_types_that_networks_take(expected: list[Batch]) -> None:
    for images, labels, _ in expected:
        assert (images.shape, images.dtype) == ((2, 4, 17, 19, 15), torch.float32)
        assert (labels.shape, labels.dtype) == ((2, 17, 19, 15), torch.uint8)
        assert images.isfinite().all()
        assert int(labels.max()) <= 3


def test_every_patch_can_be_made_again_from_its_record(cache: Cache, expected: list[Batch]) -> None:
    with PatchLoader(cache, CONFIG, LoaderMeans(workers=0)) as loader:
        for images, labels, records in expected:
            for image, label, record in zip(images, labels, records, strict=True):
                again = loader.replay(PatchRecord.from_dict(json.loads(json.dumps(record.to_dict()))))
                assert torch.equal(again.image, image)
                assert torch.equal(again.labels, label)


def test_threads_of_the_main_process_change_no_patch(cache: Cache) -> None:
    config = replace(CONFIG, shape=(48, 48, 48), batches_per_epoch=4)
    before = torch.get_num_threads()
    try:
        found = {}
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found[threads] = all_of(cache, config, 0)
    finally:
        torch.set_num_threads(before)
    assert_same(found[2], found[1])


def test_presets_mix_and_drop_in_this_sample(expected: list[Batch]) -> None:
    records = [record for *_, batch in expected for record in batch]
    assert any(record.augmentation.mixing for record in records)
    assert any(record.augmentation.geometry.elastic for record in records)
    assert all(record.phantom for record in records)


def test_record_that_is_none_is_refused(cache: Cache) -> None:
    with pytest.raises(AugmentError, match="no record of a patch"):
        PatchRecord.from_dict({"epoch": 1})
    loader = PatchLoader(cache, CONFIG, LoaderMeans(workers=0))
    record = next(loader.batches()).records[0]
    with pytest.raises(LoadingError, match="no case 'other'"):
        loader.replay(replace(record, case="other"))


def test_without_augmentation_patches_are_cut_out(cache: Cache) -> None:
    config = replace(CONFIG, augmentation=None)
    cases = {case.name: case for case in cache.cases}
    for images, labels, records in all_of(cache, config, 0):
        for image, label, record in zip(images, labels, records, strict=True):
            case = cases[record.case]
            part = tuple(slice(s, s + n) for s, n in zip(record.start, config.shape, strict=True))
            expected = case.arrays().image[:, *part] * np.float32(case.scale)
            np.testing.assert_array_equal(image.numpy(), expected)
            np.testing.assert_array_equal(label.numpy(), case.arrays().labels[part])


def test_patch_larger_than_a_case_is_filled_with_zeros(cache: Cache) -> None:
    config = replace(CONFIG, shape=(40, 19, 40), augmentation=None)
    for images, _, records in all_of(cache, config, 0):
        for image, record in zip(images, records, strict=True):
            first = -record.start[0]
            assert first >= 0
            assert not image[:, :first].any()
            assert not image[:, first + 24 :].any()
            assert image[0, first : first + 22].any()


def test_cases_without_a_mask_are_left_out_and_noted(cache: Cache) -> None:
    loader = PatchLoader(cache, CONFIG, LoaderMeans(workers=0))
    assert [(s.name, s.error) for s in loader.skipped] == [("case-4", "NoMask")]
    only = replace_cases(cache, [4])
    with pytest.raises(LoadingError, match="nothing to learn from"):
        PatchLoader(only, CONFIG)
    with pytest.raises(LoadingError, match="nothing to learn from"):
        PatchDataset(only, CONFIG)


def replace_cases(cache: Cache, numbers: list[int]) -> Cache:
    return replace(cache, cases=tuple(cache.cases[n] for n in numbers))


def test_batches_that_are_held_stay_as_they_were(cache: Cache, expected: list[Batch]) -> None:
    with PatchLoader(cache, CONFIG, LoaderMeans(workers=2)) as loader:
        held = list(loader.batches())
    assert_same([copied(batch) for batch in held], expected)


def test_usual_loop_copies_nothing_and_takes_no_new_memory(cache: Cache) -> None:
    places = set()
    with PatchLoader(cache, CONFIG, LoaderMeans(workers=2, prefetch_batches=1)) as loader:
        for batch in loader.batches():
            places.add(batch.images.data_ptr())
    assert len(places) <= 3


def test_new_iterator_ends_the_one_before(cache: Cache, expected: list[Batch]) -> None:
    with PatchLoader(cache, CONFIG, LoaderMeans(workers=2)) as loader:
        first = loader.batches()
        next(first)
        second = loader.batches()
        assert_same([copied(next(second))], expected[:1])
        with pytest.raises(LoadingError, match="has ended"):
            next(first)
        third = loader.batches(start=2)
        assert_same([copied(batch) for batch in third], expected[2:])


def test_closed_loader_ends_its_workers_and_can_be_used_again(cache: Cache, expected: list[Batch]) -> None:
    loader = PatchLoader(cache, CONFIG, LoaderMeans(workers=2))
    batches = loader.batches()
    kept = next(batches)
    pids = loader.worker_pids
    assert len(pids) == 2
    loader.close()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    with pytest.raises(LoadingError, match="has ended"):
        next(batches)
    assert_same([copied(kept)], expected[:1])
    assert loader.worker_pids == ()
    assert_same([copied(next(loader.batches(start=1)))], expected[1:2])
    loader.close()


@pytest.mark.parametrize(("epoch", "start"), [(-1, 0), (0, -1), (0, 9)])
def test_positions_that_cannot_be_are_refused(cache: Cache, epoch: int, start: int) -> None:
    loader = PatchLoader(cache, CONFIG, LoaderMeans(workers=0))
    assert len(loader) == 8
    with pytest.raises(LoadingError, match="batches 0 to 7"):
        loader.batches(epoch, start=start)


def test_killed_workers_are_replaced_and_no_patch_is_lost_or_repeated(cache: Cache, expected: list[Batch]) -> None:
    found, killed = [], []
    with PatchLoader(cache, CONFIG, LoaderMeans(workers=2)) as loader:
        for number, batch in enumerate(loader.batches()):
            found.append(copied(batch))
            if number in {0, 2, 5}:
                killed.append(loader.worker_pids[number % 2])
                os.kill(killed[-1], signal.SIGKILL)
        assert len(loader.worker_pids) == 2
        assert killed[0] not in loader.worker_pids
    assert_same(found, expected)


def test_all_workers_killed_at_once_are_replaced(cache: Cache, expected: list[Batch]) -> None:
    found = []
    with PatchLoader(cache, CONFIG, LoaderMeans(workers=3)) as loader:
        for number, batch in enumerate(loader.batches()):
            found.append(copied(batch))
            if number == 1:
                for pid in loader.worker_pids:
                    os.kill(pid, signal.SIGKILL)
    assert_same(found, expected)


@contextmanager
def replaced_make(make: object) -> Iterator[None]:
    original = PatchMaker.make
    PatchMaker.make = make  # type: ignore[method-assign]
    try:
        yield
    finally:
        PatchMaker.make = original  # type: ignore[method-assign]


def test_patch_that_ends_every_worker_is_told(cache: Cache) -> None:
    make = PatchMaker.make

    def deadly(self: PatchMaker, epoch: int, index: int, out: object) -> object:
        if index == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return make(self, epoch, index, out)  # type: ignore[arg-type]

    with replaced_make(deadly), PatchLoader(cache, CONFIG, LoaderMeans(workers=2)) as loader:
        batches = loader.batches()
        next(batches)
        with pytest.raises(WorkerDied, match="by signal 9") as caught:
            list(batches)
    assert caught.value.exit_code == -9


def test_fault_in_a_worker_is_told_where_the_batch_is_asked_for(cache: Cache) -> None:
    def faulty(self: PatchMaker, epoch: int, index: int, out: object) -> object:
        del self, epoch, index, out
        raise ZeroDivisionError("on purpose")

    with (
        replaced_make(faulty),
        PatchLoader(cache, CONFIG, LoaderMeans(workers=1)) as loader,
        pytest.raises(LoadingError, match="ZeroDivisionError: on purpose"),
    ):
        next(loader.batches())


def test_workers_end_when_the_main_process_is_killed(cache: Cache, tmp_path: Path) -> None:
    script = f"""
import os, signal
from pathlib import Path
from tds_data.cache import open_cache
from tds_data.loading import LoaderMeans, PatchConfig, PatchLoader
loader = PatchLoader(open_cache(Path({str(cache.folder)!r})), PatchConfig(shape=(8, 8, 8)), LoaderMeans(workers=2))
next(loader.batches())
Path({str(tmp_path / "pids")!r}).write_text(" ".join(map(str, loader.worker_pids)))
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script], check=False)  # noqa: S603  # our own script
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 2
    deadline = time.monotonic() + 10
    while any(is_running(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(is_running(pid) for pid in pids)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def damage(cache: Cache, number: int) -> None:
    path = cache.cases[number].path
    data = bytearray(path.read_bytes())
    data[9000] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("workers", [0, 2])
def test_damaged_case_is_refused(own_cache: Cache, workers: int) -> None:
    damage(own_cache, 1)
    with PatchLoader(own_cache, CONFIG, LoaderMeans(workers=workers)) as loader, pytest.raises(DamagedCache):
        list(loader.batches())


def test_damaged_case_is_skipped_with_a_record_and_the_rest_stays(own_cache: Cache) -> None:
    config = replace(CONFIG, on_damage="skip", augmentation=STANDARD)
    sound = all_of(own_cache, config, 0)
    damage(own_cache, 1)
    found = {}
    for workers in (0, 1, 3):
        with PatchLoader(own_cache, config, LoaderMeans(workers=workers)) as loader:
            found[workers] = [copied(batch) for batch in loader.batches()]
            assert [(s.name, s.error) for s in loader.skipped] == [("case-4", "NoMask"), ("case-1", "DamagedCache")]
    assert_same(found[1], found[0])
    assert_same(found[3], found[0])
    before = [record for *_, records in sound for record in records]
    after = [record for *_, records in found[0] for record in records]
    assert "case-1" in {record.case for record in before}
    assert "case-1" not in {record.case for record in after}
    for old, new in zip(before, after, strict=True):
        assert old == new or old.case == "case-1"


def test_damaged_donor_is_passed_over(own_cache: Cache) -> None:
    config = replace(CONFIG, on_damage=DamagePolicy.SKIP, augmentation=replace(HEAVY, mixing_chance=1.0))
    for number in (0, 2, 3):
        damage(own_cache, number)
    for *_, records in all_of(own_cache, config, 0):
        assert {(record.case, record.augmentation.mixing) for record in records} == {("case-1", None)}


def test_no_sound_case_left_is_an_error(own_cache: Cache) -> None:
    for number in range(4):
        damage(own_cache, number)
    loader = PatchLoader(own_cache, replace(CONFIG, on_damage="skip"), LoaderMeans(workers=0))
    with pytest.raises(LoadingError, match="every case of the cache is damaged"):
        next(loader.batches())


def own_bytes(pid: int) -> int:
    """Memory of a process that no other holds, the batches that all share left out."""
    total, shared = 0, False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if "-" in line.partition(" ")[0]:
            shared = "/dev/zero" in line
        elif line.startswith("Private_") and not shared:
            total += int(line.split()[1]) * 1024
    return total


def test_budget_takes_fewer_workers_and_batches_and_is_kept(cache: Cache) -> None:
    config = PatchConfig(shape=(96, 96, 96), batch_size=2, batches_per_epoch=6, augmentation=HEAVY)
    free = PatchLoader(cache, config, LoaderMeans(workers=4, prefetch_batches=6)).plan
    max_bytes = 2 * free.worker_bytes + 4 * free.batch_bytes
    with PatchLoader(cache, config, LoaderMeans(workers=4, prefetch_batches=6, max_bytes=max_bytes)) as loader:
        assert (loader.plan.workers, loader.plan.slots) == (2, 4)
        assert loader.plan.total_bytes <= max_bytes < free.total_bytes
        peak = 0
        for _ in loader.batches():
            peak = max(peak, *(own_bytes(pid) for pid in loader.worker_pids))
        assert len(loader.worker_pids) == 2
    assert 0 < peak <= loader.plan.worker_bytes


def test_budget_changes_no_patch(cache: Cache, expected: list[Batch]) -> None:
    least = PatchLoader(cache, CONFIG, LoaderMeans(workers=1, prefetch_batches=1)).plan.total_bytes
    with PatchLoader(cache, CONFIG, LoaderMeans(workers=3, max_bytes=least)) as loader:
        assert (loader.plan.workers, loader.plan.slots) == (1, 3)
        assert_same([copied(batch) for batch in loader.batches()], expected)


def test_budget_that_holds_nothing_says_what_would_do(cache: Cache) -> None:
    with pytest.raises(BudgetTooSmall) as caught:
        PatchLoader(cache, CONFIG, LoaderMeans(workers=2, max_bytes=1000))
    PatchLoader(cache, CONFIG, LoaderMeans(workers=2, max_bytes=caught.value.needed_bytes))


def test_many_tasks_wait_outside_the_pipes(cache: Cache) -> None:
    config = PatchConfig(shape=(4, 4, 4), batch_size=100, batches_per_epoch=3, augmentation=None)
    found = all_of(cache, config, 2)
    assert_same(found, all_of(cache, config, 0))


def test_task_for_a_dead_worker_reaches_its_successor() -> None:
    pool = workers_module.WorkerPool(1, lambda task: workers_module.Answer(task=task))
    with closing(pool):
        os.kill(pool.pids[0], signal.SIGKILL)
        multiprocessing.connection.wait([pool._workers[0].process.sentinel])
        task = workers_module.Task(run=0, epoch=0, index=0, slot=0, row=0)
        pool.give(task)
        found = []
        while not found:
            found = list(pool.answers())
        assert [answer.task for answer in found] == [task]
        assert pool.is_idle


def test_worker_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(task: workers_module.Task) -> workers_module.Answer:
        time.sleep(60)
        return workers_module.Answer(task=task)

    monkeypatch.setattr(workers_module, "_STOP_S", 0.1)
    pool = workers_module.WorkerPool(1, hang)
    pool.give(workers_module.Task(run=0, epoch=0, index=0, slot=0, row=0))
    pid = pool.pids[0]
    pool.close()
    assert not is_running(pid)


def test_signal_handlers_of_the_main_process_are_not_the_workers(cache: Cache) -> None:
    before = signal.signal(signal.SIGTERM, lambda *_: None)  # as a trainer does that saves before it ends
    try:
        with PatchLoader(cache, CONFIG, LoaderMeans(workers=1)) as loader:
            next(loader.batches())
            pid = loader.worker_pids[0]
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + 5
            while is_running(pid) and time.monotonic() < deadline:
                time.sleep(0.01)
            assert not is_running(pid)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_loader_closes_at_once_beside_another_that_was_begun_later(cache: Cache) -> None:
    one, other = (PatchLoader(cache, CONFIG, LoaderMeans(workers=1)) for _ in range(2))
    with other, one:
        next(one.batches())
        next(other.batches())
        start = time.monotonic()
        one.close()
        assert time.monotonic() - start < 1.5


def test_system_that_cannot_fork_is_told(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    loader = PatchLoader(cache, CONFIG, LoaderMeans(workers=1))
    with pytest.raises(LoadingError, match="workers=0"):
        next(loader.batches())


def test_torchs_own_loader_gets_the_same_patches(cache: Cache, expected: list[Batch]) -> None:
    dataset = PatchDataset(cache, CONFIG)
    assert len(dataset) == 16
    for (images, labels), (other_images, other_labels, _) in zip(DataLoader(dataset, 2), expected, strict=True):
        assert torch.equal(images, other_images)
        assert torch.equal(labels, other_labels)
    copy = pickle.loads(pickle.dumps(dataset))  # noqa: S301  # our own
    assert torch.equal(copy[3][0], expected[1][0][1])
    with pytest.raises(IndexError, match="16 patches"):
        dataset[16]


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_page_locked_memory_without_cuda_is_refused(cache: Cache) -> None:
    with pytest.raises(LoadingError, match="needs CUDA"):
        PatchLoader(cache, CONFIG, LoaderMeans(pin_memory=True))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_page_locked_batches_are_the_same(cache: Cache, expected: list[Batch]) -> None:
    with PatchLoader(cache, CONFIG, LoaderMeans(workers=2, pin_memory=True)) as loader:
        found = []
        for batch in loader.batches():
            assert batch.images.is_pinned()
            found.append(copied(batch))
    assert_same(found, expected)


@pytest.mark.real_data
def test_real_patients_give_the_same_patches_with_and_without_workers(
    real_patients: list[Path], tmp_path: Path
) -> None:
    from tds_data.cache import build_cache  # noqa: PLC0415
    from tds_data.datasets.index import index_dataset  # noqa: PLC0415

    manifest = index_dataset(real_patients[0].parent)
    chosen = replace(manifest, cases=manifest.cases[:2])
    cache = build_cache(chosen, tmp_path / "cache")
    config = PatchConfig(shape=(96, 96, 96), batches_per_epoch=3, augmentation=HEAVY)
    assert_same(all_of(cache, config, 2), all_of(cache, config, 0))


@pytest.fixture
def as_worker() -> Iterator[None]:
    """Put back what a worker changes in its process."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    threads = torch.get_num_threads()
    yield
    gc.unfreeze()
    for number, handler in handlers.items():
        signal.signal(number, handler)
    torch.set_num_threads(threads)


TASK = workers_module.Task(run=0, epoch=0, index=0, slot=0, row=0)


@pytest.mark.usefixtures("as_worker")
def test_worker_answers_until_its_pipe_is_closed() -> None:
    ours, theirs = multiprocessing.Pipe()
    sibling, other = multiprocessing.Pipe()
    ours.send(TASK)
    ours.send(TASK)
    answers = iter([workers_module.Answer(task=TASK)])

    def work(task: workers_module.Task) -> workers_module.Answer:
        answer = next(answers, None)
        if answer is None:
            ours.close()
        return workers_module.Answer(task=task)

    workers_module._serve(theirs, [sibling], work, os.getppid())
    assert sibling.closed
    theirs.close()
    other.close()


@pytest.mark.usefixtures("as_worker")
def test_worker_without_its_parent_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers_module, "_LOOK_FOR_PARENT_S", 0.01)
    ours, theirs = multiprocessing.Pipe()
    workers_module._serve(theirs, [], lambda task: workers_module.Answer(task=task), parent=-1)
    ours.close()
    theirs.close()


def test_what_a_worker_does_with_a_task(own_cache: Cache) -> None:
    loader = PatchLoader(own_cache, CONFIG, LoaderMeans(workers=1))
    slots = Slots(2, 2, 4, CONFIG.shape)
    work = loader_module._Work(loader._maker, slots, loader._run)
    made = work(TASK)
    assert made.record is not None
    assert made.record.index == 0
    assert torch.equal(slots.hand_out(0, copy=False)[0][0], loader.replay(made.record).image)
    assert work(replace(TASK, run=7)) == workers_module.Answer(task=replace(TASK, run=7))
    assert "IndexError" in str(work(replace(TASK, row=5)).error)
    for number in range(4):
        damage(own_cache, number)
    fresh = PatchLoader(own_cache, CONFIG, LoaderMeans(workers=1))
    assert isinstance(loader_module._Work(fresh._maker, slots, fresh._run)(TASK).error, DamagedCache)


def test_slot_is_free_again_when_its_last_tensor_is_let_go() -> None:
    slots = Slots(2, 2, 4, CONFIG.shape)
    slot = slots.free.popleft()
    images, labels = slots.hand_out(slot, copy=False)
    part = images[0, 1]
    del images
    del labels
    assert slot not in slots.free
    del part
    assert slot in slots.free
    copies = slots.hand_out(slots.free.popleft(), copy=True)
    assert len(slots.free) == 2
    assert copies[0].shape == (2, 4, *CONFIG.shape)


def test_extra_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import tds_data.loading as package  # noqa: PLC0415

    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingDependency, match=r"tds-data\[torch\]"):
        importlib.reload(package)
    monkeypatch.undo()
    importlib.reload(package)
