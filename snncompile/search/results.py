"""Results of a screening as files: one Parquet or CSV file for each target and shard, whole or not there at all.

A file holds a row for each candidate: its number, the values of its choices, whether it can run, the rules that it
breaks, its constraints and its costs. What was screened stands in the file too, in the metadata of Parquet or in the
first line of CSV behind a `#`, as JSON.
"""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from snncompile.diagnostics import expect_known, fail, shorten
from snncompile.ir.types import Array
from snncompile.search.judged import Judged
from snncompile.search.space import Space, divided, numbers_of_candidates

FORMATS: tuple[str, ...] = ("parquet", "csv")
KEY = b"snncompile"
"""The name of the metadata in a Parquet file."""
ROWS = 1 << 16
"""Candidates of a row group, and those of a CSV file that are made text together."""
MAX_HEADER = 1 << 20
"""The longest description in a file, in characters."""


def columns_of(space: Space, indices: Array | range, judged: Judged) -> dict[str, Array]:
    """The columns of a file, `[candidate]` each, by name."""
    numbers = numbers_of_candidates(indices)
    small = space.size <= 1 << 63
    columns: dict[str, Array] = {"index": numbers if small else np.array(list(map(str, numbers.tolist())))}
    columns |= picked(space, numbers)
    columns |= {"ok": judged.ok, "valid": judged.valid, "broken": words(judged)}
    if judged.constraints is not None:
        columns |= {f"rule {name}": judged.constraints[:, i] for i, name in enumerate(judged.rules)}
    return columns | {f"cost {name}": np.asarray(values) for name, values in judged.costs.items()}


def picked(space: Space, numbers: Array) -> dict[str, Array]:
    """The values of the choices of candidates, as numbers or text, by the name of the choice."""
    columns: dict[str, Array] = {}
    rest = numbers
    for name, values in reversed(list(space.choices.items())):
        rest, place = divided(rest, len(values))
        plain = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)
        columns[f"choice {name}"] = np.array(values if plain else list(map(str, values)))[place]
    return dict(reversed(list(columns.items())))


def words(judged: Judged) -> Array:
    """The names of the rules that candidates break, joined by spaces, `[candidate]`."""
    kinds, which = np.unique(judged.reasons, return_inverse=True)
    texts = []
    for reasons in kinds.tolist():
        if reasons >> len(judged.rules):
            texts.append("network")
        else:
            texts.append(" ".join(name for place, name in enumerate(judged.rules) if reasons >> place & 1))
    return np.array(texts, object if not texts else None)[which]


def expect_format(file_format: str) -> None:
    """Raises SNN404 for a format that does not exist, or that needs a package which is not installed."""
    expect_known(file_format, FORMATS, "screen, option file_format")
    if file_format == "parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError:
            fail("SNN404", "screen, file_format", "parquet, but pyarrow is not installed", "csv",
                 "install snncompile[search], or ask for CSV")


class _Part(Protocol):
    """A file that is being written."""

    def add(self, columns: Mapping[str, Array]) -> None: ...

    def close(self) -> None: ...


class Writing:
    """A file to which columns are added part after part, so that not all of them are in memory at once.

    It is used in a `with` statement. It is written under another name, and renamed when the statement ends without an
    error. What an interrupted run left is overwritten.

    Raises:
        CompileError: SNN602 for a file that cannot be written, when rows are added or the statement ends.
    """

    def __init__(self, path: Path, about: Mapping[str, Any], file_format: str):
        self.path, self.part = path, path.with_name(f".{path.name}.part")
        self.about, self.make = json.dumps(about, sort_keys=True), _Parquet if file_format == "parquet" else _Csv
        self.file: _Part | None = None

    def add(self, columns: Mapping[str, Array]) -> None:
        """Add rows. The first ones say which columns there are."""
        with self._told():
            if self.file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self.file = self.make(self.part, self.about, columns)
            self.file.add(columns)

    def __enter__(self) -> Writing:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if self.file is None:
            return
        with self._told():
            self.file.close()
            if error is None:
                os.replace(self.part, self.path)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Tell of what fails inside as a file that cannot be written."""
        try:
            yield
        except (OSError, ValueError) as e:
            fail("SNN602", f"file {shorten(self.path)}", str(e)[:200])


class _Parquet:
    def __init__(self, path: Path, about: str, columns: Mapping[str, Array]):
        import pyarrow.parquet as pq

        schema = _table(columns).schema.with_metadata({KEY: about.encode()})
        self.writer = pq.ParquetWriter(path, schema, compression="zstd")

    def add(self, columns: Mapping[str, Array]) -> None:
        self.writer.write_table(_table(columns).cast(self.writer.schema), row_group_size=ROWS)

    def close(self) -> None:
        self.writer.close()


def _table(columns: Mapping[str, Array]) -> Any:
    import pyarrow as pa

    return pa.table({name: pa.array(values) for name, values in columns.items()})


class _Csv:
    def __init__(self, path: Path, about: str, columns: Mapping[str, Array]):
        self.file = open(path, "w", encoding="utf-8", newline="")  # noqa: SIM115 - closed by `Writing`
        self.file.write(f"# {about}\n")
        self.writer = csv.writer(self.file, lineterminator="\n")
        self.writer.writerow(columns)

    def add(self, columns: Mapping[str, Array]) -> None:
        for rows in _rows(columns):
            self.writer.writerows(rows)

    def close(self) -> None:
        self.file.close()


def _rows(columns: Mapping[str, Array]) -> Iterator[Iterable[tuple[Any, ...]]]:
    count = len(next(iter(columns.values())))
    for first in range(0, count, ROWS):
        yield zip(*(values[first:first + ROWS].tolist() for values in columns.values()), strict=True)


def about_file(path: Path, file_format: str) -> Any:
    """The description in a file; None where there is no such file, or it is none of ours."""
    try:
        if file_format == "parquet":
            import pyarrow.parquet as pq

            text = (pq.read_schema(path).metadata or {}).get(KEY, b"").decode()
        else:
            with open(path, encoding="utf-8") as file:
                text = file.readline(MAX_HEADER).removeprefix("# ")
        return json.loads(text)
    except (OSError, ValueError, RecursionError):
        return None


class Count(NamedTuple):
    """How many candidates there are in some files, how many of them can run, and how many break each rule."""

    candidates: int
    feasible: int
    broken: Counter[str]


def counted(paths: Iterable[Path | str], file_format: str) -> dict[str, Count]:
    """What files hold, in numbers, by the target that they say."""
    counts: dict[str, Count] = {}
    for path in map(Path, paths):
        target = str(about_file(path, file_format)["target"])
        before = counts.get(target, Count(0, 0, Counter()))
        kinds = Counter(_broken_column(path, file_format))
        broken = before.broken.copy()
        for words_, number in kinds.items():
            broken.update(dict.fromkeys(words_.split(), number))
        counts[target] = Count(before.candidates + sum(kinds.values()), before.feasible + kinds[""], broken)
    return counts


def _broken_column(path: Path, file_format: str) -> Iterator[str]:
    if file_format == "parquet":
        import pyarrow.parquet as pq

        with pq.ParquetFile(path) as whole:
            for rows in whole.iter_batches(columns=["broken"]):
                yield from rows["broken"].to_pylist()
        return
    with open(path, encoding="utf-8", newline="") as file:
        file.readline()
        yield from (row["broken"] for row in csv.DictReader(file))
