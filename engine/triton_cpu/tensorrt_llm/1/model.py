"""TensorRT-LLM's `tensorrt_llm` model on CPU: in-flight batching by OpenVINO GenAI behind the same tensors.

`execute` only queues. One thread owns the engine: it admits, computes one step for all sequences, and sends each
its new tokens. An error in that thread is fatal for the process, so that Triton's health tells the truth.
"""

import json
import os
import queue
import shutil
import tempfile
import threading
import time
import traceback

import numpy as np
import openvino
import openvino_genai as genai
import triton_python_backend_utils as pb
from admission import Admission
from gauges import Gauges
from guardian import Guardian
from order import read_order

TOKENS_PER_BLOCK = 32  # OpenVINO's paged attention on CPU
FINAL = pb.TRITONSERVER_RESPONSE_COMPLETE_FINAL
RUNNING = genai.GenerationStatus.RUNNING


class Job:
    """One request from its arrival to its last response."""

    def __init__(self, request, order):
        self.request, self.order, self.tokens = request, order, order.tokens
        self.sender = request.get_response_sender()
        self.handle = None
        self.ids, self.sent = [], 0

    def send(self, ids, flags=0):
        tensors = [
            pb.Tensor("output_ids", np.array([[ids]], np.int32)),
            pb.Tensor("sequence_length", np.array([[len(ids)]], np.int32)),
        ]
        self.sender.send(pb.InferenceResponse(tensors), flags=flags)


class TritonPythonModel:
    """The engine, its queue and its thread."""

    def initialize(self, args):
        """Load the engine of `gpt_model_path` with the sizes it was built for."""
        parameters = {
            key: value["string_value"] for key, value in json.loads(args["model_config"])["parameters"].items()
        }
        engine = parameters["gpt_model_path"]
        with open(f"{engine}/config.json", encoding="utf-8") as opened:
            built = json.load(opened)
        sizes = built["build_config"]
        self.end_id = int(parameters["end_id"])
        self.max_seq_len, self.vocabulary = sizes["max_seq_len"], built["pretrained_config"]["vocab_size"]
        self.check_period = int(parameters["cancellation_check_period_ms"]) / 1000
        self.report_period = int(parameters["stats_check_period_ms"]) / 1000
        blocks = int(parameters["max_tokens_in_paged_kv_cache"]) // TOKENS_PER_BLOCK

        scheduler = genai.SchedulerConfig()
        scheduler.num_kv_blocks = blocks
        scheduler.max_num_seqs = sizes["max_batch_size"]
        scheduler.max_num_batched_tokens = sizes["max_num_tokens"]
        scheduler.enable_prefix_caching = parameters["enable_kv_cache_reuse"] == "true"
        properties = {
            "INFERENCE_NUM_THREADS": int(parameters["cpu_threads"]),
            # The default rounds the cache to 8 bits, and greedy answers then differ from the checkpoint's.
            "INFERENCE_PRECISION_HINT": "f32",
            "KV_CACHE_PRECISION": "f32",
        }
        # OpenVINO opens the file for writing, and a published version is mounted read-only.
        with tempfile.TemporaryDirectory() as scratch:
            writable = shutil.copy(f"{engine}/model.gguf", scratch)
            self.pipe = genai.ContinuousBatchingPipeline(writable, scheduler, "CPU", properties)
        # OpenVINO's max_num_seqs does not limit what it schedules, so admission is ours.
        self.admission = Admission(slots=sizes["max_batch_size"], blocks=blocks, tokens_per_block=TOKENS_PER_BLOCK)
        self.gauges = Gauges(pb, args["model_name"], args["model_version"], self.admission)
        self.inbox = queue.SimpleQueue()
        self.started, self.stopping = 0, False
        self.guardian = Guardian(os.getppid())
        self.thread = threading.Thread(target=self._own_engine, name="scheduler")
        self.thread.start()

    def execute(self, requests):
        """Queue the requests; their responses come from the scheduler thread."""
        for request in requests:
            self.inbox.put(request)

    def finalize(self):
        """Let the requests in flight run to their end, then stop. Triton's exit timeout bounds the wait."""
        self.inbox.put(None)
        self.thread.join()
        self.guardian.dismiss()

    def _own_engine(self):
        try:
            self._run()
        except BaseException:
            # A server whose scheduler is gone would look ready and never answer: the guardian stops it.
            traceback.print_exc()
            os._exit(1)

    def _run(self):
        reported = checked = 0.0
        while not (self.stopping and self.admission.idle and self.inbox.empty()):
            if self.admission.idle:
                self.gauges.report(0.0)
            self._receive()
            now = time.monotonic()
            if now - checked > self.check_period:
                self._drop_cancelled()
                checked = now
            while job := self.admission.take():
                self._start(job)
            if self.pipe.has_non_finished_requests():
                self.pipe.step()
            for job in list(self.admission.admitted):
                self._forward(job)
            if now - reported > self.report_period:
                self.gauges.report(self.pipe.get_metrics().cache_usage / 100)
                reported = now

    def _receive(self):
        """Queue what has arrived; when there is nothing else to do, wait for it."""
        try:
            while True:
                request = self.inbox.get(block=self.admission.idle and not self.stopping)
                if request is None:
                    self.stopping = True
                    return
                self._queue(request)
        except queue.Empty:
            return

    def _queue(self, request):
        def read(name):
            tensor = pb.get_input_tensor_by_name(request, name)
            return None if tensor is None else tensor.as_numpy()

        try:
            order = read_order(read, end_id=self.end_id, max_seq_len=self.max_seq_len, vocabulary=self.vocabulary)
            self.admission.put(Job(request, order))
        except ValueError as error:
            _refuse(request.get_response_sender(), str(error))

    def _start(self, job):
        order = job.order
        config = genai.GenerationConfig()
        config.max_new_tokens = order.max_new_tokens
        config.ignore_eos = order.end_id < 0
        config.stop_token_ids = set() if order.end_id < 0 else {order.end_id}
        config.do_sample = order.sampled
        if order.sampled:
            config.temperature, config.top_p, config.rng_seed = order.temperature, order.top_p, order.seed
            if order.top_k:
                config.top_k = order.top_k
        try:
            # Inside the pipeline a bad configuration would be fatal.
            config.validate()
        except RuntimeError as error:
            self.admission.leave(job)
            _refuse(job.sender, str(error))
            return
        prompt = openvino.Tensor(np.array([order.prompt], np.int64))
        job.handle = self.pipe.add_request(self.started, prompt, config)
        self.started += 1

    def _forward(self, job):
        """Send a job's new tokens, and its end when it has come."""
        stopped = False
        while not stopped and job.handle.can_read():
            for output in job.handle.read().values():
                for token in output.generated_ids:
                    job.ids.append(token)
                    stopped = job.order.stopped(job.ids)
                    if stopped:
                        break
        running = job.handle.get_status() == RUNNING
        if stopped and running:
            job.handle.cancel()
        done = stopped or not running
        if done:
            self.admission.leave(job)
        if job.order.streaming:
            new, job.sent = job.ids[job.sent :], len(job.ids)
            if new:
                job.send(new, FINAL if done else 0)
            elif done:
                job.sender.send(flags=FINAL)
        elif done:
            job.send(job.ids, FINAL)

    def _drop_cancelled(self):
        for job in [*self.admission.admitted, *self.admission.waiting]:
            # Asks Triton's process each time, hence not for every token.
            if job.request.is_cancelled():
                if job.handle:
                    job.handle.cancel()
                self.admission.leave(job)
                job.sender.send(flags=FINAL)


def _refuse(sender, message):
    sender.send(pb.InferenceResponse(error=pb.TritonError(message)), flags=FINAL)
