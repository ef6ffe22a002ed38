"""onnx's reference evaluator, which what is read of a file is compared with."""

from __future__ import annotations

from typing import Any

import numpy as np


def evaluator_of(onnx: Any, model: Any) -> Any:
    """The reference evaluator of a model, put right where it departs from the standard (onnx 1.23).

    For operator sets before 14 it takes every BatchNormalization for one in training, which the standard tells by the
    number of outputs. Groups of a ConvTranspose get each other's weights and biases; each is computed alone here.
    QuantizeLinear and DequantizeLinear are there from version 19 on; for whole numbers the earlier ones are the same.
    """
    from onnx.reference import ReferenceEvaluator

    version = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
    return ReferenceEvaluator(model, new_ops=_operators(version))


def _operators(version: int) -> list[Any]:
    from onnx.reference.op_run import OpRun
    from onnx.reference.ops import op_conv_transpose, op_dequantize_linear, op_quantize_linear

    base: Any = OpRun
    one_group: Any = op_conv_transpose.ConvTranspose

    class BatchNormalization(base):  # type: ignore[misc]
        """`(x - mean) · scale / sqrt(var + epsilon) + bias`, channels along axis 1."""

        op_domain = ""

        def _run(
            self, x: Any, scale: Any, bias: Any, mean: Any, var: Any, epsilon: Any = None, **others: Any
        ) -> Any:
            around = (-1, *[1] * (x.ndim - 2))
            s, b, m, v = (np.reshape(value, around) for value in (scale, bias, mean, var))
            return (((x - m) * (s / np.sqrt(v + np.asarray(epsilon, v.dtype))) + b).astype(x.dtype),)

    class ConvTranspose(one_group):  # type: ignore[misc]
        """Group by group."""

        op_domain = ""

        def _run(self, x: Any, w: Any, b: Any = None, group: Any = None, **attributes: Any) -> Any:
            count = group or 1
            features = w.shape[1]
            parts = []
            for g, (part, kernel) in enumerate(
                zip(np.split(x, count, axis=1), np.split(w, count, axis=0), strict=True)
            ):
                bias = None if b is None else b[g * features : (g + 1) * features]
                parts.append(super()._run(part, kernel, bias, group=1, **attributes)[0])
            return (np.concatenate(parts, axis=1).astype(x.dtype),)

    made: list[Any] = [ConvTranspose]
    if version < 14:
        made.append(BatchNormalization)
    if version < 19:
        for module, name in ((op_quantize_linear, "QuantizeLinear"), (op_dequantize_linear, "DequantizeLinear")):
            # A node without a version of its own gets the attributes of the newest one.
            later = [getattr(module, f"{name}_{v}", None) for v in (25, 23, 21, 19)]
            made += [type(name, (c,), {"op_domain": ""}) for c in later if c is not None][:1]
    return made
