"""The peer: llama.cpp's own server, in a process of its own, and a client that streams from it.

`python peer.py` serves out of the wheel `xllamacpp` until its standard input ends; with PEER=/path/to/llama-server that
program is started instead, with equal flags.
"""

import argparse
import http.client
import json
import subprocess
import sys
import threading
import time

import cases
import forms
import procs


class Peer:
    """One server. `slots` is the concurrency; `pin` gives each department slots of its own."""

    def __init__(self, folder, model, adapters, threads, slots, port, binary=None, pin=False, kv_unified=False,
                 slot_save=None, spin=0):
        folder.mkdir(parents=True, exist_ok=True)
        self.port, self.pin, self.slots = port, pin, slots
        self.adapter_ids = {department: at for at, department in enumerate(adapters)}
        # As much context for a slot as the longest prompt with a full form needs, and in all no less than ours.
        context = max(8192, 1024 * slots)
        files = ",".join(str(path / "adapter.gguf") for path in adapters.values())
        flags = ["--model", model, "--host", "127.0.0.1", "--port", port, "--threads", threads,
                 "--threads-batch", threads, "--parallel", slots, "--ctx-size", context, "--swa-full", "--lora", files]
        if slot_save:
            flags += ["--slot-save-path", f"{slot_save}/"]
        if kv_unified:
            flags += ["--kv-unified"]
        command = [*([binary] if binary else [sys.executable, __file__]), *flags]
        environment = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": str(spin), "GGML_NO_BACKTRACE": "1"}
        self.child = procs.Child(command, folder / "peer.log", environment, stdin=subprocess.PIPE)
        try:
            self.child.wait_for("the peer", self._healthy)
        except BaseException:
            self.stop()
            raise
        self.llguidance = self._has_llguidance()

    def _healthy(self):
        try:
            return self.get("/health").get("status") == "ok"
        except (OSError, RuntimeError, http.client.HTTPException):  # not there yet, or still loading
            return False

    @property
    def pids(self):
        return [self.child.pid]

    def stop(self):
        self.child.stop()

    def get(self, path):
        return self._call("GET", path, None)

    def post(self, path, body):
        return self._call("POST", path, body)

    def _call(self, method, path, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        try:
            connection.request(method, path, body and json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = json.loads(response.read() or b"{}")
            if response.status != 200:
                raise RuntimeError(f"{path}: {response.status} {answer}")
            return answer
        finally:
            connection.close()

    def count_tokens(self, texts):
        return sum(len(self.post("/tokenize", {"content": text, "add_special": False})["tokens"]) for text in texts)

    def lora(self, department):
        return [{"id": self.adapter_ids[department], "scale": 1.0}]

    def _has_llguidance(self):
        """Whether this build has llguidance, which the wheel has: it costs a fraction of llama.cpp's own grammars,
        and its schemas can forbid whitespace."""
        try:
            answer = self.post("/completion", {"prompt": "a", "grammar": '%llguidance {}\nstart: "b"', "n_predict": 4})
        except RuntimeError:
            return False
        return answer["content"] == "b"

    def ask(self, at, case, form="json", predict=forms.PREDICT_MAX, **more):
        """Sends the prompt of a case and streams in a thread; the asked case fills itself."""
        body = {"prompt": case["prompt"], "temperature": 0, "stream": True, "cache_prompt": True, "n_predict": predict,
                "lora": self.lora(case["department"]), **forms.constraint(form, self.llguidance), **more}
        if form in ("lines", "raw"):  # without JSON the first header stands in the prompt, as it does for us
            body["prompt"] += next(iter(cases.headers().values())) + "\n"
        if self.pin:
            # With 8 slots and 4 departments: slots 0 and 4 are the first one's, and tablets 0 and 4 ask there.
            departments = len(self.adapter_ids)
            round_ = at // departments % max(1, self.slots // departments)
            body["id_slot"] = (self.adapter_ids[case["department"]] + departments * round_) % self.slots
        asked = Asked(case, form)
        threading.Thread(target=asked.stream, args=(self.port, body), daemon=True).start()
        return asked


class Asked:
    """One request and when its answer came, in seconds after the request was sent."""

    def __init__(self, case, form):
        self.case, self.form = case, form
        self.began = time.perf_counter()
        self.done = threading.Event()
        self.alert_s = self.first_s = self.complete_s = None
        self.text, self.first_lines, self.timings, self.fault = "", [], {}, None

    def stream(self, port, body):
        try:
            self._stream(port, json.dumps(body))
        except Exception as fault:  # told with the figures: a bench that hides a fault lies
            self.fault = f"{type(fault).__name__}: {fault}"
            self.complete_s = time.perf_counter() - self.began
        self.done.set()

    def _stream(self, port, body):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=900)
        self.began = time.perf_counter()
        connection.request("POST", "/completion", body, {"Content-Type": "application/json"})
        for line in connection.getresponse():
            if line.startswith(b"data: "):
                self._hear(json.loads(line[6:]), time.perf_counter())
            elif line.startswith(b'{"error"') or line.startswith(b"error"):
                raise RuntimeError(line.decode(errors="replace"))
        self.complete_s = time.perf_counter() - self.began
        connection.close()
        if self.form in ("json", "objects"):
            json.loads(self.text)
        if self.form != "raw" and self.last.get("stop_type") == "limit":
            self.fault = "cut at its limit of tokens"

    def _hear(self, event, now):
        if "content" not in event:
            raise RuntimeError(str(event))
        self.text += event["content"]
        self.last = event
        self.timings = event.get("timings", self.timings)
        if self.first_s is None and (lines := forms.complete_lines(self.text, self.form)):
            self.first_s, self.first_lines = now - self.began, lines

    def content(self):
        return forms.complete_lines(self.text, self.form)


def serve():
    """The wheel's server with the flags that llama-server takes, until standard input ends."""
    import xllamacpp

    p = argparse.ArgumentParser()
    for flag in ("model", "host", "lora", "slot-save-path"):
        p.add_argument(f"--{flag}")
    for flag in ("port", "threads", "threads-batch", "parallel", "ctx-size"):
        p.add_argument(f"--{flag}", type=int)
    p.add_argument("--swa-full", action="store_true")
    p.add_argument("--kv-unified", action="store_true")
    args = p.parse_args()
    params = xllamacpp.CommonParams()
    params.model.path = args.model
    params.hostnames = ["127.0.0.1"] if isinstance(params.hostnames, list) else args.host
    params.port, params.n_parallel, params.n_ctx = args.port, args.parallel, args.ctx_size
    params.swa_full, params.kv_unified = args.swa_full, args.kv_unified
    params.cpuparams.n_threads, params.cpuparams_batch.n_threads = args.threads, args.threads_batch
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(file, 1.0) for file in args.lora.split(",")]
    if args.slot_save_path:
        params.slot_save_path = args.slot_save_path
    server = xllamacpp.Server(params)
    print(f"listening on {server.listening_address}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    serve()
