"""Energy that is drawn while a model runs, by the meters of this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from runtimes import plugins
from runtimes.errors import NotInstalledError
from runtimes.meters import ina3221, rapl
from runtimes.meters._kinds import Meter

_EVERY_NS = 100_000_000  # reading a Jetson's rail takes 1 ms, and RAPL's counters wrap around in minutes


class Energy:
    """The energy that was drawn since this object was created.

    A module with a monitor at its input is metered there. Other machines are metered at the processor packages and, for
    a model on a GPU, at the GPU. A model on a GPU without a meter has no figure, since the packages would be the
    smaller part.

    Attributes:
        missing: the reason why nothing is metered; None if there is a meter.
    """

    def __init__(self, *, on_gpu: bool = False, sys: Path = Path("/sys")) -> None:
        self._meters, self.missing = _open(on_gpu, sys)
        self._next_ns = 0

    def tick(self) -> None:
        """Read the meters if 100 ms have passed, since counters wrap around and power changes."""
        if self._meters and time.perf_counter_ns() >= self._next_ns:
            self.drawn_uj()
            self._next_ns = time.perf_counter_ns() + _EVERY_NS

    def drawn_uj(self) -> dict[str, int]:
        """Return the microjoules since the start, by the meter's name; empty once a meter has failed."""
        try:
            return {meter.name: meter.drawn_uj() for meter in self._meters}
        except Exception as error:  # a sensor on a bus, or a driver, may fail at any time
            self._meters, self.missing = (), f"a meter failed: {error}"
            return {}


def _open(on_gpu: bool, sys: Path) -> tuple[Sequence[Meter], str | None]:
    """Open the meters to add up; return them, and the reason if there are none."""
    module, no_module = _try(lambda: ina3221.open_meters(sys))
    if module:
        return module, None
    gpu, no_gpu = _try(lambda: plugins.load("runtimes.meters", "nvml", "meter").open_meters()) if on_gpu else ([], None)
    if no_gpu is not None:
        return [], no_gpu
    packages, no_packages = _try(lambda: rapl.open_meters(sys))
    meters = [*packages, *gpu]
    return meters, None if meters else f"{no_packages}, and {no_module}"


def _try(open_meters: Callable[[], Sequence[Meter]]) -> tuple[Sequence[Meter], str | None]:
    try:
        return open_meters(), None
    except (LookupError, NotInstalledError) as missing:
        return [], str(missing)
