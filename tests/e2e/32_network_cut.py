#!/usr/bin/env python3
"""The network is cut, then the engine is killed, then the network heals: nothing arrives late."""
# time limit: 180

import random
import signal
import time

from harness import Fleet, Ops, main

ACCOUNTS = ("app", "deploy", "svc")
ROUNDS = 8
fleet = ops = None


def setup():
    global fleet, ops
    fleet = Fleet("1-2", net="veth")
    ops = Ops(fleet, deadline="1s", settings='connect_timeout = "2s", login_timeout = "10s"')
    ops.tell_all()


def shadows():
    return {(n, a): fleet.sh(n, "getent", "shadow", a) for n in fleet.assets for a in ACCOUNTS}


def test_cut_kill_heal():
    dice = random.Random(7)
    start = time.monotonic()
    ops.json("run", "rotate")
    length = time.monotonic() - start
    for _ in range(ROUNDS):
        engine = ops.start("run", "rotate", "--json")
        time.sleep(dice.uniform(0.1, length))
        for n in fleet.assets:
            fleet.do("fault", n, "blackhole")
        time.sleep(0.1)
        engine.send_signal(signal.SIGKILL)
        engine.communicate(timeout=30)  # the wires, which have its end, die with it
        before = shadows()
        for n in fleet.assets:
            fleet.do("fault", n, "clear")
        time.sleep(1.5)
        assert shadows() == before, "a change arrived after its sender was dead"
        ops.run("run", "rotate", "--json")
        done = ops.json("run", "rotate", expect=None)
        assert done["success"] == done["total"] == 6, ops.records(done["execution"])
    ops.check_all_open(ACCOUNTS)


main()
