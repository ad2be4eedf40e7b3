"""A model without a GPU that has the tensors of TensorRT-LLM's LLM API model, and answers by them as that does."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).parent
"""A Triton model repository."""


def inputs() -> list[str]:
    """The input tensors the model declares."""
    text = (REPOSITORY / "tensorrt_llm" / "config.pbtxt").read_text()
    return re.findall(r'name: "(\w+)" data_type', text.partition("output [")[0])
