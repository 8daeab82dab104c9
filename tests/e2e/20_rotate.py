#!/usr/bin/env python3
"""Rotates accounts of real assets, each with another way in, and asks plain ssh what opens."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

from harness import PASSWORD, WORK, Fleet, Ops, main, ssh_opens

fleet = ops = None
secrets = {}


def setup():
    global fleet, ops
    key = os.path.join(WORK, "ops-key")
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ops", "-f", key], check=True
    )
    root_key = os.path.join(WORK, "root-key")
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ecdsa", "-N", "a phrase", "-C", "root", "-f", root_key],
        check=True,
    )
    fleet = Fleet(
        "1-2",
        "3:keyboard",
        f"4:key={key}.pub,nopasswd",
        "5:root",
        f"6:root,key={root_key}.pub",
        "7:nopasswd",
    )
    rows = []
    for n, (address, port, _) in sorted(fleet.assets.items()):
        admin, become = ("root", "none") if n in (5, 6) else ("ops", "sudo")
        rows.append((f"asset{n}", address, port, admin, become, "app;deploy;svc"))
    ops = Ops(fleet, rows=rows)
    lines = ["asset,account,password,key_file,passphrase"]
    for n in sorted(fleet.assets):
        if n == 4:
            lines.append(f"asset4,ops,,{key},")
        elif n == 6:
            lines.append(f"asset6,root,,{root_key},a phrase")
        else:
            lines.append(f"asset{n},{'root' if n == 5 else 'ops'},{PASSWORD},,")
        lines.append(f"asset{n},app,{PASSWORD},,")
        lines.append(f"asset{n},deploy,{PASSWORD},,")
    ops.run("account", "import", "-", stdin="\n".join(lines) + "\n", expect=0)


def test_ping():
    for pinged in ops.json("asset", "ping", "*"):
        assert pinged["status"] == "ok", pinged


def test_every_way_in_succeeds():
    done = ops.judged("run", "rotate")
    assert done["total"] == done["success"] == 21, done
    assert done["failed"] == done["unverified"] == done["skipped"] == 0, done
    for record in ops.records(done["execution"]):
        assert record["status"] == "success" and record["error"] is None, record
    ops.check_all_open()


def agrees(n):
    address, port, _ = fleet.assets[n]
    secret = secrets[n]
    return ssh_opens(address, port, "app", secret) and not ssh_opens(address, port, "app", PASSWORD)


def test_plain_ssh_agrees():
    for n in fleet.assets:
        secrets[n] = ops.reveal(f"asset{n}", "app")["secret"]
    with ThreadPoolExecutor() as pool:
        assert all(pool.map(agrees, fleet.assets))


def test_unmanaged_account_is_taken_over():
    told = ops.json("account", "show", "asset1", "svc")
    assert [v["number"] for v in told["versions"]] == [1], told


def test_again_by_hash():
    ops.write(
        "tasks/by-hash.lua",
        'task "by-hash" { accounts = "app", nodes = { "/" }, '
        'secret = random "plain", verify = "hash" }\n',
    )
    with open(os.path.join(ops.dir, "lockstep.lua"), "a") as file:
        file.write('include "tasks/*.lua"\n')
    done = ops.judged("run", "by-hash")
    assert done["total"] == done["success"] == 7, done
    ops.check_all_open()
    versions = ops.json("account", "show", "asset1", "app")["versions"]
    assert versions[0]["proof"] == "hash", versions


def test_host_keys_are_pinned():
    listed = {a["name"]: a for a in ops.json("asset", "list")}
    for n, (_, _, fingerprint) in fleet.assets.items():
        assert fingerprint in [k["fingerprint"] for k in listed[f"asset{n}"]["host_keys"]], listed


main()
