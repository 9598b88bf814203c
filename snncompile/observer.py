"""What a caller sees while a network is compiled: passes as they end, progress, and the time that each part took."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from snncompile.ir.graph import Graph

if TYPE_CHECKING:
    Progress = Callable[[str, int, int], None]


@dataclass
class Observer:
    """What the caller wants to see on the way.

    Attributes:
        stage: called with the name of a pass or step, the graph it gave (or None), and the seconds it took.
        progress: called with what is under way, how much is done, and how much there is.
    """

    stage: Callable[[str, Graph | None, float], None] | None = None
    progress: Progress | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    def note(self, name: str, graph: Graph | None, seconds: float) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds
        if self.stage:
            self.stage(name, graph, seconds)

    def timed(self, name: str, work: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = work()
        self.note(name, result if isinstance(result, Graph) else None, time.perf_counter() - start)
        return result

    def counter(self, name: str) -> Callable[[int, int], None] | None:
        report = self.progress
        return None if report is None else lambda done, whole: report(name, done, whole)
