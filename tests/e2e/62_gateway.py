#!/usr/bin/env python3
"""Assets that only a gateway reaches, and one behind two: what goes right, and what can go wrong.
Every status is held against the assets' own shadow files."""
# time limit: 240

import os
import socket
import time

from harness import PASSWORD, WORK, Fleet, Ops, main

MANY = range(3, 15)
fleet = ops = None

#: Another host key for an asset that nothing but its gateway reaches.
REKEY = """rm -f /etc/ssh/ssh_host_ed25519_key*
ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key; kill -HUP 1"""

#: Which asset each is behind.
BEHIND = {2: 1, **{n: 1 for n in MANY}, 15: 2, 17: 16, 19: 18}


def setup():
    global fleet, ops
    forbid = os.path.join(WORK, "forbid")
    with open(forbid, "w") as file:
        file.write("sed -i '1i AllowTcpForwarding no' /etc/ssh/sshd_config\n")
    fleet = Fleet(
        "1",
        "2:behind=1",
        *[f"{n}:behind=1" for n in MANY],
        "15:behind=2",
        f"16:setup={forbid}",
        "17:behind=16",
        "18",
        "19:behind=18",
        net="veth",
    )
    ops = Ops(
        fleet,
        settings='connect_timeout = "2s", login_timeout = "8s"',
        more="".join(
            f'task "{a}" {{ accounts = "app", assets = {{ "{a}" }}, '
            'secret = random "plain", limits = { retries = 0 } }\n'
            for a in ("asset17", "asset19")
        ),
    )
    lines = ["name,address,port,platform,admin,become,accounts,gateway"]
    for n, (address, port, _) in sorted(fleet.assets.items()):
        gateway = f"asset{BEHIND[n]}" if n in BEHIND else ""
        lines.append(f"asset{n},{address},{port},linux,ops,sudo,app;deploy;svc,{gateway}")
    ops.write("inventory/assets.csv", "\n".join(lines) + "\n")
    ops.tell_all()


def logged(number, text):
    with open(os.path.join(os.environ["FLEET_DIR"], f"{number}.log"), errors="replace") as log:
        return log.read().count(text)


def one(asset):
    """The record of its app, in a run of its own task."""
    done = ops.json("run", asset, expect=None)
    assert done["total"] == 1, done
    return ops.record(done["execution"], asset, "app")


def test_they_cannot_be_reached_directly():
    for n in (3, 15):
        try:
            socket.create_connection(fleet.assets[n][:2], timeout=0.5).close()
        except OSError:
            continue
        raise AssertionError(f"asset{n} answers")


def test_ping_goes_through():
    for name in ("asset2", "asset3", "asset15"):
        [pinged] = ops.json("asset", "ping", name)
        assert pinged["status"] == "ok", pinged


def test_everything_behind_one_session():
    before = logged(1, "Accepted password for ops"), logged(2, "Accepted password for ops")
    ops.write(
        "tasks/all.lua",
        'task "all" { accounts = { "app", "deploy", "svc" }, nodes = { "/" }, '
        'exclude = { assets = { "asset16", "asset17" } }, secret = random "plain" }\n',
    )
    with open(os.path.join(ops.dir, "lockstep.lua"), "a") as file:
        file.write('include "tasks/*.lua"\n')
    done = ops.json("run", "all")
    assert done["total"] == done["success"] == 51, done
    ops.check_all_open(numbers=[n for n in fleet.assets if n not in (16, 17)])
    # A session for what is behind it, and one for its own accounts.
    assert logged(1, "Accepted password for ops") - before[0] == 2
    assert logged(2, "Accepted password for ops") - before[1] == 2


def test_a_gateway_that_forbids_it():
    record = one("asset17")
    assert record["status"] == "failed", record
    assert record["error"]["class"] == "permanent" and record["error"]["code"] == "gateway", record
    assert "asset16" in record["error"]["message"], record
    assert "AllowTcpForwarding" in record["error"]["message"], record
    assert fleet.holds(17, "app", PASSWORD)


def test_a_gateway_with_another_password():
    ops.tell(("asset18", "ops", "not-the-one"))
    before = logged(18, "Failed password for ops")
    record = one("asset19")
    assert record["status"] == "failed" and record["error"]["class"] == "permanent", record
    assert record["error"]["code"] == "gateway", record
    assert "asset18: the asset refused the password of ops" in record["error"]["message"], record
    assert logged(18, "Failed password for ops") - before == 1
    ops.tell(("asset18", "ops", PASSWORD))


def test_a_gateway_that_hangs():
    fleet.do("pause", 18)
    start = time.monotonic()
    try:
        record = one("asset19")
    finally:
        fleet.do("resume", 18)
    assert record["status"] == "failed" and record["error"]["class"] == "retry", record
    assert record["error"]["code"] == "gateway", record
    assert "asset18" in record["error"]["message"], record
    assert time.monotonic() - start < 15


def test_a_gateway_with_another_host_key():
    assert ops.json("asset", "ping", "asset19")[0]["status"] == "ok"
    fleet.do("rekey", 18)
    record = one("asset19")
    assert record["status"] == "failed" and record["error"]["code"] == "gateway", record
    assert "asset18: " in record["error"]["message"], record
    assert "SHA256" in record["error"]["message"], record
    ops.run("asset", "trust", "asset18", "--yes", expect=0)
    assert one("asset19")["status"] == "success"


def test_the_key_of_an_asset_behind_it_changes():
    fleet.do("sh", 19, "sh", "-c", REKEY)
    record = one("asset19")
    assert record["status"] == "failed" and record["error"]["code"] == "host_key", record
    assert "asset18" not in record["error"]["message"], record
    ops.run("asset", "trust", "asset19", "--yes", expect=0)
    assert one("asset19")["status"] == "success"


main()
