"""`snnc spaces` and `snnc screen`: families of searched networks, and verdicts on all candidates of a space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from snncompile.cli import complete
from snncompile.cli.options import CostOptions, VerdictOptions, arithmetic_value
from snncompile.cli.out import Out
from snncompile.diagnostics import fail, shorten

if TYPE_CHECKING:
    from snncompile.search.families.family import Family
    from snncompile.search.space import Space


def spaces(
    out: Out,
    name: Annotated[str | None, typer.Argument(
        metavar="FAMILY", help="A family, such as stdano; all are listed without it.", show_default=False)] = None,
) -> dict[str, Any]:
    """List the families of searched networks, or show the networks and spaces of one."""
    from snncompile.search.families.table import FAMILIES, family

    if name is None:
        known = {n: family(n) for n in FAMILIES}
        out.table(("family", "title", "#networks", "spaces"), [
            (n, f.title, len(f.presets), ", ".join(f.spaces)) for n, f in known.items()])
        out.say("\nsnnc spaces FAMILY shows how its networks are written")
        return {"families": {n: _head(f) for n, f in known.items()}}
    found = family(name)
    out.say(f"{found.name}: {found.title}\n\nwritten as {found.name}:{found.notation}\n")
    if found.presets:
        out.table(("network", "written as", "source"),
                  [(f"{name}:{n}", p.text, p.source) for n, p in found.presets.items()])
    sizes = {n: make().size for n, make in found.spaces.items()}
    if sizes:
        out.table(("space", "#candidates"), [(f"{name}:{n}", f"{size:,}") for n, size in sizes.items()])
    return {**_head(found), "presets": {n: p._asdict() for n, p in found.presets.items()}, "spaces": sizes}


def _head(family: Family) -> dict[str, Any]:
    return {"name": family.name, "title": family.title, "notation": family.notation}


def screen(
    out: Out,
    space: Annotated[str, typer.Argument(metavar="SPACE", help="FAMILY or FAMILY:SPACE, as `snnc spaces` lists them, "
                                         "or file.py:name, a Space in a Python file.", show_default=False)],
    costs: CostOptions,
    limits: VerdictOptions,
    target: Annotated[list[str], typer.Option(
        "--target", "-t", metavar="TARGET", autocompletion=complete.targets, show_default=False,
        help="A target, or its .toml file; may be given several times.")],
    folder: Annotated[str, typer.Option("--out", "-o", metavar="FOLDER", help="Where the files go.")] = "results",
    shard: Annotated[str | None, typer.Option("--shard", metavar="I/N", help="Only part I of N, counted from 0.",
                                              show_default=False)] = None,
    sample: Annotated[int | None, typer.Option("--sample", metavar="N", help="So many candidates at random, not all.",
                                               show_default=False)] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Of the sample.")] = 0,
    jobs: Annotated[int, typer.Option("--jobs", "-j", metavar="N", help="Processes at a time.")] = 1,
    file_format: Annotated[str, typer.Option("--format", metavar="parquet|csv", help="Of the files; parquet needs "
                                             "pyarrow.")] = "csv",
    weight_bits: Annotated[str | None, typer.Option("--weight-bits", help="Width of weights that candidates do not "
                                                    "choose.", metavar="1..16|ternary", show_default=False)] = None,
) -> dict[str, Any]:
    """Check all candidates of a space, and write what is found into files.

    A shard whose files are there already is not repeated.
    """
    from snncompile.search.families.table import space_of
    from snncompile.search.guarded import SpaceError
    from snncompile.search.shards import screen_files

    found: Space = space_of(space)
    place, count = _shard(shard) if shard else (None, max(jobs, 1))
    bits = None if weight_bits is None else arithmetic_value("weight_bits", weight_bits)
    try:
        with out.counting() as told:
            paths = screen_files(found, target, folder, shards=count, only=None if place is None else [place],
                                 jobs=jobs, file_format=file_format, sample=sample, seed=seed, weight_bits=bits,
                                 progress=lambda done, whole: told("screen", done, whole),
                                 **costs.given(), **limits.given())
    except SpaceError as e:
        raise e.error from None
    return _summary(out, found, [str(path) for path in paths], file_format)


def _shard(text: str) -> tuple[int, int]:
    place, _, count = text.partition("/")
    if not (place.isascii() and count.isascii() and place.isdigit() and count.isdigit() and len(text) < 20
            and int(place) < int(count)):
        fail("SNN701", "option --shard", shorten(text), "I/N with 0 <= I < N, such as 0/4")
    return int(place), int(count)


def _summary(out: Out, space: Space, paths: list[str], file_format: str) -> dict[str, Any]:
    """How many candidates can run on each target, and how often each rule is broken, over the files."""
    from snncompile.search.results import counted

    counts = counted(paths, file_format)
    for target, count in counts.items():
        out.say(f"{target}: {count.feasible:,} of {count.candidates:,} candidates of {space.name} can run")
        most = sorted(count.broken.items(), key=lambda item: -item[1])
        out.table(("rule", "#broken by"), [(name, f"{number:,}") for name, number in most])
    for path in paths:
        out.say(path)
    return {"space": space.name, "files": paths,
            "targets": {t: {"candidates": c.candidates, "feasible": c.feasible, "broken": dict(c.broken)}
                        for t, c in counts.items()}}
