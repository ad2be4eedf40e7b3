"""Says words, one an engine step, through the LLM API model's tensors; runs in Triton's python backend.

As TensorRT-LLM 1.2's model does: a streamed reply holds the whole text so far, the finish reason is "None" until the
last, an exception becomes "Error generating request: ...", and cancelled requests are looked for every 100 ms. A
prompt that is "tell" answers what it was sent, one that begins with "short" ends by itself after four tokens, "fail"
fails, and "late fail" fails after two tokens.
"""

import json
import threading
import time

import numpy as np
import triton_python_backend_utils as pb

STEP_SECONDS = 0.005
CANCEL_SECONDS = 0.1
# A character in two steps, as a byte-level tokenizer splits it: the first shows as U+FFFD.
WORDS = ["alpha", " beta", " \ufffd", " é!", " delta"]


class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config):
        config.set_model_transaction_policy({"decoupled": True})
        config.set_max_batch_size(0)
        return config

    def initialize(self, args):
        family = pb.MetricFamily(name="llmapi_requests", description="requests", kind=pb.MetricFamily.GAUGE)
        self.active = family.Metric(labels={"state": "active"})
        self.family = family

    def execute(self, requests):
        for request in requests:
            threading.Thread(target=self.answer, args=(request, request.get_response_sender())).start()

    def answer(self, request, sender):
        self.active.increment(1)
        try:
            self.generate(request, sender)
        except Exception as error:
            tensors = [pb.Tensor("text_output", np.asarray(["N/A"], dtype=np.object_))]
            failure = pb.InferenceResponse(tensors, error=pb.TritonError(f"Error generating request: {error}"))
            sender.send(failure, flags=pb.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
        finally:
            self.active.increment(-1)

    def generate(self, request, sender):
        sent = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
        prompt = sent["text_input"][0].decode()
        streaming = bool(sent["streaming"].item()) if "streaming" in sent else False
        wanted = int(sent["sampling_param_max_tokens"].item())
        pieces, natural = self.pieces(prompt, sent)
        text, last_look = "", time.monotonic()
        for step in range(min(wanted, natural)):
            time.sleep(STEP_SECONDS)
            if (prompt == "late fail" and step == 2) or prompt == "fail":
                raise RuntimeError("the engine fell over")
            if time.monotonic() - last_look > CANCEL_SECONDS:
                last_look = time.monotonic()
                if request.is_cancelled():
                    cancelled = pb.TritonError("Request cancelled by client", pb.TritonError.CANCELLED)
                    sender.send(pb.InferenceResponse(error=cancelled), flags=pb.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
                    return
            text = text.removesuffix(" \ufffd") + pieces[step % len(pieces)]
            last = step + 1 == min(wanted, natural)
            if streaming and not last:
                sender.send(self.reply(text, None))
        reason = "stop" if natural <= wanted else "length"
        # The end token shows no text.
        sender.send(self.reply(text, reason), flags=pb.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

    def pieces(self, prompt, sent):
        if prompt == "tell":
            told = {name: [str(x) if isinstance(x, bytes) else x.item() for x in value] for name, value in sent.items()}
            return [json.dumps(told)], 1
        if prompt.startswith("short"):
            return [*WORDS[:2], " gamma", ""], 4
        return WORDS, 1 << 30

    def reply(self, text, reason):
        values = {"text_output": text.encode(), "finish_reason": str(reason)}
        return pb.InferenceResponse([pb.Tensor(k, np.asarray([v], dtype=np.object_)) for k, v in values.items()])
