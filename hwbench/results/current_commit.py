"""Commit that is measured: that of a CI job, or of the working folder."""

from __future__ import annotations

import os
import re
import subprocess

_VARIABLES = ("GITHUB_SHA", "CI_COMMIT_SHA")  # of GitHub Actions and GitLab
_LIMIT_S = 10


def current_commit() -> str:
    """Return the commit's identifier in hexadecimal digits; empty outside a repository, or without git."""
    for name in _VARIABLES:
        if re.fullmatch("[0-9a-f]{7,64}", os.environ.get(name, "")):
            return os.environ[name]
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=_LIMIT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def commit_range(before: str, after: str) -> str:
    """Write the commits between two runs as git does, as in "1a2b3c4..5d6e7f8"; empty if one is not known."""
    return f"{before[:7]}..{after[:7]}" if before and after and before != after else ""
