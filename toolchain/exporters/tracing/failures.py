"""Failures of an export in the user's terms: the reason, the line of the model, and what to do about it."""

from __future__ import annotations

import traceback

from toolchain.exporters._root_cause import root_cause
from toolchain.exporters.tracing.model_lines import where_raised

_VALUES = "what it does there depends on values, which an export does not know"
# Part of an error's text, or of a file that it passed; the reason in our words if torch's are of no use; the remedy.
_KNOWN = (
    ("torch/distributions", _VALUES, "Make the distribution with validate_args=False."),
    (
        "nn/modules/rnn.py",  # which takes padded batches
        "packed sequences have no form in ONNX",
        "Run the layer over the padded batch, and cut what is beyond each length with a mask.",
    ),
    ("past_key_values", None, "Switch caches off with `config.use_cache = False`."),
    ("data-dependent", _VALUES, "Choose with torch.where or torch.cond instead of `if`, or move the choice out of it."),
    ("Dynamic control flow", _VALUES, "Choose with torch.where or torch.cond instead of `if`."),
    ("must always be equal", None, "Give these dimensions one name."),
)


def explain(error: BaseException, source: str) -> str:
    """Say why a source cannot be exported, in whole sentences.

    Args:
        error: what torch raised.
        source: the source's name.
    """
    frames, texts = [], []
    each: BaseException | None = error
    while each is not None:
        frames += [frame.filename for frame in traceback.extract_tb(each.__traceback__)]
        texts.append(str(each))
        each = each.__cause__
    evidence = "\n".join([*frames, *texts])
    _, reason, remedy = next((known for known in _KNOWN if known[0] in evidence), ("", None, ""))
    where = where_raised(error)
    cause = reason or _with_equal_dimensions(root_cause(error), texts)
    return f"'{source}' cannot be exported to ONNX{f', at {where}' if where else ''}: {cause}. {remedy}".strip()


def _with_equal_dimensions(cause: str, texts: list[str]) -> str:
    """Put torch's reason in place of its headline, where it is that two dimensions have to be equal."""
    lines = [line.strip(" -.") for text in texts for line in text.splitlines() if "must always be equal" in line]
    return lines[-1] if lines else cause
