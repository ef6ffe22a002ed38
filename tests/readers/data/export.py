"""Makes `mlp.onnx` and `mlp.onnx.data`: what PyTorch's exporter writes for a small decoder (torch 2.15, onnxscript)."""

from __future__ import annotations

from pathlib import Path

import torch

if __name__ == "__main__":
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(2, 16), torch.nn.ReLU(), torch.nn.Linear(16, 24)).eval()
    path = Path(__file__).with_name("mlp.onnx")
    torch.onnx.export(model, (torch.zeros(1, 2),), path, dynamo=True, external_data=True, verbose=False)
