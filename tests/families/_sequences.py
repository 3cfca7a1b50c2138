"""Parts that the models of a sequence's next element share."""

from __future__ import annotations

from torch import Tensor, nn

from tests.families import Part, Sample, _data

LENGTHS = (25, 33, 49)


def next_element_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute the cross entropy of logits [N, T, classes] for the elements that follow, [N, T]."""
    return nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())


def passages(part: Part, n: int, lengths: tuple[int, ...] = LENGTHS, name: str = "tokens") -> list[Sample]:
    """Make passages of characters as the input of this name, with the characters that follow."""
    return [{name: text[:-1], "labels": text[1:]} for text in _data.passages(part, n, lengths)]
