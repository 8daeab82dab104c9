#!/usr/bin/env python3
"""Assets that have no elliptic curve: what they cost, and where their sessions are. With the
simulated fleet in great number, and with real ones behind gateways."""
# time limit: 150

import json
import os
import re
import socket
import struct
import time

from harness import LOG, Fleet, Ops, children, main
from many import Many, judge

EACH = 40
NAMES = ["app0", "app1"]
TASK = """task "many" { nodes = { "/" }, accounts = { "app*" }, secret = random "plain",
	limits = { retries = 0 } }"""

#: An sshd of before there were curves.
OLD = "sed -i '1i KexAlgorithms diffie-hellman-group14-sha256' /etc/ssh/sshd_config\n"


# ── Many ──


def peers(pid):
    """The addresses to which a process has connections that are established."""
    sockets = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            sockets.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except OSError:
            pass  # closed meanwhile
    found = set()
    with open(f"/proc/{pid}/net/tcp") as file:
        for line in file.readlines()[1:]:
            fields = line.split()
            remote, state, inode = fields[2], fields[3], fields[9]
            if state == "01" and f"socket:[{inode}]" in sockets:
                packed = struct.pack("<I", int(remote.split(":")[0], 16))
                found.add(socket.inet_ntoa(packed))
    return found


def rotate(ops, many):
    """One run; how many connections it took."""
    begun = many.stats()["begun"]
    told = ops.json("run", "many")
    assert told["total"] == told["success"] == 2 * EACH * len(NAMES), told
    return many.stats()["begun"] - begun


def watched(ops, wires):
    """One run, looked at from outside; whom each wire was seen to speak to."""
    run = ops.start("run", "many", "--json")
    seen = {pid: set() for pid in wires}
    while run.poll() is None:
        for pid in wires:
            seen[pid] |= peers(pid)
        time.sleep(0.02)
    said, _ = run.communicate()
    assert run.returncode == 0, said
    return json.loads(said)["execution"], seen


def test_a_lane_of_their_own():
    many = Many("--login-ms", 200, "--command-ms", 100)
    old = {many.address(n) for n in range(1, EACH + 1)}
    usual = {many.address(n) for n in range(EACH + 1, 2 * EACH + 1)}
    rows = many.rows(range(1, 2 * EACH + 1), NAMES)
    ops = Ops(None, name="many", deadline="30s", settings="wires = 2,", more=TASK, rows=rows)
    ops.tell(("*", "ops", "First-Pass.1"), *[("*", name, "First-Pass.1") for name in NAMES])
    many.trouble("dh", 1, EACH)
    engine = ops.lockstepd()

    def named():
        with open(LOG) as log:
            return sorted(re.findall(r"event=slow_lane asset=(\S+)", log.read()))

    try:
        ordinary = set(children(engine.pid))
        assert len(ordinary) == 2, ordinary
        # A connection for the privileged account and one for each proof; and of each that has no
        # curve one on which that was found out, the first time.
        each = 1 + len(NAMES)
        assert rotate(ops, many) == 2 * EACH * each + EACH
        [lane] = set(children(engine.pid)) - ordinary
        assert rotate(ops, many) == 2 * EACH * each
        execution, seen = watched(ops, [lane, *ordinary])
        assert seen.pop(lane) == old
        assert set.union(*seen.values()) == usual, seen
        assert many.stats()["refused"] == 0
        assert set(children(engine.pid)) - ordinary == {lane}
        assert named() == sorted(row[0] for row in rows[:EACH]), named()
    finally:
        engine.terminate()
        engine.wait(timeout=60)
    assert engine.returncode == 0
    assert judge(ops, many, execution) == {"success": 2 * EACH * len(NAMES)}
    many.stop()


# ── Behind gateways ──


def logged(number, text):
    with open(os.path.join(os.environ["FLEET_DIR"], f"{number}.log"), errors="replace") as log:
        return log.read().count(text)


def test_behind_gateways():
    script = os.path.join(os.environ["WORK"], "old")
    with open(script, "w") as file:
        file.write(OLD)
    fleet = Fleet(
        "1",
        "2:behind=1",
        f"3:behind=1,setup={script}",
        f"4:behind=1,setup={script}",
        f"5:setup={script}",
        "6:behind=5",
        net="veth",
    )
    behind = {2: 1, 3: 1, 4: 1, 6: 5}
    ops = Ops(
        fleet,
        more='task "all" { accounts = { "app", "deploy" }, nodes = { "/" }, '
        'secret = random "plain", limits = { retries = 0 } }\n',
    )
    lines = ["name,address,port,platform,admin,become,accounts,gateway"]
    for n, (address, port, _) in sorted(fleet.assets.items()):
        gateway = f"asset{behind[n]}" if n in behind else ""
        lines.append(f"asset{n},{address},{port},linux,ops,sudo,app;deploy,{gateway}")
    ops.write("inventory/assets.csv", "\n".join(lines) + "\n")
    ops.tell_all(("ops", "app", "deploy"))
    # The one whom nobody visits but to see its key.
    ops.run("asset", "trust", "asset3", "--yes", expect=0)
    found_out = {n: logged(n, "Unable to negotiate") for n in (3, 4, 5)}
    done = ops.json("run", "all")
    assert done["total"] == done["success"] == 12, done
    ops.check_all_open(("app", "deploy"))
    for n, before in found_out.items():
        # Those of one gateway may find it out one beside the other.
        assert logged(n, "Unable to negotiate") - before == 1, n
    assert not any(logged(n, "Failed password") for n in fleet.assets)


main()
