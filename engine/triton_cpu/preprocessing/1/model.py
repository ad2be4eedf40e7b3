"""Text to token ids, with the tensors of TensorRT-LLM's `preprocessing` model."""

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
        self.special = parameters["add_special_tokens"] == "true"
        self.end_id = int(parameters["end_id"])

    def execute(self, requests):
        """One response a request; a request that cannot be read fails alone."""
        return [self._answer(request) for request in requests]

    def _answer(self, request):
        try:
            prompts = _strings(request, "QUERY")
            if len(prompts) != 1:
                raise ValueError(f"send one prompt a request, not {len(prompts)}")
            ids = self.tokenizer.encode(prompts[0], add_special_tokens=self.special).ids
            length = pb.get_input_tensor_by_name(request, "REQUEST_OUTPUT_LEN").as_numpy().reshape(1, 1)
            end = pb.get_input_tensor_by_name(request, "END_ID")
            end = np.array([[self.end_id]]) if end is None else end.as_numpy().reshape(1, 1)
        except (ValueError, UnicodeDecodeError) as error:
            return pb.InferenceResponse(error=pb.TritonError(f"text_input: {error}"))
        outputs = {
            "INPUT_ID": [ids],
            "REQUEST_INPUT_LEN": [[len(ids)]],
            "REQUEST_OUTPUT_LEN": length,
            "STOP_WORDS_IDS": self._stop_words(_strings(request, "STOP_WORDS_DICT")),
            "OUT_END_ID": end,
        }
        return pb.InferenceResponse([pb.Tensor(name, np.array(value, np.int32)) for name, value in outputs.items()])

    def _stop_words(self, words):
        # TensorRT-LLM's layout: all ids in one row, the end of each word in the other, padded with -1.
        ids, ends = [], []
        for word in filter(None, words):
            ids += self.tokenizer.encode(word, add_special_tokens=False).ids
            ends.append(len(ids))
        packed = np.full((1, 2, max(len(ids), 1)), -1, np.int32)
        packed[0, 0, : len(ids)], packed[0, 1, : len(ends)] = ids, ends
        return packed


def _strings(request, name):
    tensor = pb.get_input_tensor_by_name(request, name)
    return [] if tensor is None else [value.decode() for value in tensor.as_numpy().ravel()]
