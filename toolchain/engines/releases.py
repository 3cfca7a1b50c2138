"""Facts about TensorRT releases, each with its source: their features and the chips that they support."""

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
# instructions and tensor cores; int8 is from 7.2 on, as in the hardware profiles.
_ARITHMETIC: dict[Precision, Version] = {
    "fp32": (0, 0),
    "tf32": (8, 0),
    "fp16": (5, 3),
    "bf16": (8, 0),
    "int8": (7, 2),
    "fp8": (8, 9),
    "fp4": (10, 0),
}

# The first TensorRT with a precision. bf16 and fp8 are columns of the 10.1 support matrix that 8.x does not have.
# DataType.FP4 is in the bindings of 10.13 and not in those of 10.7.
_SUPPORTED: dict[Precision, Version] = {"bf16": (10, 0), "fp8": (10, 0), "fp4": (10, 13)}

# By release, the oldest compute capability that it and later releases support. 8.5.2's release notes announce that 9.0
# drops SM 5.x; 10.1's support matrix says SM 7.0 or higher; 10.5's release notes remove 7.0.
_OLDEST_CHIP: dict[Version, Version] = {(8, 0): (5, 0), (9, 0): (6, 0), (10, 0): (7, 0), (10, 5): (7, 5)}

# By chip, the first release that supports it: 8.7 is in the 8.4 support matrix, 8.9 and 9.0 are in that of 8.5,
# Blackwell is in 10.8's release notes, and Thor (11.0) is in JetPack 7.0's 10.13.
_NEWEST_CHIP: dict[Version, Version] = {
    (8, 7): (8, 4),
    (8, 9): (8, 5),
    (9, 0): (8, 5),
    (10, 0): (10, 8),
    (11, 0): (10, 13),
    (12, 0): (10, 8),
    (12, 1): (10, 8),
}

# Sources: TensorRT 8.6's release notes; SAME_COMPUTE_CAPABILITY is in the bindings of 10.13 and not in those of 10.7.
SINCE: dict[str, Version] = {
    "optimization_level": (8, 6),
    "version_compatible": (8, 6),
    "ampere_plus": (8, 6),
    "same_compute_capability": (10, 13),
}

# NVIDIA, "Working with DLA", TensorRT 11.4.1: 10.7 was the last release with DLA, until 11.4.1 (JetPack 7.2.2) on Orin.
_DLA_LAST_10, _DLA_AGAIN = (10, 7), (11, 4, 1)


def parse(version: str) -> Version:
    """Split a version into its numbers."""
    return tuple(int(part) for part in version.split("."))


def dialect(version: str) -> Dialect:
    """Find the API dialect of a release of full TensorRT.

    Raises:
        UnsupportedError: the release is not among those that edgewright supports.
    """
    major = parse(version)[0]
    if major == 8:
        return "8"
    if major == 10:
        return "10"
    if major == 11:
        return "11"
    raise UnsupportedError(f"edgewright does not plan for TensorRT {version}; it supports the releases 8, 10 and 11.")


def check_chip(version: str, compute_capability: str) -> None:
    """Check that a release supports a chip.

    Raises:
        UnsupportedError: the release dropped the chip, or is older than it.
    """
    release, chip = parse(version), parse(compute_capability)
    oldest = max((since, first) for since, first in _OLDEST_CHIP.items() if since <= release)
    if chip < oldest[1]:
        raise UnsupportedError(
            f"TensorRT {version} has dropped compute capability {compute_capability}: since {_dotted(oldest[0])} "
            f"it supports {_dotted(oldest[1])} and later."
        )
    first = _NEWEST_CHIP.get(chip, (0,))
    if release < first:
        raise UnsupportedError(
            f"TensorRT {version} does not support compute capability {compute_capability}; {_dotted(first)} is the "
            "first release that does."
        )


def check_arithmetic(precision: Precision, version: str | None, compute_capability: str) -> None:
    """Check that a chip and a release support a precision.

    Args:
        precision: the precision that the graph computes in.
        version: the release of full TensorRT; None to check only the chip.
        compute_capability: the chip's compute capability.

    Raises:
        UnsupportedError: one of the two lacks the precision; the message names the first that has it.
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
    """Tell whether a chip has tf32, to which TensorRT rounds the operands of float32 products by default."""
    return parse(compute_capability) >= _ARITHMETIC["tf32"]


def check_dla(version: str) -> None:
    """Check that a release supports DLA.

    Raises:
        UnsupportedError: the release has no DLA; the message names those with it.
    """
    release = parse(version)
    if _DLA_LAST_10 < release[:2] < (11, 0) or (11, 0) <= release < _DLA_AGAIN:
        raise UnsupportedError(
            f"TensorRT {version} has no DLA; the releases up to {_dotted(_DLA_LAST_10)} have it, and those from "
            f"{_dotted(_DLA_AGAIN)} on. Build for the GPU (leave dla_core out of [tensorrt])."
        )


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))
