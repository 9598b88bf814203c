"""Following a compilation: callbacks for the end of each pass and for progress, and the seconds of each part."""

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
    """Callbacks that `compile` calls while it works, and the time that it took so far.

    Attributes:
        stage: called at the end of each pass and step with its name, the graph that it returned (None for steps that
            return something else), and the seconds that it took.
        progress: called with the name of the step, how many samples are done, and how many there are.
        seconds: the seconds that each pass and step took so far, by name.
    """

    stage: Callable[[str, Graph | None, float], None] | None = None
    progress: Progress | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    def note(self, name: str, graph: Graph | None, seconds: float) -> None:
        """Record the end of a pass or step: a `passes.pipeline.Observer`."""
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds
        if self.stage:
            self.stage(name, graph, seconds)

    def timed(self, name: str, work: Callable[[], Any]) -> Any:
        """Do the work, record its time under a name, and return its result."""
        start = time.perf_counter()
        result = work()
        self.note(name, result if isinstance(result, Graph) else None, time.perf_counter() - start)
        return result

    def counter(self, name: str) -> Callable[[int, int], None] | None:
        """A function that reports the progress of a step as `(done, all)`; None where `progress` is None."""
        report = self.progress
        return None if report is None else lambda done, whole: report(name, done, whole)
