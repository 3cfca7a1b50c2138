"""One step of the decoder of `gpt.py`: a character and the keys and values of those before it; from none to 40."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from runtimes.tensors import Array
from tests.families import Part, Sample, _data, _training, gpt

TITLE = "Decoder like GPT, a step with its cache"
INPUTS = ("token=int64[N,1]", "past=float32[N,2,4,P,16]")
METRICS = ("top1:logits",)
INT8_ERROR = 0.1


class Step(nn.Module):
    """A character [N, 1] and its past [N, 2, heads, P, 16] to the logits of the next one, [N, 96], and the new past."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = gpt.Decoder()

    def forward(self, token: Tensor, past: Tensor) -> dict[str, Tensor]:
        decoder, block = self.decoder, self.decoder.blocks[0]
        x = decoder.characters(token) + decoder.positions(torch.arange(past.shape[3] + 1)[-1:])
        query, key, value = block.heads(x)
        present = torch.cat([past, torch.stack([key, value], dim=1)], dim=3)
        x = block.mixed(x, nn.functional.scaled_dot_product_attention(query, present[:, 0], present[:, 1]))
        return {"logits": decoder.head(decoder.norm(x))[:, 0], "present": present}


def make() -> nn.Module:
    torch.manual_seed(0)
    step = Step()
    nn.init.normal_(step.decoder.characters.weight, std=0.1)
    return _training.load(step, "gpt_step")


def train(module: nn.Module) -> None:
    assert isinstance(module, Step)
    gpt.train(module.decoder)


def samples(part: Part, n: int) -> list[Sample]:
    """Take steps behind passages of several lengths, with the cache that the model itself makes of them."""
    module = make()
    assert isinstance(module, Step)
    made = []
    for text in _data.passages(part, n, (10, 26, 42, 2)):
        past = _past(module, text[:-2])
        made.append({"token": text[-2:-1], "past": past, "labels": text[-1]})
    return made


def _past(module: Step, tokens: Array) -> Array:
    decoder, block = module.decoder, module.decoder.blocks[0]
    with torch.no_grad():
        places = torch.arange(len(tokens))
        _, key, value = block.heads(decoder.characters(torch.from_numpy(tokens)[None]) + decoder.positions(places))
        past: Array = torch.stack([key, value], dim=1)[0].numpy()
    return past.astype(np.float32)
