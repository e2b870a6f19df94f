"""Our side from end to end: a private Mosquitto, the release binary of consultd, tablets that speak MQTT."""

import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
import uuid

import paho.mqtt.client as mqtt

import cases
import procs

SHA256 = re.search(r"^SHA256=(\w+)", (cases.ROOT / "adapters/demo/fetch-model.sh").read_text(), re.M)[1]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def mosquitto():
    """`MOSQUITTO` names another binary. Distributions keep it where a user's PATH does not reach."""
    path = os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin"
    program = os.environ.get("MOSQUITTO") or shutil.which("mosquitto", path=path)
    if not program:
        raise SystemExit("no mosquitto here; `make setup` installs it")
    return program


def adapter_folders(folder, adapterctl):
    """The demo adapters, and the fourth department: a copy of one under another name."""
    demo = cases.ROOT / "adapters/demo"
    copied = folder / "surgery"
    shutil.copytree(demo / cases.COPIED_AS_SURGERY, copied, dirs_exist_ok=True)
    manifest = json.loads((copied / "manifest.json").read_text())
    manifest.update(id="bench-surgery", department="surgery", note="The bench's copy of another department's adapter.")
    (copied / "manifest.json").write_text(json.dumps(manifest))
    subprocess.run([adapterctl, "sign", copied, "--key", demo / "demo.key"], check=True, stdout=subprocess.DEVNULL)
    return {d: copied if d == "surgery" else demo / d for d in cases.DEPARTMENTS}


def spin_count():
    """Turns that the threads of our worker wait before they sleep, from the engine's own source."""
    source = (cases.ROOT / "daemon/engine/src/lib.rs").read_text(encoding="utf-8")
    return int(re.search(r'\("GOMP_SPINCOUNT", "(\d+)"\)', source)[1])


class Clinic:
    """The box. `engine` holds settings beyond the plain ones; those that this build does not know are left out."""

    def __init__(self, folder, consultd, model, adapters, threads, engine):
        self.folder, self.consultd = folder, consultd
        folder.mkdir(parents=True)
        self.port = free_port()
        self.settings = folder / "consultd.toml"
        self.unknown = self._write_settings(model, adapters, threads, engine)
        self.broker = self._start_broker()
        environment = {"OMP_WAIT_POLICY": "passive", "GGML_NO_BACKTRACE": "1", "CONSULTD_LOG": "info", "NO_COLOR": "1"}
        self.daemon = procs.Child([consultd, "run", "--config", self.settings], folder / "consultd.log", environment)
        try:
            self.daemon.wait_for("the worker", lambda: "the worker is ready" in self.daemon.log_text()
                                 and "connected to the broker" in self.daemon.log_text())
        except BaseException:
            self.stop()
            raise
        self.tablets = {}

    def _write_settings(self, model, adapters, threads, engine):
        """Writes the settings; returns the names of those that this build does not know."""
        plain = {"model": str(model), "model_sha256": SHA256, "context_tokens": 8192, "threads": threads,
                 "contexts_max": len(cases.DEPARTMENTS)}
        wanted, unknown = {**plain, **engine}, []
        while True:
            keys = "\n".join(f"{key} = {json.dumps(value)}" for key, value in wanted.items())
            folders = json.dumps([str(folder) for folder in adapters.values()])
            self.settings.write_text(
                f'[box]\nname = "bench"\nstate_dir = "{self.folder}/state"\n'
                f'[broker]\nsocket = "{self.folder}/mqtt.sock"\n'
                f"[engine]\n{keys}\n[adapters]\nfolders = {folders}\ndemonstration = true\n", encoding="utf-8")
            check = subprocess.run([self.consultd, "check", "--config", self.settings], capture_output=True, text=True)
            if check.returncode == 0:
                return unknown
            strange = [key for key in engine if key in wanted and re.search(rf"\b{key}\b", check.stderr + check.stdout)]
            if not strange:
                raise procs.Fault(f"consultd refuses the bench's settings:\n{check.stdout}{check.stderr}")
            for key in strange:
                unknown.append(key)
                del wanted[key]

    def _start_broker(self):
        user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
        config = self.folder / "mosquitto.conf"
        config.write_text(
            f"user {user}\nallow_anonymous true\nmessage_size_limit 1048576\nmax_queued_messages 10000\n"
            f"set_tcp_nodelay true\npersistence true\npersistence_location {self.folder}/\n"
            f"autosave_interval 60\n"
            f"listener 0 {self.folder}/mqtt.sock\nlistener {self.port} 127.0.0.1\n")
        broker = procs.Child([mosquitto(), "-c", config], self.folder / "mosquitto.log")
        broker.wait_for("mosquitto's socket", (self.folder / "mqtt.sock").exists)
        return broker

    @property
    def pids(self):
        return [self.broker.pid, self.daemon.pid]

    def worker_pid(self):
        return next((pid for pid in procs.below(self.daemon.pid) if pid != self.daemon.pid), None)

    def log_text(self):
        return self.daemon.log_text()

    def tablet(self, name):
        if name not in self.tablets:
            self.tablets[name] = Tablet(self.port, name)
        return self.tablets[name]

    def ask(self, at, case, priority="routine"):
        """Sends a case from tablet `at`; the asked case fills itself as messages come."""
        return self.tablet(f"bench-{at}").ask(case, priority)

    def stop(self):
        for tablet in getattr(self, "tablets", {}).values():
            tablet.close()
        self.daemon.stop()
        self.broker.stop()


class Asked:
    """One request and when its answers came, in seconds after the publish."""

    def __init__(self, case):
        self.case, self.id = case, str(uuid.uuid4())
        self.began = time.perf_counter()
        self.done = threading.Event()
        self.alert_s = self.first_s = self.complete_s = None
        self.first_lines, self.sections, self.fault = [], {}, None

    def hear(self, message, now):
        kind = message["type"]
        if kind == "alert":
            self.alert_s = self.alert_s or now - self.began
        elif kind == "progress":
            self.sections[message["section"]] = message["lines"]
            if message["lines"] and self.first_s is None:
                self.first_s, self.first_lines = now - self.began, message["lines"]
        elif kind in ("answer", "error"):
            self.complete_s = now - self.began
            degraded = message.get("provenance", {}).get("degraded", [])
            self.fault = message.get("code") or (f"degraded: {', '.join(degraded)}" if degraded else None)
            if not self.sections and not self.fault:
                self.fault = "no section came"
            self.done.set()

    def content(self):
        return [line for lines in self.sections.values() for line in lines]


class Tablet:
    def __init__(self, port, name):
        self.name, self.asked, self.lock = name, {}, threading.Lock()
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
        subscribed = threading.Event()
        self.client.on_message = self._heard
        self.client.on_connect = lambda client, *_: client.subscribe(f"consult/1/res/{name}", qos=1)
        self.client.on_subscribe = lambda *_: subscribed.set()
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        if not subscribed.wait(30):
            raise procs.Fault("the broker takes no subscription")

    def _heard(self, _client, _data, message):
        now = time.perf_counter()
        said = json.loads(message.payload)
        with self.lock:
            asked = self.asked.get(said.get("id"))
        if asked:
            if said["type"] == "answer":
                self._publish("receipt", {"v": 1, "type": "receipt", "id": said["id"]})
            asked.hear(said, now)

    def _publish(self, branch, message):
        self.client.publish(f"consult/1/{branch}/{self.name}", json.dumps(message, ensure_ascii=False), qos=1)

    def ask(self, case, priority):
        asked = Asked(case)
        message = {"v": 1, "type": "consult", "id": asked.id, "lang": "zh", "priority": priority, "deadline_s": 3600}
        with self.lock:
            self.asked[asked.id] = asked
        asked.began = time.perf_counter()
        self._publish("req", {**message, **case})
        return asked

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()
