"""Random PyTorch networks as people write them: `python -m tests.long_styles --count 2000 --seed 1`.

The styles are listed by `--list`: a framework and a way to take the ticks. Every network is loaded, run by the
reference interpreter in float64, and compared with its own run by the framework. The table says for each style how many
networks are exact, differ, or were refused and with which code; a second one counts the forms that were drawn. Exits
with 1 if any network differs or raises anything but a diagnostic.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
import warnings
from collections import Counter, defaultdict
from importlib.util import find_spec

import torch

from snncompile.diagnostics import CompileError
from tests.frontends.torch.style_draws import random_case
from tests.frontends.torch.style_networks import STYLES, different


def main() -> int:
    options = _options()
    if options.list:
        print(*STYLES, sep="\n")
        return 0
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    start = time.perf_counter()
    styles = [n for n, s in STYLES.items() if find_spec(s.framework) is not None and options.style in n]
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    forms: dict[str, Counter[str]] = defaultdict(Counter)
    causes: Counter[str] = Counter()
    for seed in range(options.seed, options.seed + options.count):
        style = styles[seed % len(styles)]
        result, cause, drawn = _outcome(style, seed)
        rows[style][result] += 1
        causes[cause] += bool(cause)
        for form in drawn:
            forms[form][result] += 1
        if options.verbose and result != "exact":
            print(f"seed {seed}, {style}: {result} {cause}, {', '.join(drawn)}", flush=True)
    _print_table("style", rows)
    _print_table("form", forms)
    print(*(f"{n:5}  {cause}" for cause, n in causes.most_common()), sep="\n")
    total = sum(rows.values(), Counter())
    print(f"{options.count} networks in {len(styles)} styles: {dict(total)}, {time.perf_counter() - start:.0f} s")
    return int(any(k in ("differs", "raises") for k in total))


def _outcome(style: str, seed: int) -> tuple[str, str, tuple[str, ...]]:
    """The outcome for one network, why it is not exact, and the forms that were drawn."""
    case = random_case(style, seed)
    try:
        wrong = different(case, case.graph())
    except CompileError as e:
        first = e.diagnostics[0]
        return f"refused {first.code}", f"refused {first.code} {first.place}: {first.found}", case.forms
    except Exception:
        return "raises", traceback.format_exc().strip().splitlines()[-1], case.forms
    return ("differs", f"differs: {wrong}", case.forms) if wrong else ("exact", "", case.forms)


def _print_table(title: str, rows: dict[str, Counter[str]]) -> None:
    columns = sorted({k for row in rows.values() for k in row})
    print(f"{title:45}", *(f"{c:>16}" for c in columns))
    for name, row in sorted(rows.items()):
        print(f"{name:45}", *(f"{row[c]:16}" for c in columns))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=400, help="how many networks")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--style", default="", help="only styles whose name holds this text")
    parser.add_argument("--list", action="store_true", help="list the styles")
    parser.add_argument("--verbose", action="store_true", help="print every network that is not exact")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
