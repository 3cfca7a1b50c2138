"""Models of Hugging Face's transformers as they come, from a configuration."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest
import torch

from toolchain.exporters import module
from toolchain.sources.input_specs import parse_input

transformers = pytest.importorskip("transformers")
SMALL = {"vocab_size": 50, "num_hidden_layers": 1, "num_attention_heads": 2}


def bert():
    torch.manual_seed(0)
    config = transformers.BertConfig(**SMALL, hidden_size=16, intermediate_size=32)
    return transformers.BertForSequenceClassification(config)


def gpt2():
    torch.manual_seed(0)
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(vocab_size=50, n_embd=16, n_layer=1, n_head=2))


@pytest.mark.parametrize(("factory", "shape"), [(bert, ("N", 2)), (gpt2, ("N", "T", 50))])
def test_models_come_with_the_names_of_their_results(tmp_path, factory, shape):
    specs = tuple(map(parse_input, ("attention_mask=int64[N,T]", "input_ids=int64[N,T]")))
    model = module.export(f"{__name__}:{factory.__name__}", specs, tmp_path / "m.onnx")
    assert [(spec.name, spec.shape) for spec in model.outputs] == [("logits", shape)]
    ids = np.random.default_rng(0).integers(0, 50, (3, 11))
    mask = np.ones_like(ids)
    with torch.no_grad():
        expected = factory().eval()(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).logits
    logits = ort.InferenceSession(model.path).run(None, {"input_ids": ids, "attention_mask": mask})[0]
    assert np.allclose(logits, expected, atol=1e-4)
