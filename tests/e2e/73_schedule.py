#!/usr/bin/env python3
"""lockstepd follows schedules: a run is begun when it is due, by the policy as it is then."""
# time limit: 240

import datetime
import signal
import time

from harness import Fleet, Ops, main, wait_for

TASK = """
task "soon" {{ accounts = "app", assets = "asset1", secret = random "plain", zone = "UTC",
	schedule = at "{0}" }}
"""

fleet = ops = None


def policy(more=""):
    ops.write("lockstep.lua", Ops.policy_text(more=more))


def setup():
    global fleet, ops
    fleet = Fleet("1")
    ops = Ops(fleet)
    policy()
    ops.tell_all()


def next_minute():
    """One that begins in twenty seconds or more."""
    now = datetime.datetime.utcnow() + datetime.timedelta(seconds=80)
    return now.replace(second=0, microsecond=0)


def executions(trigger):
    return [e for e in ops.json("execution", "list") if e["trigger"] == trigger]


def test_a_run_is_begun_when_it_is_due():
    before = fleet.shadow(1)["app"]
    daemon = ops.lockstepd()
    try:
        # The daemon learns of it by a reload.
        due = next_minute()
        policy(TASK.format(due.strftime("%Y-%m-%d %H:%M")))
        ops.run("reload", expect=0)
        told = ops.json("task", "show", "soon")
        assert told["next"].startswith(due.strftime("%Y-%m-%dT%H:%M:00")), told
        assert not executions("schedule")
        wait_for(lambda: executions("schedule"), seconds=100)
        (run,) = wait_for(lambda: [e for e in executions("schedule") if e["ended"]])
        assert run["task"] == "soon" and run["counts"]["success"] == 1, run
        assert run["started"] >= due.strftime("%Y-%m-%dT%H:%M:00"), run
        assert fleet.shadow(1)["app"] != before
        ops.check_all_open(("app",))
        shown = ops.json("task", "show", "soon")
        assert shown["next"] is None and shown["last"]["id"] == run["id"], shown
        # Once: neither a reload nor a restart begins it again.
        ops.run("reload", expect=0)
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(timeout=30) == 0
        daemon = ops.lockstepd()
        time.sleep(2)
        assert len(executions("schedule")) == 1
    finally:
        daemon.kill()
        daemon.wait()


if __name__ == "__main__":
    main()
