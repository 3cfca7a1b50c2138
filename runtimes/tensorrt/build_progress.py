"""Progress of TensorRT's builder, and the monitor that stops it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

OnProgress = Callable[[float, str], None]
"""A function that is called with the finished fraction of the build, 0 to 1, and the builder's name of its phase."""


class Phases:
    """The builder's phases, by TensorRT's word: each has a number of steps, and lies inside a step of its parent."""

    def __init__(self) -> None:
        self._phases: dict[str, tuple[str | None, int, int]] = {}  # parent, steps, steps done
        self._most = 0.0

    def start(self, phase: str, parent: str | None, steps: int) -> None:
        """Note the beginning of a phase."""
        self._phases[phase] = (parent, max(steps, 1), 0)

    def step(self, phase: str, step: int) -> None:
        """Note a finished step of a phase, counted from 0."""
        parent, steps, _ = self._phases.get(phase, (None, step + 1, 0))
        self._phases[phase] = (parent, steps, min(step + 1, steps))

    def finish(self, phase: str) -> None:
        """Note the end of a phase, which may come before its last step."""
        self._phases.pop(phase, None)

    @property
    def done(self) -> float:
        """Finished fraction of the build, 0 to 1. It never falls, although phases may end before their last step."""
        roots = [name for name, (parent, _, _) in self._phases.items() if parent not in self._phases]
        self._most = max(self._most, self._part(roots[0]) if roots else 0.0)
        return self._most

    def _part(self, phase: str) -> float:
        _, steps, finished = self._phases[phase]
        inside = max((self._part(name) for name, (parent, _, _) in self._phases.items() if parent == phase), default=0)
        return min((finished + inside) / steps, 1.0)


def monitor(trt: Any, on_progress: OnProgress | None, cancelled: threading.Event) -> Any:
    """Make an IProgressMonitor that reports progress and stops the build once `cancelled` is set."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]  # the module is an argument
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._phases, self._lock = Phases(), threading.Lock()

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            with self._lock:
                self._phases.start(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            with self._lock:
                self._phases.step(phase_name, step)
                if on_progress is not None:
                    on_progress(self._phases.done, phase_name)
            return not cancelled.is_set()

        def phase_finish(self, phase_name: str) -> None:
            with self._lock:
                self._phases.finish(phase_name)

    return Monitor()
