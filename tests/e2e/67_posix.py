#!/usr/bin/env python3
"""Systems that have passwd and nothing better: its questions are answered, on Linux and BusyBox."""
# time limit: 120

import os
import subprocess

from harness import PASSWORD, Fleet, Ops, main

fleet = None
FLEET_DIR = os.path.dirname(os.environ["FLEET"])


def busybox():
    """A root of BusyBox with dropbear, where one can be made here."""
    maker = os.path.join(FLEET_DIR, "root")
    done = subprocess.run([maker, "busybox"], stdout=subprocess.PIPE, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def setup():
    global fleet
    root = busybox()
    others = [f"4:root,rootfs={root},dropbear"] if root else []
    fleet = Fleet("1", "2:root", "3", *others)
    for number in fleet.assets:
        # Nothing but passwd, as far as platforms can see.
        fleet.sh(
            number, "sh", "-c", 'p=$(command -v chpasswd) && cp "$p" /root/chpasswd && rm "$p"'
        )


def ops(verify="login", **more):
    rows = []
    fresh = "".join(f"{account}:{PASSWORD}\n" for account in ("app", "deploy", "svc"))
    for number, (address, port, _) in sorted(fleet.assets.items()):
        fleet.sh(number, "/root/chpasswd", stdin=fresh)
        admin, become = {1: ("ops", "sudo"), 3: ("ops", "su")}.get(number, ("root", "none"))
        rows.append((f"asset{number}", address, port, admin, become, "app;deploy;svc"))
    made = Ops(fleet, rows=rows, verify=verify, **more)
    # The column says linux for all of them.
    path = os.path.join(made.dir, "inventory/assets.csv")
    with open(path) as file:
        text = file.read().replace(",linux,", ",posix,")
    made.write("inventory/assets.csv", text)
    made.tell_all(("ops", "root", "app", "deploy", "svc"))
    return made


def test_passwd():
    made = ops()
    done = made.judged("run", "rotate", expect=0)
    assert done["success"] == 3 * len(fleet.assets), done
    made.check_all_open()


def test_by_hash():
    done = ops(verify="hash").judged("run", "rotate")
    assert done["success"] == 3 * len(fleet.assets), done


def test_insists_on_a_terminal():
    """passwd is run on a terminal of its own where it will not ask without one."""
    script = """#!/bin/sh
        [ -t 0 ] || { echo 'not a terminal' >&2; exit 1; }
        exec /usr/bin/passwd "$@"
        """
    for number in (1, 2, 3):
        fleet.sh(
            number,
            "sh",
            "-c",
            "cat >/usr/local/bin/passwd; chmod 755 /usr/local/bin/passwd",
            stdin=script,
        )
    done = ops(name="terminal").judged("run", "rotate", expect=0)
    assert done["success"] == 3 * len(fleet.assets), done
    for number in (1, 2, 3):
        fleet.sh(number, "rm", "/usr/local/bin/passwd")


def test_refused_by_quality():
    """passwd asks again and again: its input ends, its end is seen, nothing is in doubt."""
    script = """#!/bin/sh
        printf 'New password: '; read a; echo 'BAD PASSWORD: too simple'
        printf 'New password: '; read a || { echo Sorry; exit 10; }
        """
    fleet.sh(1, "sh", "-c", "cat >/usr/local/bin/passwd; chmod 755 /usr/local/bin/passwd",
             stdin=script)
    made = ops(name="bad")
    done = made.judged("run", "rotate")
    records = [r for r in made.records(done["execution"]) if r["asset"] == "asset1"]
    for record in records:
        assert record["status"] == "failed", record
        assert "BAD PASSWORD" in record["error"]["message"], record
    fleet.sh(1, "rm", "/usr/local/bin/passwd")


main()
