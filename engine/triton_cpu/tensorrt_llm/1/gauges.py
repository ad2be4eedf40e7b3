"""TensorRT-LLM's own metrics, from this engine's real state."""

from typing import Any

from admission import Admission

REQUESTS = "nv_trt_llm_request_metrics"
BLOCKS = "nv_trt_llm_kv_cache_block_metrics"


class Gauges:
    """`nv_trt_llm_request_metrics` and `nv_trt_llm_kv_cache_block_metrics`, labelled as TensorRT-LLM labels them.

    Names and labels: `custom_metrics_reporter.cc` of TensorRT-LLM 1.2.
    """

    def __init__(self, backend: Any, model: str, version: str, admission: Admission[Any]) -> None:
        self.admission = admission
        common = {"model": model, "version": version}

        def family(name: str, description: str, label: str, values: tuple[str, ...]) -> dict[str, Any]:
            kept = backend.MetricFamily(name=name, description=description, kind=backend.MetricFamily.GAUGE)
            self._families.append(kept)  # Triton forgets a family that nobody holds
            return {value: kept.Metric(labels={**common, label: value}) for value in values}

        self._families: list[Any] = []
        self._requests = family(
            REQUESTS,
            "TRT LLM request metrics",
            "request_type",
            ("active", "max", "scheduled", "context", "waiting"),
        )
        self._blocks = family(
            BLOCKS,
            "TRT LLM KV cache block metrics",
            "kv_cache_block_type",
            ("max", "free", "used", "tokens_per", "fraction"),
        )
        self._requests["max"].set(admission.slots)
        self._blocks["max"].set(admission.blocks)
        self._blocks["tokens_per"].set(admission.tokens_per_block)

    def report(self, usage: float) -> None:
        """Set the gauges; `usage` is the share of KV cache blocks that hold tokens, 0 to 1."""
        used = round(usage * self.admission.blocks)
        inside = self.admission.admitted
        self._requests["active"].set(len(inside))
        self._requests["scheduled"].set(len(inside))
        self._requests["context"].set(sum(not one.ids for one in inside))
        self._requests["waiting"].set(len(self.admission.waiting))
        self._blocks["used"].set(used)
        self._blocks["free"].set(self.admission.blocks - used)
        self._blocks["fraction"].set(usage)
