"""Identity of a machine: the facts that latency depends on, by which two machines are told apart."""

from __future__ import annotations

from dataclasses import dataclass

from runtimes import cpu
from runtimes.sampling.system_facts import SystemFacts, read_facts


@dataclass(frozen=True)
class Machine(SystemFacts):
    """A machine that measures, which may be compared with another one."""

    @property
    def processors(self) -> int:
        """Number of threads that can run at once, by affinity and quota; at least 1."""
        return cpu.threads_at_once(self.cores, self.cpu_quota)

    def differences(self, other: Machine) -> tuple[str, ...]:
        """List the differences that make latency on two machines incomparable, as phrases; empty if there are none."""
        phrases = []
        for name in ("arch", "cpu", "isa", "cores", "cpu_quota", "governor", "hypervisor", "board", "gpus"):
            ours, theirs = getattr(self, name), getattr(other, name)
            if ours != theirs:
                phrases.append(f"{name}: {_show(theirs, ours)} there, {_show(ours, theirs)} here")
        if abs(self.memory_bytes - other.memory_bytes) > 0.1 * self.memory_bytes:
            phrases.append(
                f"memory: {other.memory_bytes / 2**30:.0f} GiB there, {self.memory_bytes / 2**30:.0f} GiB here"
            )
        return tuple(phrases)


def this_machine() -> Machine:
    """Describe the machine that runs this process."""
    return Machine(**vars(read_facts()))


def _show(value: object, other: object) -> str:
    if isinstance(value, tuple) and isinstance(other, tuple) and set(value) != set(other):
        return ", ".join(sorted(set(value) - set(other))) or "without those"
    return ", ".join(value) if isinstance(value, tuple) else str(value or "none")
