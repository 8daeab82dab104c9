#!/usr/bin/env python3
"""A gateway that dies, hangs and wakes up again while assets behind it are rotated: every status is
held against the assets' own shadow files."""
# time limit: 240

import json
import os
import time

from harness import Fleet, Ops, main, wait_for

INNER = range(2, 10)
INSIDE = 'task "inside" { accounts = "app", nodes = "/", exclude = { assets = "asset1" } }'
fleet = ops = None


def setup():
    global fleet, ops
    fleet = Fleet("1", *[f"{n}:behind=1" for n in INNER], net="veth")
    ops = Ops(fleet, settings='connect_timeout = "2s", login_timeout = "8s"', more=INSIDE)
    lines = ["name,address,port,platform,admin,become,accounts,gateway"]
    for n, (address, port, _) in sorted(fleet.assets.items()):
        gateway = "asset1" if n in INNER else ""
        lines.append(f"asset{n},{address},{port},linux,ops,sudo,app;deploy;svc,{gateway}")
    ops.write("inventory/assets.csv", "\n".join(lines) + "\n")
    ops.tell_all()


def logged(number, text):
    with open(os.path.join(os.environ["FLEET_DIR"], f"{number}.log"), errors="replace") as log:
        return log.read().count(text)


def signalled(name):
    """Sends a signal to the gateway's sessions; whether there were any."""
    script = f"pkill -{name} -f 'sshd: op[s]' && echo yes || true"
    return fleet.sh(1, "sh", "-c", script)


def settled(execution):
    """Every record is true: what the vault has is what the asset holds."""
    for record in ops.records(execution):
        told = ops.reveal(record["asset"], record["account"])
        assert record["status"] in ("success", "failed"), record
        assert not told["in_doubt"], told
        assert fleet.holds(int(record["asset"][5:]), record["account"], told["secret"]), record


def run_and(signal, pause):
    run = ops.start("run", "rotate", "--json")
    time.sleep(pause)
    wait_for(lambda: signalled(signal), 5)
    out, err = run.communicate(timeout=80)
    done = json.loads(out)
    assert done["total"] == 27, (done, err)
    return done


def test_it_dies():
    for pause in (0.8, 1.6):
        before = logged(1, "Accepted password for ops")
        done = run_and("KILL", pause)
        assert done["success"] >= 22, done
        settled(done["execution"])
        # A session for its own accounts, one as a gateway, and one as that again.
        assert logged(1, "Accepted password for ops") - before >= 3


def test_it_answers_late():
    """Longer than an idle gateway is kept, after an opening that failed: nobody waits for ever."""
    fleet.do("pause", 1)
    run = ops.start("run", "inside", "--json")
    time.sleep(17)
    fleet.do("resume", 1)
    out, err = run.communicate(timeout=40)
    done = json.loads(out)
    assert done["total"] == done["success"] == len(INNER), (done, err)


def test_it_hangs_and_wakes_up_too_late():
    """What was on its way when it stopped arrives after all was settled and rotated again."""
    done = run_and("STOP", 1.2)
    assert done["success"] >= 20, done
    done = ops.json("run", "rotate")
    assert done["success"] == 27, done
    assert signalled("CONT")
    time.sleep(1)
    settled(done["execution"])


main()
