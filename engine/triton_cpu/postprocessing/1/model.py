"""Token ids to text, with the tensors of TensorRT-LLM's `postprocessing` model.

Each response of a stream is decoded alone, as TensorRT-LLM's own model does: a character whose bytes are split
over two responses is damaged. The frontend decodes by itself and does not have that fault.
"""

import json

import numpy as np
import triton_python_backend_utils as pb
from tokenizers import Tokenizer


class TritonPythonModel:
    """One tokenizer, shared by every request of a batch."""

    def initialize(self, args):
        """Load `tokenizer_dir`/tokenizer.json."""
        parameters = {
            key: value["string_value"] for key, value in json.loads(args["model_config"])["parameters"].items()
        }
        self.tokenizer = Tokenizer.from_file(f"{parameters['tokenizer_dir']}/tokenizer.json")
        self.skip = parameters["skip_special_tokens"] == "true"

    def execute(self, requests):
        """One response a request, one text a beam."""
        return [self._answer(request) for request in requests]

    def _answer(self, request):
        rows = pb.get_input_tensor_by_name(request, "TOKENS_BATCH").as_numpy()
        lengths = pb.get_input_tensor_by_name(request, "SEQUENCE_LENGTH").as_numpy()
        texts = [
            [
                self.tokenizer.decode(beam[:length].tolist(), skip_special_tokens=self.skip).encode()
                for beam, length in zip(beams, ends, strict=True)
            ]
            for beams, ends in zip(rows, lengths, strict=True)
        ]
        return pb.InferenceResponse([pb.Tensor("OUTPUT", np.array(texts, dtype=object))])
