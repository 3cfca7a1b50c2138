"""What a release of TensorRT offers and which chips it serves: facts, each with its source."""

from __future__ import annotations

from runtimes.bundles.build_plan import Dialect
from runtimes.errors import UnsupportedError
from runtimes.profile import Precision

Version = tuple[int, ...]

RTX_VERSION, RTX_CUDA = "1.7.1.116", "13"
"""The tensorrt-rtx that the extra `tensorrt-rtx` pins."""

RTX_TARGETS = ("7.5", "8.0", "8.6", "8.9", "12.0", "12.1")
"""The enumeration ComputeCapability of tensorrt-rtx 1.7.1's bindings."""

# The first compute capability with tensor arithmetic in a precision: CUDA C++ Programming Guide, arithmetic
# instructions and tensor cores; int8 from 7.2 on, as the profiles' rule is.
_ARITHMETIC: dict[Precision, Version] = {
    "fp32": (0, 0),
    "tf32": (8, 0),
    "fp16": (5, 3),
    "bf16": (8, 0),
    "int8": (7, 2),
    "fp8": (8, 9),
    "fp4": (10, 0),
}

# The first TensorRT that computes in it. bf16, fp8: columns of the 10.1 support matrix that 8.x does not have.
# fp4: DataType.FP4 is in the bindings of 10.13 and not in those of 10.7.
_SUPPORTED: dict[Precision, Version] = {"bf16": (10, 0), "fp8": (10, 0), "fp4": (10, 13)}

# From which release on only chips of this compute capability or later are served. 8.5.2's release notes announce
# the end of SM 5.x for 9.0; 10.1's support matrix says SM 7.0 or higher; 10.5's release notes remove 7.0.
_OLDEST_CHIP: dict[Version, Version] = {(8, 0): (5, 0), (9, 0): (6, 0), (10, 0): (7, 0), (10, 5): (7, 5)}

# The first release that knows a chip: 8.7 in the 8.4 support matrix, 8.9 and 9.0 in that of 8.5, Blackwell with
# 10.8's release notes, and Thor, as 11.0, with JetPack 7.0's 10.13.
_NEWEST_CHIP: dict[Version, Version] = {
    (8, 7): (8, 4),
    (8, 9): (8, 5),
    (9, 0): (8, 5),
    (10, 0): (10, 8),
    (11, 0): (10, 13),
    (12, 0): (10, 8),
    (12, 1): (10, 8),
}

# TensorRT 8.6's release notes; SAME_COMPUTE_CAPABILITY is in the bindings of 10.13 and not in those of 10.7.
SINCE: dict[str, Version] = {
    "optimization_level": (8, 6),
    "version_compatible": (8, 6),
    "ampere_plus": (8, 6),
    "same_compute_capability": (10, 13),
}

_DLA_LAST_10, _DLA_AGAIN = (10, 7), (11, 4, 1)
# NVIDIA, "Working with DLA", TensorRT 11.4.1: 10.7 was the last of 10.x; back on Orin with 11.4.1 (JetPack 7.2.2).


def parse(version: str) -> Version:
    """A version's numbers."""
    return tuple(int(part) for part in version.split("."))


def dialect(version: str) -> Dialect:
    """Which API a release of full TensorRT speaks.

    Raises:
        UnsupportedError: none that we know.
    """
    major = parse(version)[0]
    if major == 8:
        return "8"
    if major == 10:
        return "10"
    if major == 11:
        return "11"
    raise UnsupportedError(f"TensorRT {version} is none that edgewright plans for; it knows 8, 10 and 11.")


def check_chip(version: str, compute_capability: str) -> None:
    """Refuse a release that does not serve a chip.

    Raises:
        UnsupportedError: it has dropped the chip, or does not know it yet.
    """
    release, chip = parse(version), parse(compute_capability)
    oldest = max((since, first) for since, first in _OLDEST_CHIP.items() if since <= release)
    if chip < oldest[1]:
        raise UnsupportedError(
            f"TensorRT {version} has dropped compute capability {compute_capability}: since {_dotted(oldest[0])} "
            f"it serves {_dotted(oldest[1])} and later."
        )
    first = _NEWEST_CHIP.get(chip, (0,))
    if release < first:
        raise UnsupportedError(
            f"TensorRT {version} does not know compute capability {compute_capability}; {_dotted(first)} is the "
            "first that does."
        )


def check_arithmetic(precision: Precision, version: str | None, compute_capability: str) -> None:
    """Refuse a precision that the chip has no arithmetic for, or that the release cannot use.

    Args:
        precision: what the graph computes in.
        version: of full TensorRT; None where only the chip is asked about.
        compute_capability: the chip's.

    Raises:
        UnsupportedError: which of the two lacks it, and since when it is there.
    """
    first = _ARITHMETIC[precision]
    if parse(compute_capability) < first:
        raise UnsupportedError(
            f"Compute capability {compute_capability} has no {precision} arithmetic; {_dotted(first)} is the first "
            "with it."
        )
    if version is not None and parse(version) < _SUPPORTED.get(precision, (0,)):
        raise UnsupportedError(
            f"TensorRT {version} does not compute in {precision}; {_dotted(_SUPPORTED[precision])} is the first that "
            "does."
        )


def has_tf32(compute_capability: str) -> bool:
    """Whether float32 products may be rounded to tf32 on the way in, which TensorRT allows by default."""
    return parse(compute_capability) >= _ARITHMETIC["tf32"]


def check_dla(version: str) -> None:
    """Refuse a release without DLA.

    Raises:
        UnsupportedError: it has none; says which have.
    """
    release = parse(version)
    if _DLA_LAST_10 < release[:2] < (11, 0) or (11, 0) <= release < _DLA_AGAIN:
        raise UnsupportedError(
            f"TensorRT {version} has no DLA; the releases up to {_dotted(_DLA_LAST_10)} have it, and those from "
            f"{_dotted(_DLA_AGAIN)} on. Build for the GPU (leave dla_core out of [tensorrt])."
        )


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))
