#!/usr/bin/env python3
"""Kills core, wire or both at every named step of a rotation's life; the next run settles it.

The names are the CRASH_POINTs of the sources, the program is the build with --enable-crash-points.
"""
# time limit: 400

import os
import re

from harness import CRASH, Fleet, Ops, Skip, main

CRASHING = os.path.join(CRASH, "lockstep")
ACCOUNTS = ("app", "deploy")
# Reached only while an earlier doubt is settled.
SETTLING = {"core.settle_tried"}

# Not of an ordinary account's password proven by login; 63_privileged.py, 64_keys.py and
# 77_checkout.py have them.
ELSEWHERE = {
    "core.attempt_su",
    "core.verified",
    "core.persisting",
    "core.persisted",
    "wire.persisted",
    "core.putting_back",
    "core.put_back_answered",
    "core.put_back_sent",
    "wire.gateway_in",
    "core.checking_out",
    "core.checked_out",
    "core.checking_in",
    "core.checked_in",
    "core.checkout_over",
    "core.checkin_begun",
}

fleet = ops = None


def points():
    found = set()
    for top, _, files in os.walk(os.path.join(os.environ["SRC"], "engine")):
        for name in files:
            with open(os.path.join(top, name)) as file:
                found.update(re.findall(r'CRASH_POINT\("([a-z_.]+)"\)', file.read()))
    return sorted(found - ELSEWHERE)


def setup():
    global fleet, ops
    if not os.path.exists(CRASHING):
        raise Skip("there is no build with --enable-crash-points")
    fleet = Fleet("1-2:accounts=app+deploy")
    rows = [
        (f"asset{n}", a, p, "ops", "sudo", "app;deploy") for n, (a, p, _) in fleet.assets.items()
    ]
    ops = Ops(fleet, lockstep=CRASHING, deadline="1s", retries=0, rows=rows)
    ops.tell_all(("ops", *ACCOUNTS))


def killed_run(point, parent):
    done = ops.run(
        "run", "rotate", "--json", env={"LOCKSTEP_CRASH": point + ("+parent" if parent else "")}
    )
    if point.startswith("core.") or parent:
        assert (
            done.returncode == -9
        ), f"{point} was not reached: exit {done.returncode}\n{done.stderr}"
    else:
        assert done.returncode in (0, 1), f"{point}: exit {done.returncode}\n{done.stderr}"


def doubt():
    """Leaves an account in doubt."""
    ops.run("run", "rotate", "--json", env={"LOCKSTEP_CRASH": "core.sent"})


def settle_and_check(point):
    done = ops.json("run", "rotate")
    assert done["success"] == done["total"] == 4, f"after {point}: {done}"
    ops.check_all_open(ACCOUNTS)
    left = [
        r for r in ops.json("record", "list") if r["status"] in ("planned", "staged", "unverified")
    ]
    assert not left, f"after {point}: {left}"


def test_every_step():
    names = points()
    assert len(names) >= 20, names
    for point in names:
        parents = (False,) if point.startswith("core.") else (False, True)
        for parent in parents:
            if point in SETTLING:
                doubt()
            killed_run(point, parent)
            settle_and_check(point)
            print(f"      {point}{' and the core' if parent else ''}", flush=True)


main()
