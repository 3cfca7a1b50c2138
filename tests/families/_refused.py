"""Forms of the families that people write first and that cannot be exported."""

from __future__ import annotations

REFUSED = (
    ("actor-critic", "make_that_samples", "validate_args=False"),
    ("bilstm", "make_with_packed_sequences", "cut what is beyond each length with a mask"),
    ("gan", "make_with_noise_inside", "free of randomness"),
    ("tacotron", "make_as_long_as_the_text", "takes only 8 for dimension 'T'"),
    ("vit", "make_with_len", "takes only 2 for dimension 'N'"),
)
"""The family, the factory in its file, and words of the sentence that says what to do."""
