"""Data files: which are read, how they become input in ticks, and which are refused."""

import io
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from snncompile.data import Events, bin_events, encode, read_event_csv, read_event_file, read_input, read_labels
from snncompile.data import events as data_events
from snncompile.data import files as data_files
from snncompile.diagnostics import CompileError

SHARED = Path(os.environ.get("SNNC_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
NMNIST = SHARED / "nmnist"
needs_nmnist = pytest.mark.skipif(not NMNIST.is_dir(), reason="the N-MNIST recordings are not here")


def refused(code, function, *args, **options):
    with pytest.raises(CompileError) as caught:
        function(*args, **options)
    assert [d.code for d in caught.value.diagnostics] == [code]
    return str(caught.value)


def record(x, y, p, t):
    return bytes([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255])


# --- event recordings


def test_binary_events_hold_polarity_in_the_top_bit_and_23_bits_of_time(tmp_path):
    path = tmp_path / "a.bs2"
    path.write_bytes(record(33, 7, 1, 0x7ABCDE) + record(0, 1, 0, 5))
    events = read_event_file(path)
    assert events.address.tolist() == [[33, 7, 1], [0, 1, 0]]
    assert events.t.tolist() == [0x7ABCDE, 5]


event = st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 1), st.integers(0, (1 << 23) - 1))


@given(st.lists(event, max_size=30))
def test_every_event_survives_being_packed_and_read(tmp_path_factory, events):
    path = tmp_path_factory.mktemp("events") / "a.bin"
    path.write_bytes(b"".join(record(*e) for e in events))
    read = read_event_file(path)
    assert [(*a, t) for a, t in zip(read.address.tolist(), read.t.tolist(), strict=True)] == events


def test_a_recording_that_ends_within_an_event_is_refused(tmp_path):
    path = tmp_path / "a.bs2"
    path.write_bytes(record(1, 1, 0, 0)[:-1])
    assert "4 bytes" in refused("SNN502", read_event_file, path)


def test_events_of_one_bin_add_up_and_polarity_chooses_the_channel():
    events = Events(np.array([0, 999, 1000, 10]), np.array([[1, 0, 1], [1, 0, 1], [1, 0, 1], [1, 0, 0]]))
    x = bin_events([events], (2, 2, 3))
    assert x.shape == (1, 2, 2, 2, 3)
    assert x[0, 0, 1, 0, 1] == 2
    assert x[0, 1, 1, 0, 1] == 1
    assert x[0, 0, 0, 0, 1] == 1
    assert x.sum() == 4


def test_a_single_channel_takes_both_polarities():
    events = Events(np.array([0, 0]), np.array([[1, 0, 1], [1, 0, 0]]))
    assert bin_events([events], (1, 2, 3))[0, 0, 0, 0, 1] == 2


def test_a_polarity_of_minus_one_is_channel_0():
    events = Events(np.array([0, 0]), np.array([[1, 0, -1], [1, 0, 1]]))
    assert bin_events([events], (2, 2, 3))[0, 0, :, 0, 1].tolist() == [1, 1]


def test_without_ticks_the_longest_recording_decides_and_others_end_in_silence():
    long, short = Events(np.array([4999]), np.array([[0]])), Events(np.array([0]), np.array([[1]]))
    x = bin_events([long, short], (2,))
    assert x.shape == (2, 5, 2)
    assert x[0, 4, 0] == 1
    assert x[1].sum(1).tolist() == [1, 0, 0, 0, 0]


def test_events_after_the_last_tick_are_left_out():
    events = Events(np.array([0, 1999, 2000]), np.zeros((3, 1), int))
    assert bin_events([events], (1,), ticks=2).ravel().tolist() == [1, 1]


def test_counts_above_255_are_kept():
    events = Events(np.zeros(300, int), np.zeros((300, 1), int))
    assert bin_events([events], (1,)).item() == 300


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 11)), max_size=60), st.integers(1, 700), st.randoms())
def test_binning_loses_nothing_and_ignores_the_order_of_events(events, tick_us, random):
    def binned(listed):
        t, index = (np.array(v, np.int64) for v in (zip(*listed, strict=True) if listed else ([], [])))
        return bin_events([Events(t, index[:, None])], (3, 4), tick_us=tick_us)

    x = binned(events)
    assert x.sum() == len(events)
    shuffled = list(events)
    random.shuffle(shuffled)
    assert np.array_equal(binned(shuffled), x)
    for t, index in events:
        assert x.reshape(x.shape[1], 12)[t // tick_us, index] > 0


@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 3)), min_size=1, max_size=40), st.integers(1, 200),
       st.integers(1, 5))
def test_longer_ticks_are_sums_of_shorter_ones(events, tick_us, factor):
    t, index = np.array(events).T
    fine = bin_events([Events(t, index[:, None])], (4,), tick_us=tick_us)
    coarse = bin_events([Events(t, index[:, None])], (4,), tick_us=tick_us * factor)
    padded = np.pad(fine[0], ((0, coarse.shape[1] * factor - fine.shape[1]), (0, 0)))
    assert np.array_equal(padded.reshape(-1, factor, 4).sum(1), coarse[0])


@pytest.mark.parametrize("address", [[3, 0, 0], [0, 2, 0], [-1, 0, 0], [0, 0, 2]])
def test_an_event_outside_the_sensor_is_refused(address):
    events = Events(np.array([0, 0]), np.array([[0, 0, 0], address]))
    assert str(address) in refused("SNN501", bin_events, [events], (2, 2, 3))


@pytest.mark.parametrize("index", [-1, 6])
def test_an_index_outside_the_input_is_refused(index):
    refused("SNN501", bin_events, [Events(np.array([0]), np.array([[index]]))], (2, 3))


def test_sensor_events_do_not_fit_a_flat_input():
    refused("SNN501", bin_events, [Events(np.array([0]), np.array([[0, 0, 0]]))], (12,))


@pytest.mark.parametrize("options", [{"tick_us": 0}, {"ticks": 0}, {"ticks": -3}, {"ticks": 1 << 40}])
def test_binning_options_out_of_range_are_refused(options):
    refused("SNN404", bin_events, [Events(np.array([0]), np.array([[0]]))], (1,), **options)


def test_an_event_far_behind_the_others_makes_no_huge_tensor(monkeypatch):
    """Three events in 1,000 ticks of 2 inputs: 2,000 values, of which 3 times so many an event are allowed."""
    recording = Events(np.array([0, 1000, 999_999]), np.array([[0], [1], [1]]))
    monkeypatch.setattr(data_events, "FEW_VALUES", 100)
    monkeypatch.setattr(data_events, "VALUES_PER_EVENT", 667)
    assert bin_events([recording], (2,)).shape == (1, 1000, 2)
    monkeypatch.setattr(data_events, "VALUES_PER_EVENT", 666)
    told = refused("SNN501", bin_events, [recording], (2,))
    assert "2,000 values for 3 events" in told
    assert "at most 1,998" in told
    assert bin_events([recording], (2,), ticks=999).sum() == 2


def test_a_tensor_too_large_to_hold_is_refused_before_it_is_made():
    far = Events(np.array([10**9]), np.array([[0]]))
    refused("SNN501", bin_events, [far] * 100, (1000,), tick_us=1000)
    refused("SNN404", bin_events, [far], (1,), tick_us=1)


# --- CSV lists


def write(path, text):
    path.write_text(text)
    return path


def test_a_csv_list_names_its_columns_in_any_order(tmp_path):
    path = write(tmp_path / "a.csv", "p,y,t,x\n1,0,1500,2\n0,1,20,0\n")
    x = read_input(path, (2, 2, 3))
    assert x.shape == (1, 2, 2, 2, 3)
    assert x[0, 1, 1, 0, 2] == x[0, 0, 0, 1, 0] == 1


def test_a_csv_list_by_index_fits_any_shape(tmp_path):
    path = write(tmp_path / "a.csv", "t,index\n0,5\n1000,0\n")
    assert np.argwhere(read_input(path, (2, 3))).tolist() == [[0, 0, 1, 2], [0, 1, 0, 0]]


def test_a_csv_list_with_samples_may_be_unsorted_and_leave_some_silent(tmp_path):
    path = write(tmp_path / "a.csv", "sample,t,index\n2,0,1\n0,1000,0\n2,0,1\n")
    assert np.argwhere(read_input(path, (2,))).tolist() == [[0, 1, 0], [2, 0, 1]]
    assert read_input(path, (2,))[2, 0, 1] == 2


def test_an_empty_csv_list_is_a_silent_recording(tmp_path):
    x = read_input(write(tmp_path / "a.csv", "t,index\n"), (3,), ticks=4)
    assert x.shape == (1, 4, 3)
    assert not x.any()


@pytest.mark.parametrize("text", [
    "", "t\n1\n", "t,x,y\n1,1,1\n", "t,index,colour\n1,1,1\n", "t,t,index\n1,1,1\n", "t,index\n1\n",
    "t,index\n1,1,1\n", "t,index\n1,a\n", "t,index\n1,0.5\n", "t,index\n1,99999999999999999999\n",
    "t,index\n-1,0\n", "sample,t,index\n-1,0,0\n", "sample,t,index\n99999999999,0,0\n", "\x00\x01\xff",
    "t,index\n1,\n", "t,index\n1,nan\n",
])
def test_a_csv_list_that_is_not_one_is_refused(tmp_path, text):
    refused("SNN502", read_event_csv, write(tmp_path / "a.csv", text))


# --- lists and folders of recordings


@pytest.fixture
def folder(tmp_path):
    for name, x in (("10.bs2", 2), ("2.bs2", 1), ("1.bs2", 0)):
        (tmp_path / name).write_bytes(record(x, 0, 1, 1000 * x))
    write(tmp_path / "list.csv", "file,label\n10.bs2,7\n1.bs2,4\n2.bs2,5\n")
    return tmp_path


def test_a_folder_is_read_in_natural_order(folder):
    assert np.argwhere(read_input(folder, (2, 1, 3)))[:, -1].tolist() == [0, 1, 2]


def test_a_list_of_files_is_read_in_its_own_order(folder):
    assert np.argwhere(read_input(folder / "list.csv", (2, 1, 3)))[:, -1].tolist() == [2, 0, 1]
    assert read_labels(folder / "list.csv").tolist() == [7, 4, 5]


def test_labels_of_a_folder_are_matched_by_file_name(folder):
    assert read_labels(folder / "list.csv", inputs=folder).tolist() == [4, 5, 7]


def test_a_folder_with_a_recording_that_has_no_label_is_refused(folder):
    (folder / "3.bs2").write_bytes(b"")
    assert "3.bs2" in refused("SNN501", read_labels, folder / "list.csv", inputs=folder)


def test_a_sequence_of_paths_is_read_as_given(folder):
    assert np.argwhere(read_input([folder / "2.bs2", folder / "1.bs2"], (2, 1, 3)))[:, -1].tolist() == [1, 0]


@pytest.mark.parametrize("name", ["../1.bs2", "/etc/passwd", "sub/../../1.bs2", "", "l.csv", "a\\..\\1.bs2", "0.bin"])
def test_a_list_may_not_lead_out_of_its_folder(folder, name):
    refused("SNN502", read_input, write(folder / "bad.csv", f"label,file\n0,{name}\n"), (2, 1, 3))


def test_a_list_without_files_is_refused(tmp_path):
    refused("SNN502", read_input, write(tmp_path / "a.csv", "file\n"), (1,))
    refused("SNN502", read_input, [], (1,))


def test_an_empty_folder_is_refused(tmp_path):
    refused("SNN502", read_input, tmp_path, (1,))


@pytest.mark.parametrize("text", ["label\n-1\n", "label\n1.5\n", "label\nseven\n", "label\n99999999999\n",
                                  "label\n\u0664\n"])
def test_labels_that_are_not_whole_numbers_are_refused(tmp_path, text):
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8")
    refused("SNN501", read_labels, path)


def test_labels_need_their_column(tmp_path):
    refused("SNN502", read_labels, write(tmp_path / "a.csv", "file,class\na.bs2,1\n"))
    refused("SNN502", read_labels, write(tmp_path / "a.csv", "file,label\na.bs2\n"))


# --- arrays


def save(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_an_array_is_read_as_it_is(tmp_path):
    x = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    np.save(tmp_path / "a.npy", x)
    read = read_input(tmp_path / "a.npy", (4,))
    assert read.dtype == x.dtype
    assert np.array_equal(read, x)


@pytest.mark.parametrize("order", ["C", "F"])
def test_memory_order_makes_no_difference(tmp_path, order):
    x = np.asarray(np.random.default_rng(0).random((2, 3, 4, 5)), order=order)
    np.save(tmp_path / "a.npy", x)
    assert np.array_equal(read_input(tmp_path / "a.npy", (4, 5)), x)


def test_axes_of_length_1_may_be_missing_and_the_shape_may_be_flat(tmp_path):
    x = np.random.default_rng(0).random((2, 3, 4, 5))
    for given_shape in ((2, 3, 4, 5), (2, 3, 1, 4, 5), (2, 3, 20)):
        np.save(tmp_path / "a.npy", x.reshape(given_shape))
        assert np.array_equal(read_input(tmp_path / "a.npy", (1, 4, 5)), x[:, :, None])


@pytest.mark.parametrize("shape", [(), (3,), (0, 3, 4, 5), (2, 0, 4, 5), (2, 3), (2, 3, 5, 4), (2, 3, 4), (2, 3, 21)])
def test_an_array_of_another_shape_is_refused(tmp_path, shape):
    np.save(tmp_path / "a.npy", np.zeros(shape))
    refused("SNN501", read_input, tmp_path / "a.npy", (1, 4, 5))


def test_frames_without_a_tick_axis_are_not_taken_for_ticks(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((3, 1, 4, 5)))
    refused("SNN501", read_input, tmp_path / "a.npy", (1, 4, 5))
    assert read_input(tmp_path / "a.npy", (1, 4, 5), encode="direct", ticks=2).shape == (3, 2, 1, 4, 5)


def test_booleans_become_zeros_and_ones(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[[True, False]]]))
    read = read_input(tmp_path / "a.npy", (2,))
    assert read.dtype == np.uint8
    assert read.tolist() == [[[1, 0]]]


def test_ticks_cut_long_samples_and_end_short_ones_in_silence(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(1, 7).reshape(1, 3, 2))
    assert read_input(tmp_path / "a.npy", (2,), ticks=2).tolist() == [[[1, 2], [3, 4]]]
    assert read_input(tmp_path / "a.npy", (2,), ticks=4).tolist() == [[[1, 2], [3, 4], [5, 6], [0, 0]]]


def test_the_input_is_the_only_array_or_the_one_with_a_usual_name_or_the_one_named(tmp_path):
    a, b = np.zeros((1, 1, 2)), np.ones((1, 1, 2))
    assert read_input(save(tmp_path / "1.npz", odd=b), (2,)).all()
    assert read_input(save(tmp_path / "2.npz", odd=a, x=b, y=np.array([3])), (2,)).all()
    assert read_input(save(tmp_path / "3.npz", odd=b, x=a), (2,), key="odd").all()
    assert read_labels(tmp_path / "2.npz").tolist() == [3]


def test_an_ambiguous_or_missing_array_is_refused_with_the_names_there_are(tmp_path):
    path = save(tmp_path / "a.npz", first=np.zeros(1), second=np.zeros(1))
    assert "first" in refused("SNN502", read_input, path, (1,))
    assert "second" in refused("SNN502", read_input, path, (1,), key="third")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(tmp_path, bad):
    np.save(tmp_path / "a.npy", np.array([[[0.0, bad]]]))
    assert "1 of 2" in refused("SNN501", read_input, tmp_path / "a.npy", (2,))


@pytest.mark.parametrize("array", [np.array([object()], object), np.array(["a"]), np.array([1j]),
                                   np.zeros(2, [("a", "i4")]), np.array(["2020"], "M8[Y]")])
def test_arrays_that_are_not_plain_numbers_are_refused(tmp_path, array):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    refused("SNN502", read_input, tmp_path / "a.npy", (1,))
    save(tmp_path / "a.npz", x=array)
    refused("SNN502", read_input, tmp_path / "a.npz", (1,))


def npy_header(text):
    body = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(body)) + body


@pytest.mark.parametrize("content", [
    b"", b"\x93NUMPY", b"not an array",
    npy_header("{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904,)}"),
    npy_header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}"),
    npy_header("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2)}") + b"\0" * 31,
    npy_header("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}") + b"cos\nsystem\n(S'id'\ntR.",
    npy_header("__import__('os').getcwd()"), npy_header("((((((((((" * 9), npy_header("{}"),
    b"\x93NUMPY\x09\x00" + b"\0" * 200,
], ids=range(11))
def test_a_damaged_or_hostile_array_file_is_refused(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)
    refused("SNN502", read_input, tmp_path / "a.npy", (1,))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", content)
    refused("SNN502", read_input, tmp_path / "a.npz", (1,))


def read_or_refused(path):
    try:
        return read_input(path, (2,))
    except CompileError as e:
        return None if e.diagnostics[0].code in ("SNN501", "SNN502") else pytest.fail(str(e))


@given(st.integers(0, 400), st.binary(max_size=40))
def test_an_altered_archive_is_read_or_refused_but_never_breaks(tmp_path_factory, start, patch):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, x=np.zeros((1, 4, 2), np.uint8))
    whole = buffer.getvalue()
    path = tmp_path_factory.mktemp("altered") / "a.npz"
    path.write_bytes(whole[:start] + patch + whole[start + len(patch):])
    assert read_or_refused(path) is None or read_input(path, (2,)).shape == (1, 4, 2)


@given(st.integers(0, 140), st.binary(max_size=12))
def test_an_altered_array_file_is_read_or_refused_but_never_breaks(tmp_path_factory, start, patch):
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((1, 4, 2), np.float32))
    whole = buffer.getvalue()
    path = tmp_path_factory.mktemp("altered") / "a.npy"
    path.write_bytes(whole[:start] + patch + whole[start + len(patch):])
    x = read_or_refused(path)
    assert x is None or (x.shape[2:] == (2,) and x.nbytes <= len(whole) + len(patch))


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.zeros((1, 1000, 100)))
    monkeypatch.setattr(data_files, "MAX_FILE_BYTES", 100_000)
    assert "unpacked" in refused("SNN502", read_input, path, (100,))


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.bs2", "a.csv", "a.txt", "a\0.npy", "x" * 5000 + ".npy"])
def test_a_file_that_is_not_there_or_of_no_known_kind_is_refused(tmp_path, name):
    refused("SNN502", read_input, str(tmp_path) + "/" + name, (1,))
    refused("SNN502", read_labels, str(tmp_path) + "/" + name)


def test_a_folder_named_like_an_array_is_refused(tmp_path):
    (tmp_path / "a.npz").mkdir()
    refused("SNN502", read_input, tmp_path / "a.npz", (1,))


@pytest.mark.parametrize("y", [np.array([0.5]), np.array([-1]), np.array([np.inf]), np.zeros((2, 2)), np.array(3)])
def test_label_arrays_hold_a_vector_of_whole_numbers(tmp_path, y):
    np.save(tmp_path / "y.npy", y)
    refused("SNN501", read_labels, tmp_path / "y.npy")


def test_label_arrays_may_be_stored_as_floats(tmp_path):
    np.save(tmp_path / "y.npy", np.array([3.0, 0.0]))
    assert read_labels(tmp_path / "y.npy").tolist() == [3, 0]


# --- encodings

intensities = hnp.arrays(np.float64, st.tuples(st.integers(1, 3), st.integers(1, 5)), elements=st.floats(0, 1))


@given(hnp.arrays(np.float32, (2, 3), elements=st.floats(-5, 5, width=32)), st.integers(1, 9))
def test_direct_encoding_repeats_the_frame(frames, ticks):
    x = encode(frames, "direct", ticks)
    assert x.shape == (2, ticks, 3)
    assert all(np.array_equal(x[:, t], frames) for t in range(ticks))


@given(intensities, st.integers(1, 20))
def test_latency_encoding_spikes_once_and_the_brighter_the_sooner(frames, ticks):
    x = encode(frames, "latency", ticks)
    assert np.array_equal(x.sum(1), frames > 0)
    first = np.where(frames > 0, x.argmax(1), ticks).ravel()
    order = np.argsort(-frames.ravel(), kind="stable")
    assert (np.diff(first[order]) >= 0).all()
    assert (first[frames.ravel() == 1] == 0).all()


@given(intensities, st.integers(0, 1000))
def test_rate_encoding_is_reproducible_and_never_errs_at_the_ends(frames, seed):
    x = encode(frames, "rate", 8, seed=seed)
    assert np.array_equal(x, encode(frames, "rate", 8, seed=seed))
    assert not x.swapaxes(1, 2)[frames == 0].any()
    assert x.swapaxes(1, 2)[frames == 1].all()


def test_rate_encoding_spikes_with_the_intensity_as_probability():
    frames = np.linspace(0, 1, 11)[None]
    rate = encode(frames, "rate", 20_000, seed=3)[0].mean(0)
    # Five standard deviations of a binomial share, at its widest.
    assert np.abs(rate - frames[0]).max() < 5 * 0.5 / np.sqrt(20_000)


def test_rate_encoding_of_a_sample_does_not_depend_on_the_others():
    frames = np.full((3, 50), 0.5)
    assert np.array_equal(encode(frames, "rate", 5, seed=1)[:2], encode(frames[:2], "rate", 5, seed=1))
    assert not np.array_equal(*encode(frames, "rate", 5, seed=1)[:2])
    assert not np.array_equal(encode(frames, "rate", 5, seed=1), encode(frames, "rate", 5, seed=2))


def test_eight_bit_frames_are_read_as_0_to_255(tmp_path):
    frames = np.array([[0, 255, 128]], np.uint8)
    assert encode(frames, "latency", 3)[0].tolist() == [[0, 1, 0], [0, 0, 1], [0, 0, 0]]


@pytest.mark.parametrize("frames", [np.array([[1.5]]), np.array([[-0.1]]), np.array([[16]])])
def test_intensities_out_of_range_are_refused(frames):
    refused("SNN501", encode, frames, "rate", 4)
    refused("SNN501", encode, frames, "latency", 4)


@pytest.mark.parametrize(("how", "ticks", "seed"), [("morse", 4, 0), ("rate", 0, 0), ("direct", 0, 0), ("rate", 4, -1)])
def test_encoding_options_out_of_range_are_refused(how, ticks, seed):
    refused("SNN404", encode, np.zeros((1, 1)), how, ticks, seed=seed)


def test_frames_in_a_file_are_scaled_shaped_and_encoded(tmp_path):
    frames = np.arange(16, dtype=np.float64).reshape(1, 4, 4) * 16 / 15
    np.save(tmp_path / "a.npy", frames)
    x = read_input(tmp_path / "a.npy", (1, 4, 4), encode="direct", ticks=3, scale=16)
    assert x.shape == (1, 3, 1, 4, 4)
    assert np.allclose(x[0, 2, 0], frames[0] / 16)
    refused("SNN404", read_input, tmp_path / "a.npy", (1, 4, 4), encode="direct")
    refused("SNN404", read_input, tmp_path / "a.npy", (1, 4, 4), encode="direct", ticks=3, scale=0)
    assert "encoding" in refused("SNN501", read_input, tmp_path / "a.npy", (1, 4, 4))


def test_events_are_not_encoded_again(tmp_path):
    (tmp_path / "a.bs2").write_bytes(b"")
    refused("SNN404", read_input, tmp_path / "a.bs2", (2, 1, 1), encode="rate", ticks=3)


# --- real recordings


@needs_nmnist
def test_nmnist_recordings_become_counts_per_millisecond():
    x = read_input(NMNIST / "test.csv", (2, 34, 34), ticks=310)
    labels = read_labels(NMNIST / "test.csv")
    assert x.shape == (40, 310, 2, 34, 34)
    assert labels.shape == (40,)
    assert labels[:4].tolist() == [7, 2, 1, 0]
    first = read_event_file(NMNIST / "60001.bs2")
    assert x[0].sum() == (first.t < 310_000).sum()
    assert x[0, :, 1].sum() == (first.address[first.t < 310_000, 2]).sum()


@needs_nmnist
def test_a_folder_of_nmnist_recordings_has_its_labels_by_name():
    x = read_input(NMNIST / "train.csv", (2, 34, 34), ticks=20)
    assert len(x) == len(read_labels(NMNIST / "train.csv")) == 100
