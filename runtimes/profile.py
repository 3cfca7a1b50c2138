"""Hardware profiles: a profile describes one device, the precisions it computes in, and how to quantize for it."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Precision = Literal["fp32", "tf32", "fp16", "bf16", "int8", "fp8", "fp4"]


@dataclass(frozen=True)
class Cpu:
    """The processor.

    Attributes:
        cores: number of cores; None for a GPU card, which works in any host.
        clock_ghz: highest clock in GHz; None likewise.
        isa: the flags that a device must have, spelled as in Linux's /proc/cpuinfo.
        peak_gop_per_s: the most products that the profile's threads compute together, in 10^9 operations per second by
            precision; a multiply-accumulate is two. Forecasts of latency need it.
    """

    model: str
    cores: int | None = None
    clock_ghz: float | None = None
    isa: tuple[str, ...] = ()
    peak_gop_per_s: Mapping[Precision, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_figures(self)
        for precision, rate in self.peak_gop_per_s.items():
            if not 0 < rate < math.inf:
                raise ValueError(f"has peak_gop_per_s.{precision} = {rate}; expected a number above zero")


@dataclass(frozen=True)
class Gpu:
    """The accelerator. Peak figures count DLA cores too, and are dense (no structured sparsity) unless named sparse."""

    model: str
    compute_capability: str
    dla_cores: int = 0
    fp16_tflops: float | None = None
    int8_tops: float | None = None
    sparse_int8_tops: float | None = None
    sparse_fp4_tflops: float | None = None

    def __post_init__(self) -> None:
        major, dot, minor = self.compute_capability.partition(".")
        if not (dot and major.isdigit() and minor.isdigit()):
            raise ValueError(f"has compute_capability {self.compute_capability!r}; expected a form like '8.7'")
        _check_figures(self)


@dataclass(frozen=True)
class Memory:
    """The memory that the model's runtime works in: the GPU's if the GPU has its own."""

    capacity_gb: float
    bandwidth_gb_per_s: float

    def __post_init__(self) -> None:
        _check_figures(self)


@dataclass(frozen=True)
class Power:
    """The range of power budgets the device can be set to, in watts."""

    min_w: float
    max_w: float

    def __post_init__(self) -> None:
        _check_figures(self)


@dataclass(frozen=True)
class QuantizationScheme:
    """The form of int8 tensors that a runtime takes.

    Attributes:
        activations: dtype of quantized activations.
        symmetric: whether activations have zero point 0; weights always have.
        per_channel: whether weights have one scale per output channel.
        reduce_range: whether weights take only as many steps as a sum of two u8 x s8 products cannot saturate int16
            with, on CPUs without VNNI (onnxruntime#12072).
        quantize_bias: whether biases are int32; TensorRT's parser refuses such biases.
        contrib_ops: whether operators of com.microsoft may be used, which only ONNX Runtime has.
        integer_constants: whether any operator may read an int8 constant, even in a subgraph; TensorRT takes such a
            constant only as the input of a DequantizeLinear.
    """

    activations: Literal["uint8", "int8"] = "uint8"
    symmetric: bool = False
    per_channel: bool = True
    reduce_range: bool = False
    quantize_bias: bool = True
    contrib_ops: bool = False
    integer_constants: bool = True


@dataclass(frozen=True)
class TensorRT:
    """The TensorRT that the device runs, where it comes from, and how engines are built for it.

    Attributes:
        typing: "strong" if the graph's types decide every precision; "weak" if builder flags allow precisions.
            TensorRT 8 has only weak typing, and DLA cores take only weak typing before TensorRT 11.
        workspace_mib: scratch memory in MiB that a layer's kernel may take.
        optimization_level: effort of the builder to find faster kernels, 0 to 5; TensorRT's own default is 3.
        hardware_compatibility: the other chips that an engine is to load on: none, any since Ampere, or those of the
            same compute capability.
        version_compatible: whether later TensorRT releases are to load the engine, at some cost in speed.
        dla_core: the deep learning accelerator to build for, with the GPU as fallback; None for the GPU alone.
    """

    version: str
    cuda: str
    source: Literal["pip", "jetpack"]
    typing: Literal["weak", "strong"]
    workspace_mib: int
    jetpack: str | None = None
    optimization_level: int = 3
    hardware_compatibility: Literal["none", "ampere_plus", "same_compute_capability"] = "none"
    version_compatible: bool = False
    dla_core: int | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\d+(\.\d+)*", self.version):
            raise ValueError(f"has version {self.version!r}; expected numbers and dots, as in '10.3.0'")
        if not 0 <= self.optimization_level <= 5:
            raise ValueError(f"has optimization_level = {self.optimization_level}; expected 0 to 5")
        if self.workspace_mib < 1:
            raise ValueError(f"has workspace_mib = {self.workspace_mib}; expected at least 1")


@dataclass(frozen=True)
class Emulation:
    """The emulated processor that runs the device's instruction set on another machine.

    Attributes:
        qemu_cpu: the value of QEMU's option -cpu.
    """

    qemu_cpu: str


@dataclass(frozen=True)
class HardwareProfile:
    """The description of one device.

    Attributes:
        name: the name that users type; the file's stem.
        arch: the architecture, as `platform.machine()` returns it on Linux.
        threads: number of threads that inference uses.
        runtimes: the runtimes that exist for the device, the best first.
        precisions: the precisions that each runtime computes in on the device.
        quantization: the int8 scheme of each runtime.
        options: each runtime's own options for its sessions on the device, such as spinning = "0" if other work
            needs the cores; the caller of `load` may override them.
        board: a part of the model name in the device tree that only this device has ("Raspberry Pi 5").
        price_per_hour: the price of an hour of the device, in any currency; bundles do not hold it.
        sources: the source of each figure, by the figure's key ("memory.capacity_gb").
    """

    name: str
    title: str
    arch: Literal["x86_64", "aarch64"]
    threads: int
    runtimes: tuple[str, ...]
    precisions: Mapping[str, tuple[Precision, ...]]
    quantization: Mapping[str, QuantizationScheme]
    cpu: Cpu
    memory: Memory
    board: str | None = None
    gpu: Gpu | None = None
    power: Power | None = None
    tensorrt: TensorRT | None = None
    emulation: Emulation | None = None
    options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    price_per_hour: float | None = None

    def __post_init__(self) -> None:
        if self.price_per_hour is not None and not 0 <= self.price_per_hour < math.inf:
            raise ValueError(f"has price_per_hour = {self.price_per_hour}; expected a number of 0 or more")
        if self.threads < 1:
            raise ValueError(f"has threads = {self.threads}; expected at least 1")
        for runtime in self.runtimes:
            if runtime not in self.precisions:
                raise ValueError(f"lists the runtime {runtime!r} without an entry in [precisions]")
        if not self.runtimes:
            raise ValueError("has no runtimes; expected at least one")
        for table in ("precisions", "quantization", "options"):
            for runtime in getattr(self, table):
                if runtime not in self.runtimes:
                    raise ValueError(f"has {table}.{runtime}, and {runtime!r} is not among its runtimes")


def _check_figures(part: object) -> None:
    """Check that physical figures are above zero; only the number of DLA cores may be zero."""
    for item in dataclasses.fields(part):  # type: ignore[arg-type]  # every caller is a dataclass
        value = getattr(part, item.name)
        if isinstance(value, (int, float)) and not (0 < value < math.inf or (item.name, value) == ("dla_cores", 0)):
            raise ValueError(f"has {item.name} = {value}; expected a number above zero")
