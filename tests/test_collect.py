"""Calibration data as people train with them: tensors of torch, data loaders, and datasets of (sample, label)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import snncompile as sc
from snncompile.data.collect import as_numbers, collect
from tests.nets import small

SAMPLES, TICKS = 10, 6


class Dataset:
    """A dataset in the manner of Tonic: an object with a length and items of frames and a label."""

    def __init__(self, x: Any, labels: Any = None):
        self.x, self.labels = x, labels

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> Any:
        if i >= len(self.x):
            raise IndexError(i)
        return self.x[i] if self.labels is None else (self.x[i], self.labels[i])


def data(shape: tuple[int, ...]) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 2, (SAMPLES, TICKS, *shape)).astype(np.float32), np.arange(SAMPLES) % 3


def same(a: Any, b: Any) -> bool:
    return bool(str(a.graph) == str(b.graph) and a.report.agreement == b.report.agreement)


@pytest.fixture(scope="module")
def compiled() -> Any:
    graph = small()
    x, labels = data(next(iter(graph.inputs.values())).shape)
    return graph, x, labels, sc.compile(graph, calibration=x, labels=labels)


def test_a_dataset_gives_samples_and_labels(compiled: Any) -> None:
    graph, x, labels, wanted = compiled
    assert same(sc.compile(graph, calibration=Dataset(x, labels)), wanted)
    assert same(sc.compile(graph, calibration=Dataset(x), labels=labels), wanted)
    assert same(sc.compile(graph, calibration=Dataset(x, [int(n) for n in labels])), wanted)


def test_given_labels_come_before_those_of_the_dataset(compiled: Any) -> None:
    graph, x, labels, wanted = compiled
    assert same(sc.compile(graph, calibration=Dataset(x, labels[::-1]), labels=labels), wanted)


def test_a_data_loader_gives_its_batches(compiled: Any) -> None:
    torch = pytest.importorskip("torch")
    from torch.utils.data import DataLoader, Subset, TensorDataset

    graph, x, labels, wanted = compiled
    tensors = TensorDataset(torch.from_numpy(x), torch.from_numpy(labels))
    loaders = DataLoader(tensors, batch_size=4), DataLoader(Dataset(x, labels), batch_size=3)
    for given in (tensors, Subset(tensors, range(SAMPLES)), *loaders):
        assert same(sc.compile(graph, calibration=given), wanted)
    batches = ((torch.from_numpy(x[i:i + 5]).transpose(0, 1), labels[i:i + 5]) for i in (0, 5))
    assert same(sc.compile(graph, calibration=batches, layout="time-first"), wanted)


def test_tensors_of_torch_are_data_whatever_their_type_and_gradient(compiled: Any) -> None:
    torch = pytest.importorskip("torch")

    graph, x, labels, wanted = compiled
    for tensor in (torch.from_numpy(x).requires_grad_(), torch.from_numpy(x).bfloat16(), torch.from_numpy(x).half()):
        assert same(sc.compile(graph, calibration=tensor, labels=torch.from_numpy(labels)), wanted)
        assert np.array_equal(wanted.run(tensor).outputs, wanted.run(x).outputs)


def test_labels_that_are_no_classes_are_left_out() -> None:
    x, _ = data((2,))
    assert collect(Dataset(x, np.zeros((SAMPLES, 3))), "sample-first", "calibration")[1] is None
    assert collect(Dataset(x, np.zeros(SAMPLES)), "sample-first", "calibration")[1] is None


class Broken(Dataset):
    def __getitem__(self, i: int) -> Any:
        raise OSError("no such recording")


class NoLength(Dataset):
    def __len__(self) -> int:
        raise NotImplementedError("how many is not known")


class NoStart:
    def __iter__(self) -> Any:
        raise FileNotFoundError("no such shard")


class Hostile:
    def __array__(self, *_: Any, **__: Any) -> Any:
        raise KeyError("a key")


def events(count: int) -> Any:
    return np.zeros(count, [("x", int), ("y", int), ("t", int), ("p", int)])


@pytest.mark.parametrize(("given", "words"), [
    (Dataset([np.zeros((4, 2)), np.zeros((5, 2))], [0, 1]), "items of the shapes [4, 2], [5, 2]"),
    (Dataset([events(3)], [0]), "items of events"), (Dataset([]), "no items"),
    (Broken([1, 2]), "OSError: no such recording"), (object(), 'an object of type "object"'),
    (Dataset([{"frames": 1}]), "items of type object"), (Dataset(["a.bs2"]), "items of type <U5"),
    (Dataset([np.zeros((1 << 14, 1 << 10))] * (1 << 16)), "at most"),
    (NoLength([1]), "NotImplementedError: how many is not known"), (NoStart(), "FileNotFoundError: no such shard"),
    (iter([1, 2]), "batches [sample, tick, ...]"), (Hostile(), "a key"),
])
def test_data_that_do_not_fit_together_end_in_a_diagnostic(given: Any, words: str) -> None:
    with pytest.raises(sc.CompileError) as error:
        sc.compile(small(), calibration=given)
    (problem,) = error.value.diagnostics
    assert problem.code == "SNN501"
    assert words in str(error.value)


def test_a_tensor_without_numbers_ends_in_a_diagnostic() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(sc.CompileError, match="SNN501"):
        as_numbers(torch.zeros(2, device="meta"), "samples")


def test_an_iterable_dataset_that_knows_its_length_is_iterated(compiled: Any) -> None:
    """The name of the class decides, as torch's own has `__getitem__` too, which raises."""
    class IterableDataset:
        def __len__(self) -> int:
            return 1

        def __getitem__(self, i: int) -> Any:
            raise NotImplementedError

        def __iter__(self) -> Any:
            return iter([np.ones((2, 4, 3))])

    found, labels = collect(IterableDataset(), "sample-first", "calibration")
    assert found.shape == (2, 4, 3)
    assert labels is None
