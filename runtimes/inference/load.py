"""From a bundle to a session, on the machine it was packed for."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from runtimes import cpu
from runtimes.backends import backend, engine_backend
from runtimes.bundles.bundle import Bundle
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.errors import UnsupportedError
from runtimes.inference.session import Session
from runtimes.profile import HardwareProfile


def load(
    path: str | os.PathLike[str],
    *,
    settings: RuntimeSettings | None = None,
    any_machine: bool = False,
    public_key: str | os.PathLike[str] | None = None,
) -> Session:
    """Open a bundle for inference.

    Args:
        path: the .edge file.
        settings: threads and runtime options in place of those that were packed.
        any_machine: open it though its profile is for another machine than this one. What it computes and
            how fast may differ from what was measured.
        public_key: a PEM file; a bundle that is not signed by the owner of its private half is refused, and so is
            one with a changed byte in any member. Without a key only the manifest and the model are looked at.

    Raises:
        UsageError: there is no such file, or `settings` asks for what its runtime does not know.
        BundleError: the file was refused.
        UnsupportedError: it was built for another machine.
        NotInstalledError: its runtime is not installed, or what checks signatures.
        BackendError: its runtime failed to load it.
    """
    with Bundle(Path(path), public_key) as bundle:
        if public_key is not None:
            bundle.check()  # a signature is one over the whole file
        return open_session(bundle, settings=settings, any_machine=any_machine)


def open_session(bundle: Bundle, *, settings: RuntimeSettings | None = None, any_machine: bool = False) -> Session:
    """`load`, for a bundle that is open already."""
    artifact = bundle.manifest.artifact
    if not any_machine:
        check_machine(bundle.manifest.profile)
    if settings is not None:
        artifact = dataclasses.replace(artifact, settings=settings)
    opened = backend(artifact.runtime)
    if artifact.is_compiled_on_device:
        model = engine_backend(artifact.runtime).read_engine(bundle, artifact)
    else:
        model = bundle.read(artifact.file.as_posix())
    session = opened.load(artifact, model)
    session.watch(bundle.manifest.distributions)
    return session


def check_machine(profile: HardwareProfile) -> None:
    """Refuse a profile that this machine is not.

    Raises:
        UnsupportedError: the architecture differs, or instructions are missing; says which.
    """
    if profile.arch != cpu.arch():
        raise UnsupportedError(
            f"Profile {profile.name} is for {profile.arch} and this machine is {cpu.arch()}; "
            "build for this machine's profile (edgewright profiles --detect)."
        )
    missing = sorted(set(profile.cpu.isa) - cpu.isa_flags()) if cpu.isa_flags() else []
    if missing:
        raise UnsupportedError(
            f"Profile {profile.name} needs {', '.join(missing)}, which this machine's processor lacks; "
            "build for this machine's profile (edgewright profiles --detect)."
        )
