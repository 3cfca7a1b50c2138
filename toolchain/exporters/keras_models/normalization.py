"""Batch normalization of Keras in an export: a product and a sum, which fold into a convolution's weights.

Keras subtracts the mean first, and nothing that comes between a convolution and its product is folded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def call(original: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Replace `BatchNormalization.call` in exports; elsewhere it is the original."""

    def normalized(
        layer: Any, inputs: torch.Tensor, training: bool | None = None, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        if not torch.compiler.is_exporting() or (training and layer.trainable):
            return original(layer, inputs, training=training, mask=mask)
        dtype = torch.promote_types(inputs.dtype, torch.float32)
        factor = (layer.moving_variance.value.to(dtype) + layer.epsilon).rsqrt()
        if layer.scale:
            factor = factor * layer.gamma.value.to(dtype)
        offset = -layer.moving_mean.value.to(dtype) * factor
        if layer.center:
            offset = offset + layer.beta.value.to(dtype)
        shape = [1] * inputs.ndim
        shape[layer.axis] = -1
        output: torch.Tensor = inputs.to(dtype) * factor.reshape(shape) + offset.reshape(shape)
        dtype = getattr(torch, layer.compute_dtype)
        return output.to(dtype)

    return normalized
