"""The Triton model repository of one version: ensemble, preprocessing, tensorrt_llm, postprocessing.

Model, tensor and parameter names are those of TensorRT-LLM 1.2's `inflight_batcher_llm`, so whoever calls a
version cannot tell on which hardware it runs. The files are written by Triton's own protobuf.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import InputError
from engine.sizes import Sizes

BACKENDS = Path(__file__).resolve().parent / "triton_cpu"
MODELS = ("ensemble", "preprocessing", "tensorrt_llm", "postprocessing")
SCALAR: dict[str, Any] = {"dims": [1], "reshape": {"shape": []}}


@dataclass(frozen=True, kw_only=True)
class Repository:
    """What the four configurations depend on. `root` is where pods see the version directory."""

    root: str
    sizes: Sizes
    end_id: int

    def write(self, directory: Path) -> None:
        """Write the repository and the code of its models to `directory`."""
        for model, config in self.configs().items():
            target = directory / model
            (target / "1").mkdir(parents=True)
            (target / "config.pbtxt").write_text(as_text(config), encoding="utf-8")
            if model == "ensemble":
                # Triton wants the version directory, and object stores keep no empty ones.
                (target / "1" / ".keep").touch()
            else:
                for source in sorted((BACKENDS / model / "1").glob("*.py")):
                    shutil.copyfile(source, target / "1" / source.name)

    def configs(self) -> dict[str, dict[str, Any]]:
        """The configuration of each model as protobuf JSON."""
        return {
            "ensemble": self._ensemble(),
            "preprocessing": self._preprocessing(),
            "tensorrt_llm": self._tensorrt_llm(),
            "postprocessing": self._postprocessing(),
        }

    def _model(self, name: str, **rest: Any) -> dict[str, Any]:
        return {
            "name": name,
            "backend": "python",
            "max_batch_size": self.sizes.max_batch_size,
            "dynamic_batching": {
                "preferred_batch_size": [self.sizes.max_batch_size],
                "max_queue_delay_microseconds": 0,
                "default_queue_policy": {"max_queue_size": 0},
            },
            "instance_group": [{"count": 1, "kind": "KIND_CPU"}],
            **rest,
        }

    def _preprocessing(self) -> dict[str, Any]:
        return self._model(
            "preprocessing",
            input=[
                _tensor("QUERY", "STRING", [1]),
                _tensor("REQUEST_OUTPUT_LEN", "INT32", [1]),
                _tensor("STOP_WORDS_DICT", "STRING", [-1], optional=True),
                _tensor("END_ID", "INT32", [1], optional=True),
            ],
            output=[
                _tensor("INPUT_ID", "INT32", [-1]),
                _tensor("REQUEST_INPUT_LEN", "INT32", [1]),
                _tensor("STOP_WORDS_IDS", "INT32", [2, -1]),
                _tensor("REQUEST_OUTPUT_LEN", "INT32", [-1]),
                _tensor("OUT_END_ID", "INT32", [1]),
            ],
            parameters=_parameters(
                tokenizer_dir=f"{self.root}/tokenizer", add_special_tokens="true", end_id=str(self.end_id)
            ),
        )

    def _tensorrt_llm(self) -> dict[str, Any]:
        optional: dict[str, Any] = {"optional": True}
        ragged: dict[str, Any] = {"allow_ragged_batch": True}
        return self._model(
            "tensorrt_llm",
            model_transaction_policy={"decoupled": True},
            input=[
                _tensor("input_ids", "INT32", [-1], **ragged),
                _tensor("input_lengths", "INT32", **SCALAR),
                _tensor("request_output_len", "INT32", **SCALAR),
                _tensor("end_id", "INT32", **SCALAR, **optional),
                _tensor("stop_words_list", "INT32", [2, -1], **ragged, **optional),
                _tensor("temperature", "FP32", **SCALAR, **optional),
                _tensor("runtime_top_k", "INT32", **SCALAR, **optional),
                _tensor("runtime_top_p", "FP32", **SCALAR, **optional),
                _tensor("seed", "UINT64", **SCALAR, **optional),
                _tensor("streaming", "BOOL", **SCALAR, **optional),
            ],
            output=[_tensor("output_ids", "INT32", [-1, -1]), _tensor("sequence_length", "INT32", [-1])],
            parameters=_parameters(
                gpt_model_type="inflight_fused_batching",
                gpt_model_path=f"{self.root}/engine",
                batch_scheduler_policy="guaranteed_no_evict",
                max_tokens_in_paged_kv_cache=str(self.sizes.kv_cache_tokens),
                max_beam_width="1",
                exclude_input_in_output="true",
                enable_kv_cache_reuse="false",
                cancellation_check_period_ms="20",
                stats_check_period_ms="100",
                cpu_threads=str(self.sizes.cpu_threads),
                end_id=str(self.end_id),
            ),
        )

    def _postprocessing(self) -> dict[str, Any]:
        return self._model(
            "postprocessing",
            input=[_tensor("TOKENS_BATCH", "INT32", [-1, -1]), _tensor("SEQUENCE_LENGTH", "INT32", [-1])],
            output=[_tensor("OUTPUT", "STRING", [-1])],
            parameters=_parameters(tokenizer_dir=f"{self.root}/tokenizer", skip_special_tokens="true"),
        )

    def _ensemble(self) -> dict[str, Any]:
        optional: dict[str, Any] = {"optional": True}
        return {
            "name": "ensemble",
            "platform": "ensemble",
            "max_batch_size": self.sizes.max_batch_size,
            "input": [
                _tensor("text_input", "STRING", [1]),
                _tensor("max_tokens", "INT32", [1]),
                _tensor("stop_words", "STRING", [-1], **optional),
                _tensor("end_id", "INT32", [1], **optional),
                _tensor("temperature", "FP32", [1], **optional),
                _tensor("top_k", "INT32", [1], **optional),
                _tensor("top_p", "FP32", [1], **optional),
                _tensor("seed", "UINT64", [1], **optional),
                _tensor("stream", "BOOL", [1], **optional),
            ],
            "output": [_tensor("text_output", "STRING", [-1])],
            "ensemble_scheduling": {
                "step": [
                    _step(
                        "preprocessing",
                        {
                            "QUERY": "text_input",
                            "REQUEST_OUTPUT_LEN": "max_tokens",
                            "STOP_WORDS_DICT": "stop_words",
                            "END_ID": "end_id",
                        },
                        {
                            "INPUT_ID": "_INPUT_ID",
                            "REQUEST_INPUT_LEN": "_REQUEST_INPUT_LEN",
                            "REQUEST_OUTPUT_LEN": "_REQUEST_OUTPUT_LEN",
                            "STOP_WORDS_IDS": "_STOP_WORDS_IDS",
                            "OUT_END_ID": "_PREPROCESSOR_END_ID",
                        },
                    ),
                    _step(
                        "tensorrt_llm",
                        {
                            "input_ids": "_INPUT_ID",
                            "input_lengths": "_REQUEST_INPUT_LEN",
                            "request_output_len": "_REQUEST_OUTPUT_LEN",
                            "stop_words_list": "_STOP_WORDS_IDS",
                            "end_id": "_PREPROCESSOR_END_ID",
                            "temperature": "temperature",
                            "runtime_top_k": "top_k",
                            "runtime_top_p": "top_p",
                            "seed": "seed",
                            "streaming": "stream",
                        },
                        {"output_ids": "_TOKENS_BATCH", "sequence_length": "_SEQUENCE_LENGTH"},
                    ),
                    _step(
                        "postprocessing",
                        {"TOKENS_BATCH": "_TOKENS_BATCH", "SEQUENCE_LENGTH": "_SEQUENCE_LENGTH"},
                        {"OUTPUT": "text_output"},
                    ),
                ]
            },
        }


def as_text(config: dict[str, Any]) -> str:
    """A configuration as `config.pbtxt`; Triton's own message refuses unknown fields and wrong types."""
    from google.protobuf import json_format, text_format
    from tritonclient.grpc import model_config_pb2

    message: Any = model_config_pb2.ModelConfig()  # pyright: ignore[reportAttributeAccessIssue]  # generated
    try:
        json_format.ParseDict(config, message)
    except json_format.ParseError as error:
        raise InputError(f"the configuration of {config.get('name')} is not one of Triton's: {error}.") from error
    return text_format.MessageToString(message)


def _tensor(name: str, kind: str, dims: list[int] | None = None, **rest: Any) -> dict[str, Any]:
    shape = {} if dims is None else {"dims": dims}
    return {"name": name, "data_type": f"TYPE_{kind}", **shape, **rest}


def _step(model: str, inputs: dict[str, str], outputs: dict[str, str]) -> dict[str, Any]:
    return {"model_name": model, "model_version": -1, "input_map": inputs, "output_map": outputs}


def _parameters(**values: str) -> dict[str, Any]:
    return {name: {"string_value": value} for name, value in values.items()}
