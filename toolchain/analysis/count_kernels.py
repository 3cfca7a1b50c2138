"""Count of the kernels of one inference, after fusion: the kind, the operations and the bytes of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import prod

import onnx_ir as ir

from runtimes.bundles.work import KernelKind, KernelWork
from runtimes.tensors import Array
from toolchain.analysis.executed_nodes import ExecutedNode, Tensor, executed_nodes
from toolchain.analysis.macs import macs
from toolchain.graphs.product_precision import INTEGER

_UNFUSED = {"FusedConv": "Conv", "NhwcFusedConv": "Conv", "FusedMatMul": "MatMul", "FusedGemm": "Gemm"}
_RECURRENT = frozenset({"LSTM", "GRU", "RNN", "DynamicQuantizeLSTM"})
_DYNAMIC = frozenset({"DynamicQuantizeLinear", "DynamicQuantizeMatMul"})
_ELEMENTWISE = frozenset(
    "Add Sub Mul Div Neg Abs Relu Clip LeakyRelu PRelu Where Min Max Not And Or Equal Less Greater QLinearAdd "
    "QLinearMul HardSigmoid QLinearLeakyRelu Sum".split()
)
_CONVERSIONS = frozenset({"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "Cast"})
_FUNCTIONS = frozenset(
    "Softmax LogSoftmax BiasSoftmax LayerNormalization SkipLayerNormalization SimplifiedLayerNormalization "
    "InstanceNormalization GroupNorm LRN BatchNormalization MeanVarianceNormalization Erf Gelu BiasGelu FastGelu "
    "QuickGelu Sigmoid QLinearSigmoid Tanh Exp Log Pow Sqrt Softplus Mish HardSwish Elu Selu Swish Sin Cos ReduceMean "
    "ReduceSum ReduceMax ReduceL2 QLinearSoftmax TopK NonMaxSuppression Resize".split()
)
# These change a shape, or are not executed on data.
_VIEWS = frozenset(
    "Reshape Flatten Squeeze Unsqueeze Identity Shape Size Constant ConstantOfShape Dropout If Loop Scan".split()
)
_LOOKUPS = frozenset({"Gather", "GatherElements", "GatherND", "Slice"})  # these read only as much as they write
_BYTES = {"double": 8, "int64": 8, "uint64": 8, "float16": 2, "bfloat16": 2, "int16": 2, "uint16": 2}
_BYTES |= dict.fromkeys(("int8", "uint8", "bool"), 1)
_PRECISIONS = {"float16": "fp16", "bfloat16": "bf16", "int8": "int8", "uint8": "int8"}


def count_kernels(model: ir.Model, feeds: Mapping[str, Array]) -> tuple[KernelWork, ...]:
    """Count the kernels that ONNX Runtime executes for one inference, as on any processor.

    Args:
        model: the model.
        feeds: one inference's inputs.

    Returns:
        The kernels, those that are alike once; nothing if the products of one of them cannot be counted.

    Raises:
        UsageError: ONNX Runtime cannot run the model here, or its steps are too many to record.
    """
    nodes = executed_nodes(model, feeds, fused=True)[0]
    is_dynamic = any(node.op in _DYNAMIC for node in nodes)
    kernels: Counter[tuple[KernelKind, str, int, int]] = Counter()
    for node in nodes:
        inputs, outputs = ([tensor.shape for tensor in end] for end in (node.inputs, node.outputs))
        count = macs(_UNFUSED.get(node.op, node.op), None, inputs, outputs)
        if count is None:
            return ()
        kind, steps = _kind(node, count, is_dynamic=is_dynamic), _steps(node)
        kernels[kind, _precision(node), 2 * count // steps, _moved(node)] += steps
    return tuple(KernelWork(*kernel, number) for kernel, number in sorted(kernels.items()))


def _steps(node: ExecutedNode) -> int:
    """Count the steps of a recurrent kernel, each of which reads all weights; 1 for other kernels."""
    return max(1, node.inputs[0].shape[0]) if node.op in _RECURRENT else 1


def _kind(node: ExecutedNode, count: int, *, is_dynamic: bool) -> KernelKind:
    if node.op in _RECURRENT:
        return "recurrent"
    if count and "Conv" in node.op:
        weight = max((tensor.shape for tensor in node.inputs[1:]), key=len)
        return "depthwise convolution" if weight[1] == 1 and weight[0] > 1 else "convolution"
    if count:
        return "dynamic matrix product" if is_dynamic and node.op in INTEGER else "matrix product"
    if node.op in _CONVERSIONS:
        return "conversion"
    return "function" if node.op in _FUNCTIONS else "elementwise" if node.op in _ELEMENTWISE else "movement"


def _precision(node: ExecutedNode) -> str:
    """Name the precision of a product, or that of the data that another kernel writes."""
    if node.op in INTEGER:
        return "int8"
    tensors = node.outputs or node.inputs
    return _PRECISIONS.get(tensors[0].dtype, "fp32") if tensors else "fp32"


def _moved(node: ExecutedNode) -> int:
    if node.op in _VIEWS:
        return 0
    written = _size(node.outputs)
    return 2 * written if node.op in _LOOKUPS else written + _size(node.inputs)


def _size(tensors: Sequence[Tensor]) -> int:
    return sum(prod(tensor.shape) * _BYTES.get(tensor.dtype, 4) for tensor in tensors)
