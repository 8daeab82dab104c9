#!/usr/bin/env python3
"""Kills the engine at fifty random moments; each time the next run settles it."""
# time limit: 240

import os
import random
import signal
import time

from harness import Fleet, Ops, children, main

ROUNDS = 50 if os.environ.get("LONG") else 20
ACCOUNTS = ("app", "deploy")
fleet = ops = None


def setup():
    global fleet, ops
    fleet = Fleet("1-3:accounts=app+deploy")
    rows = [
        (f"asset{n}", a, p, "ops", "sudo", "app;deploy") for n, (a, p, _) in fleet.assets.items()
    ]
    ops = Ops(fleet, deadline="1s", rows=rows)
    ops.tell_all(("ops", *ACCOUNTS))


def kill_after(seconds, victim):
    engine = ops.start("run", "rotate", "--json")
    time.sleep(seconds)
    wires = children(engine.pid)
    if victim in ("core", "both"):
        engine.send_signal(signal.SIGKILL)
    if victim in ("wire", "both"):
        for wire in wires:
            try:
                os.kill(wire, signal.SIGKILL)
            except ProcessLookupError:
                pass
    engine.communicate(timeout=100)


def test_fifty_moments():
    seed = int(os.environ.get("SEED", random.randrange(2**32)))
    print(f"      SEED={seed}", flush=True)
    dice = random.Random(seed)
    start = time.monotonic()
    ops.json("run", "rotate")
    length = time.monotonic() - start
    for _ in range(ROUNDS):
        seconds = dice.uniform(0, length)
        victim = dice.choice(("core", "wire", "both"))
        kill_after(seconds, victim)
        done = ops.json("run", "rotate")
        assert done["success"] == done["total"] == 6, (seconds, victim, done)
    ops.check_all_open(ACCOUNTS)


main()
