"""Energy counters of Intel's and AMD's processor packages: Running Average Power Limit, as Linux's powercap shows it.

Subdomains (core, dram) are not added: a core's energy is a part of its package's, and the memory's energy is a part of
it on some processors only. The domain psys is not added either, since it contains the package.
"""

from __future__ import annotations

import functools
from pathlib import Path

from runtimes.meters._kinds import Counter, number


def open_meters(sys: Path) -> list[Counter]:
    """Open a counter for each processor package.

    Args:
        sys: the folder of sysfs.

    Raises:
        LookupError: there is no counter, or it cannot be read.
    """
    zones = sorted((sys / "class/powercap").glob("intel-rapl:*"))
    try:
        packages = {
            name: zone for zone in zones if (name := (zone / "name").read_text().strip()).startswith("package-")
        }
        if not packages:
            raise LookupError("no processor reports its energy (RAPL)")
        return [_counter(name, zone) for name, zone in packages.items()]
    except PermissionError:
        raise LookupError("only root may read RAPL's counters (since CVE-2020-8694)") from None
    except (OSError, ValueError) as error:
        raise LookupError(f"RAPL's counters cannot be read: {error}") from None


def _counter(name: str, zone: Path) -> Counter:
    """Open a counter that wraps around to zero at `max_energy_range_uj`, every few minutes to an hour."""
    return Counter(name, functools.partial(number, zone / "energy_uj"), number(zone / "max_energy_range_uj"))
