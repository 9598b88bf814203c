"""`Judged`: verdicts on many candidates as arrays."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from snncompile.ir.types import Array


@dataclass(frozen=True)
class Judged:
    """Verdicts on many candidates for one target.

    Attributes:
        rules: the names of `Verdict.constraints`.
        reasons: which rules each candidate breaks, `[candidate]`, one bit for each rule; 0 for a candidate that can
            run. The bit behind those of the rules is set for one that is no network: its graph has a CompileError.
        constraints: the numbers of `Verdict.constraints`, `[candidate, rule]`, NaN for those that are no networks; None
            where they were not asked for.
        costs: the figures of `Cost`, `[candidate]` each.
    """

    rules: tuple[str, ...]
    reasons: Array
    constraints: Array | None = None
    costs: Mapping[str, Array] = field(default_factory=dict)

    @classmethod
    def of(cls, rules: Sequence[str], valid: Array, broken: Array, constraints: Array | None = None,
           costs: Mapping[str, Array] | None = None) -> Judged:
        """The verdicts on candidates.

        Args:
            valid: which of them are networks, `[candidate]`.
            broken: which rules each breaks, `[candidate, rule]`.
        """
        kind = reason_type(len(rules))
        bits = np.left_shift(1, np.arange(len(rules) + 1, dtype=np.uint64), dtype=np.uint64).astype(kind)
        reasons = np.where(valid, (broken * bits[:-1]).sum(1, dtype=kind), bits[-1])
        if constraints is not None:
            constraints = np.where(valid[:, None], constraints, math.nan)
        return cls(tuple(rules), reasons.astype(kind), constraints, costs or {})

    @classmethod
    def joined(cls, parts: Sequence[Judged]) -> Judged:
        """The candidates of several, one behind another."""
        if len(parts) == 1:
            return parts[0]
        constraints = [p.constraints for p in parts if p.constraints is not None]
        return cls(parts[0].rules, np.concatenate([p.reasons for p in parts]),
                   np.concatenate(constraints) if constraints else None,
                   {name: np.concatenate([p.costs[name] for p in parts]) for name in parts[0].costs})

    @property
    def ok(self) -> Array:
        """Which candidates can run, `[candidate]`."""
        return np.asarray(self.reasons == 0)

    @property
    def valid(self) -> Array:
        """Which candidates are networks, `[candidate]`."""
        return np.asarray(self.reasons < 1 << len(self.rules))

    @property
    def broken(self) -> Array:
        """Which rules each candidate breaks, `[candidate, rule]`."""
        places = np.arange(len(self.rules)).astype(self.reasons.dtype)
        return np.asarray((self.reasons[:, None] >> places) & self.reasons.dtype.type(1) > 0)

    def constraints_of(self, row: int) -> dict[str, float] | None:
        """The constraints of one candidate by rule; None where it is no network, or they were not asked for."""
        if self.constraints is None or not self.valid[row]:
            return None
        return dict(zip(self.rules, self.constraints[row].tolist(), strict=True))

    def reasons_of(self, row: int) -> set[str] | None:
        """The rules that one candidate breaks; None where it is no network."""
        if not self.valid[row]:
            return None
        return {name for place, name in enumerate(self.rules) if int(self.reasons[row]) >> place & 1}

    def without_constraints(self) -> Judged:
        """The same verdicts by their reasons alone."""
        return dataclasses.replace(self, constraints=None)

    def take(self, rows: Array) -> Judged:
        """The verdicts on these candidates."""
        return Judged(self.rules, self.reasons[rows], None if self.constraints is None else self.constraints[rows],
                      {name: values[rows] for name, values in self.costs.items()})


def reason_type(rules: int) -> type[np.unsignedinteger]:
    """The narrowest integers with a bit for each of so many rules, and one more."""
    return next(kind for kind in (np.uint8, np.uint16, np.uint32, np.uint64) if rules < np.iinfo(kind).bits)
