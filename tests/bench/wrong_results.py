#!/usr/bin/env python3
"""Three wrong answers of llama.cpp's server at temperature 0, each with what should have come.

All three are the same mistake: KV that was computed under one adapter is read under another. What should have come is
the same request with the prompt cache off. Ends with 0 whether the peer is wrong or not: it is the peer's affair. That
consultd does not do this is held by its own test, `adapters_change_the_text_and_nothing_leaks_between_them`.
"""

import argparse
import os
import tempfile
from pathlib import Path

import cases
import ours
import peer

# The prompts are long enough that a wrong prefix matters, the answers long enough to show it.
PREDICT = 48
TRIES = 6
A, B = "internal", "obstetrics"


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", required=True, type=Path)
    p.add_argument("--adapterctl", required=True, type=Path)
    p.add_argument("--peer", type=Path, help="a llama-server instead of the wheel's")
    p.add_argument("--threads", type=int, default=os.cpu_count())
    return p.parse_args()


class Server:
    """The peer with one slot, and the few words of it that are needed here."""

    def __init__(self, server):
        self.server = server

    def ask(self, prompt, adapter, cache=True):
        """Under one adapter; `None` leaves the choice to the scales that hold for all requests."""
        body = {"prompt": prompt, "temperature": 0, "n_predict": PREDICT, "cache_prompt": cache}
        if adapter:
            body["lora"] = self.server.lora(adapter)
        return self.server.post("/completion", body)["content"]

    def scales(self, adapter):
        """Sets the scales that hold for all requests that name none."""
        ids = self.server.adapter_ids
        self.server.post("/lora-adapters", [{"id": at, "scale": float(name == adapter)} for name, at in ids.items()])

    def slot(self, action):
        self.server.post(f"/slots/0?action={action}", {"filename": "slot.bin"})


def reused_across_requests(server, p, q):
    """A(P), B(Q), B(P): the last finds the KV of P in the prompt cache, computed under A."""
    server.ask(p, A)
    server.ask(q, B)
    return server.ask(p, B), server.ask(p, B, cache=False)


def reused_across_scales(server, p, _q):
    """The scales for all requests change from A to B; the same prompt again reads the slot's KV from under A."""
    server.scales(A)
    server.ask(p, None)
    server.scales(B)
    return server.ask(p, None), server.ask(p, None, cache=False)


def restored_into_another(server, p, q):
    """A slot is saved under A and restored when B holds; the same prompt reads the restored KV."""
    server.scales(A)
    server.ask(p, None)
    server.slot("save")
    server.scales(B)
    server.ask(q, None, cache=False)
    server.slot("restore")
    return server.ask(p, None), server.ask(p, None, cache=False)


def main():
    args = arguments()
    pool, prompts = cases.Pool(args.adapterctl), cases.Prompts(args.adapterctl)
    header = next(iter(cases.headers().values())) + "\n"
    pairs = [prompts.render([pool.take(A), pool.take(B)]) for _ in range(TRIES)]
    with tempfile.TemporaryDirectory(prefix="consultd-bench.") as name:
        folder = Path(name)
        for wrong in (reused_across_requests, reused_across_scales, restored_into_another):
            print(f"\n{wrong.__name__.replace('_', ' ')}\n  {wrong.__doc__}")
            server = peer.Peer(folder / wrong.__name__, args.model, ours.adapter_folders(folder, args.adapterctl), args.threads, 1,
                               ours.free_port(), args.peer, slot_save=folder)
            try:
                show([wrong(Server(server), p + header, q + header) for p, q in pairs])
            finally:
                server.stop()


def show(answers):
    differ = [(came, should) for came, should in answers if came != should]
    print(f"  {len(differ)} of {len(answers)} answers are wrong")
    for came, should in differ[:1]:
        print(f"  came:              {came!r}\n  should have come:  {should!r}")


if __name__ == "__main__":
    main()
