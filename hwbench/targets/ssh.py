"""A board as a target: `python -m runtimes` runs there, and its raw samples and outputs come back."""

from __future__ import annotations

import contextlib
import functools
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hwbench.boards.address import parse
from hwbench.boards.board import Board, Finished, open_board
from hwbench.machine import device_profiles
from hwbench.machine.gpu_timing import GpuTimes
from hwbench.machine.identity import Machine
from hwbench.targets.local import PROFILE_LIMIT_S, limit_s
from runtimes.bundles.bundle import Bundle
from runtimes.codec import decode, encode
from runtimes.errors import UnsupportedError
from runtimes.files import replacing
from runtimes.profile import HardwareProfile
from runtimes.profilers import Profile
from runtimes.sampling.closed_loop import Block, SamplingPlan

_COMPILE_LIMIT_S = 4 * 3600.0  # large models take hours on a small Jetson


@dataclass(frozen=True)
class SshTarget:
    """A target that runs bundles on a board; see `open_ssh`.

    All methods raise what `Board.run` raises.

    Attributes:
        run_limit_s: the longest that `run` may take before its process is killed.
    """

    board: Board
    run_limit_s: float = 3600.0

    @property
    def name(self) -> str:
        """The board's address."""
        return str(self.board.address)

    @functools.cached_property
    def machine(self) -> Machine:
        """The board, as it describes itself."""
        return self.board.introduce().machine

    def check_is(self, profile: HardwareProfile) -> None:
        """Check that the board is a profile's device, or one like it.

        Raises:
            UnsupportedError: it is not.
        """
        if not device_profiles.fits(profile, self.machine):
            machine = self.machine
            raise UnsupportedError(
                f"{self.name} ({machine.board or machine.cpu}, {machine.arch}) is no {profile.title}, which the "
                f"profile {profile.name} is for; edgewright profiles --detect --target {self.name} finds one that fits."
            )

    def run(self, bundle: Path, inputs: Path, outputs: Path) -> None:
        """See `Runner`.

        Raises:
            UnsupportedError: the bundle is for another architecture.
        """
        self._run("run", bundle, {"inputs": inputs}, "outputs", outputs, self.run_limit_s)

    def sample(self, bundle: Path, inputs: Path, plan: SamplingPlan) -> Block:
        """See `Target`.

        Raises:
            UnsupportedError: the bundle is for another architecture.
        """
        with tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
            out, text = Path(folder, "block.json"), json.dumps(encode(plan))
            self._run("sample", bundle, {"inputs": inputs}, "out", out, limit_s(plan), "--plan", text)
            return decode(Block, json.loads(out.read_text()), "block")

    def compile(self, bundle: Path, engine: Path, public_key: Path | None = None) -> Finished:
        """Compile a bundle's engine there; a copy of it comes back, and it stays beside the bundle there.

        Args:
            bundle: a bundle that holds a model and a plan.
            engine: the file to write here.
            public_key: a PEM file; a bundle that the owner of this key did not sign is refused.
        """
        files = {"bundle": bundle, **({"public-key": public_key} if public_key is not None else {})}
        arguments = ["compile", "file:bundle", *(["--public-key", "file:public-key"] if public_key is not None else [])]
        name = f"{bundle.name}.engine"
        with tempfile.TemporaryDirectory(prefix="edgewright-") as folder, Bundle(bundle) as opened:
            artifact, made = opened.manifest.artifact, Path(folder, name)
            runtime = (artifact.runtime, artifact.tool_versions.get(artifact.runtime))
            ended = self.board.run(runtime, arguments, files, {name: made}, _COMPILE_LIMIT_S, {name: "bundle"})
            if ended.code == 0:
                with replacing(engine) as beside:
                    shutil.copyfile(made, beside)
            return ended

    def profile(self, bundle: Path, inputs: Path) -> Profile:
        """See `ProfilingTarget`.

        Raises:
            UnsupportedError: the bundle is for another architecture.
        """
        with tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
            out = Path(folder, "profile.json")
            self._run("profile", bundle, {"inputs": inputs}, "out", out, PROFILE_LIMIT_S)
            return decode(Profile, json.loads(out.read_text()), "a profile")

    def gpu_times(self, bundle: Path, inputs: Path) -> GpuTimes:
        """See `GpuTarget`.

        Raises:
            UnsupportedError: always, since that takes more than `runtimes` on the board.
        """
        raise UnsupportedError("The parts of an inference on a GPU are not timed over ssh.")

    def _run(
        self,
        command: str,
        bundle: Path,
        files: Mapping[str, Path],
        option: str,
        output: Path,
        limit_s: float,
        *more: str,
    ) -> None:
        with Bundle(bundle) as opened:
            artifact, profile = opened.manifest.artifact, opened.manifest.profile
        if profile.arch != self.machine.arch:
            raise UnsupportedError(
                f"'{bundle}' is for {profile.name}, whose architecture is {profile.arch}, and {self.name} is "
                f"{self.machine.arch}; build for a profile of that."
            )
        arguments = [command, "file:bundle", *(part for name in files for part in (f"--{name}", f"file:{name}"))]
        arguments += [f"--{option}", f"work:{output.name}", "--any-machine", *more]
        version = artifact.tool_versions.get(artifact.runtime)
        sent = {"bundle": bundle, **files}
        self.board.run((artifact.runtime, version), arguments, sent, {output.name: output}, limit_s)


@contextlib.contextmanager
def open_ssh(text: str) -> Iterator[SshTarget]:
    """Connect to a board, until the end.

    Args:
        text: its address, ssh://[user@]host[:port].

    Raises:
        UsageError: the text is no address; and see `open_board`.
    """
    address = parse(text)
    with (
        tempfile.TemporaryDirectory(prefix="edgewright-") as folder,
        open_board(address, Path(folder)) as board,
    ):
        yield SshTarget(board)
