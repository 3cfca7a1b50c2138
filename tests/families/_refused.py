"""Forms of the families that people write first and that cannot be exported."""

from __future__ import annotations

REFUSED = (
    ("actor-critic", "make_that_samples", "Categorical"),
    ("bilstm", "make_with_packed_sequences", "mask"),
    ("gan", "make_with_noise_inside", "random"),
    ("tacotron", "make_as_long_as_the_text", "T"),
    ("vit", "make_with_len", "N"),
)
"""The family, the factory in its file, and words of the sentence that says what to do."""
