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
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from snncompile.diagnostics import fail, shorten
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
    columns: dict[str, Array] = {"index": numbers if numbers.dtype.kind == "i" else np.array(list(map(str, numbers)))}
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
    if file_format not in FORMATS:
        fail("SNN404", "screen, file_format", shorten(file_format), ", ".join(FORMATS))
    if file_format == "parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError:
            fail("SNN404", "screen, file_format", "parquet, but pyarrow is not installed", "csv",
                 "install snncompile[search], or ask for CSV")


def write(path: Path, columns: Mapping[str, Array], about: Mapping[str, Any], file_format: str) -> None:
    """Write a file under another name, and rename it when it is whole. What an interrupted run left is overwritten.

    Raises:
        CompileError: SNN602 for a file that cannot be written.
    """
    text = json.dumps(about, sort_keys=True)
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        (_write_parquet if file_format == "parquet" else _write_csv)(part, columns, text)
        os.replace(part, path)
    except (OSError, ValueError) as e:
        fail("SNN602", f"file {shorten(path)}", str(e)[:200])


def _write_parquet(path: Path, columns: Mapping[str, Array], about: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    pq.write_table(table.replace_schema_metadata({KEY: about.encode()}), path, row_group_size=ROWS, compression="zstd")


def _write_csv(path: Path, columns: Mapping[str, Array], about: str) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write(f"# {about}\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for rows in _rows(columns):
            writer.writerows(rows)


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


def _broken_column(path: Path, file_format: str) -> Iterable[str]:
    if file_format == "parquet":
        import pyarrow.parquet as pq

        column: list[str] = pq.read_table(path, columns=["broken"])["broken"].to_pylist()
        return column
    with open(path, encoding="utf-8", newline="") as file:
        file.readline()
        return [row["broken"] for row in csv.DictReader(file)]
