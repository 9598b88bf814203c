"""The HDF5 reader reads what h5py wrote, and comes to an end for every file."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from snncompile.frontends.hdf5.dataset import Dataset
from snncompile.frontends.hdf5.file import MAX_STEPS, File, Hdf5Error, TooLarge
from snncompile.frontends.hdf5.groups import Group, open_object


def written(fill: Callable[[Any], None], **how: Any) -> File:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", **how) as file:
        fill(file)
    return of(buffer.getvalue())


def of(data: bytes) -> File:
    return File(io.BufferedReader(io.BytesIO(data)), len(data))


def root(file: File) -> Group:
    opened = open_object(file, file.root)
    assert isinstance(opened, Group)
    return opened


def dataset(file: File, name: str = "x") -> Dataset:
    opened = open_object(file, root(file).addresses(1000)[name])
    assert isinstance(opened, Dataset)
    return opened


DTYPES = st.sampled_from(["i1", "u1", "<i2", ">i4", "<u8", "<f2", ">f4", "<f4", "<f8", ">f8"]).map(np.dtype)
ARRAYS = hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))


@given(ARRAYS)
def test_numbers_of_every_type_and_shape(array: Any) -> None:
    read = dataset(written(lambda f: f.create_dataset("x", data=array))).numbers()
    assert read.shape == array.shape
    assert read.dtype == array.dtype.newbyteorder("=")
    assert np.array_equal(read, array, equal_nan=array.dtype.kind == "f")
    assert not read.flags.writeable


@given(ARRAYS.filter(lambda a: a.ndim > 0 and a.size > 0), st.data())
def test_chunks_and_filters(array: Any, data: st.DataObject) -> None:
    chunks = tuple(data.draw(st.integers(1, n)) for n in array.shape)
    how = {"compression": data.draw(st.sampled_from([None, "gzip"])), "shuffle": data.draw(st.booleans()),
           "fletcher32": data.draw(st.booleans())}
    read = dataset(written(lambda f: f.create_dataset("x", data=array, chunks=chunks, **how))).numbers()
    assert np.array_equal(read, array, equal_nan=array.dtype.kind == "f")


def test_more_chunks_than_one_tree_node_holds() -> None:
    array = np.arange(20_000).reshape(100, 200)
    assert np.array_equal(dataset(written(lambda f: f.create_dataset("x", data=array, chunks=(3, 7)))).numbers(), array)


@pytest.mark.parametrize("text", ["", "LIF", "ä" * 300])
def test_strings_of_variable_length(text: str) -> None:
    assert list(dataset(written(lambda f: f.create_dataset("x", data=text))).strings()) == [text.encode()]


def test_strings_of_fixed_length() -> None:
    assert list(dataset(written(lambda f: f.create_dataset("x", data=np.array([b"ab", b"c"])))).strings()) == [
        b"ab", b"c"]


@pytest.mark.parametrize("how", [{}, {"track_order": True}, {"libver": "latest"}, {"libver": ("v110", "v110")}])
@pytest.mark.parametrize("word", ["n", "ä"])
@pytest.mark.parametrize("count", [0, 3, 8, 9, 60, 3000])
def test_groups_of_every_size_and_layout(how: dict[str, Any], word: str, count: int) -> None:
    def fill(file: Any) -> None:
        group = file.create_group("g", track_order=how.get("track_order"))
        for i in range(count):
            group[f"{word}{i}"] = i

    file = written(fill, **how)
    group = open_object(file, root(file).addresses(10)["g"])
    assert isinstance(group, Group)
    members = {n: open_object(file, a) for n, a in group.addresses(count).items()}
    assert list(members) == sorted(f"{word}{i}" for i in range(count))
    assert all(isinstance(d, Dataset) and d.numbers() == int(n[1:]) for n, d in members.items())


def test_an_object_with_more_messages_than_its_first_block_holds() -> None:
    def fill(file: Any) -> None:
        file["x"] = np.arange(5)
        for i in range(40):
            file["x"].attrs[f"attribute{i}"] = "text" * i

    assert dataset(written(fill)).numbers().tolist() == [0, 1, 2, 3, 4]


def test_truth_values_are_numbers() -> None:
    def fill(file: Any) -> None:
        file["x"] = np.array([True, False])

    assert dataset(written(fill)).numbers().tolist() == [1, 0]


def refused(fill: Callable[[Any], None], read: Callable[[File], object]) -> str:
    with pytest.raises(Hdf5Error) as e:
        read(written(fill))
    return str(e.value)


@pytest.mark.parametrize("link", [h5py.SoftLink("/y"), h5py.ExternalLink("other.h5", "/y")])
def test_links_to_other_places_are_refused(link: Any) -> None:
    def fill(file: Any) -> None:
        file["x"] = link

    assert "link to another place" in refused(fill, lambda f: root(f).addresses(10))


def test_data_in_another_file_are_refused(tmp_path: Path) -> None:
    def fill(file: Any) -> None:
        file.create_dataset("x", (4,), "f4", external=[(str(tmp_path / "secret"), 0, 16)])

    assert "another file" in refused(fill, lambda f: dataset(f).numbers())


def test_virtual_data_are_refused() -> None:
    def fill(file: Any) -> None:
        layout = h5py.VirtualLayout((4,), "f4")
        layout[:] = h5py.VirtualSource("other.h5", "y", (4,))
        file.create_virtual_dataset("x", layout)

    refused(fill, lambda f: dataset(f).numbers())


def test_unknown_compression_is_refused_by_its_number() -> None:
    def fill(file: Any) -> None:
        file.create_dataset("x", data=np.zeros(100), compression="lzf")

    assert "filter 32000" in refused(fill, lambda f: dataset(f).numbers())


@pytest.mark.parametrize("value", [np.zeros(2, "c8"), np.zeros(2, [("a", "i4")])])
def test_other_types_are_refused(value: Any) -> None:
    def fill(file: Any) -> None:
        file["x"] = value

    assert "are read" in refused(fill, lambda f: dataset(f).numbers())


def test_a_dataset_without_data_is_refused() -> None:
    def fill(file: Any) -> None:
        file.create_dataset("x", (1000, 1000), "f8", chunks=(10, 10))

    assert "never written" in refused(fill, lambda f: dataset(f).numbers())


def test_a_group_that_holds_itself_costs_no_more_than_the_step_limit() -> None:
    def fill(file: Any) -> None:
        group = file.create_group("g")
        for i in range(3):
            group[f"again{i}"] = group

    file = written(fill)

    def visit() -> None:
        stack = [root(file)]
        while stack:
            for address in stack.pop().addresses(10).values():
                member = open_object(file, address)
                assert isinstance(member, Group)
                stack.append(member)
            file.step(MAX_STEPS // 100)

    with pytest.raises(TooLarge, match="entries"):
        visit()


def test_a_damaged_global_heap_ends() -> None:
    """A free object of size 0 inside a heap makes the HDF5 library loop for ever."""
    def fill(file: Any) -> None:
        for i in range(5):
            file[f"x{i}"] = "some text"

    file = written(fill)
    data = bytearray(file.raw(0, file.size))
    first = data.index(b"GCOL") + 16
    data[first + 32:first + 48] = bytes(16)
    damaged = of(bytes(data))
    assert list(dataset(damaged, "x0").strings()) == [b"some text"]
    with pytest.raises(Hdf5Error, match="no object"):
        list(dataset(damaged, "x4").strings())


@pytest.mark.parametrize(("size", "read"), [(8, True), ((1 << 31) - 1, True), (1 << 31, False), ((1 << 32) - 1, False),
                                            (0, False)])
def test_a_string_has_the_lengths_that_numpy_has(size: int, read: bool) -> None:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["x"] = np.array([b"12345678"], "S8")
    content, text = buffer.getvalue(), b"\x13\x01\x00\x00" + struct.pack("<I", 8)
    assert content.count(text) == 1
    found = dataset(of(content.replace(text, text[:4] + struct.pack("<I", size))))
    if read:
        assert found.dtype == np.dtype(f"S{size}")
    else:
        with pytest.raises(Hdf5Error):
            _ = found.dtype
