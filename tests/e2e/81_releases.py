#!/usr/bin/env python3
"""The same rotations on other systems than this machine's: dropbear with BusyBox, and other
releases of Debian. Making these takes a minute each the first time: without --long, only what is
there already is tried."""
# time limit: 240

import os
import subprocess
import time

from harness import PASSWORD, Fleet, Ops, Skip, main, need_fleet, ssh_opens

ROOT = os.path.join(os.path.dirname(os.environ["FLEET"]), "root")
ACCOUNTS = ("app", "deploy", "svc")
KEYS = 'task "keys" { accounts = "svc", nodes = { "/" }, secret = ssh_key {} }'


def root(name):
    """The directory of a root; raises Skip where it cannot be made here."""
    done = subprocess.run([ROOT, name], stdout=subprocess.PIPE, text=True)
    last = done.stdout.strip().splitlines()[-1:]
    if done.returncode == 77:
        raise Skip("".join(last))
    assert done.returncode == 0, done
    return last[0]


class System:
    """Two assets of one kind: on the first root logs in, on the second ops elevates."""

    def __init__(self, fleet, name, become):
        self.fleet = fleet
        self.become = become
        rows = [self.row(1), self.row(2)]
        self.ops = Ops(self.fleet, name=name, rows=rows, deadline="5s", retries=0, more=KEYS)
        self.ops.tell_all(("root", "ops", *ACCOUNTS))

    def row(self, n):
        address, port, _ = self.fleet.assets[n]
        admin, become = ("root", "none") if n == 1 else ("ops", self.become)
        return (f"asset{n}", address, port, admin, become, ";".join(ACCOUNTS))

    def sh(self, script):
        for n in self.fleet.assets:
            self.fleet.sh(n, "sh", "-euc", script)

    def run(self):
        """What each account's record came to; the same on both assets."""
        done = self.ops.judged("run", "rotate")
        found = {}
        for record in self.ops.records(done["execution"]):
            end = record["status"], record["reason"] or (record["error"] or {}).get("code")
            assert found.setdefault(record["account"], end) == end, record
        return found

    def rotates(self):
        found = self.run()
        assert set(found.values()) == {("success", None)}, found
        for n, (address, port, _) in self.fleet.assets.items():
            new = self.ops.reveal(f"asset{n}", "app")["secret"]
            assert ssh_opens(address, port, "app", new), n
            assert not ssh_opens(address, port, "app", PASSWORD), n

    def skips_what_is_locked_or_expired(self):
        self.sh(
            "sed -i -e 's/^app:/app:!/' "
            "-e 's/^\\(deploy:[^:]*:[^:]*:[^:]*:[^:]*:[^:]*:[^:]*\\):[^:]*/\\1:1/' /etc/shadow"
        )
        found = self.run()
        self.sh(
            "sed -i -e 's/^app:!/app:/' "
            "-e 's/^\\(deploy:[^:]*:[^:]*:[^:]*:[^:]*:[^:]*:[^:]*\\):[^:]*/\\1:/' /etc/shadow"
        )
        assert found == {
            "app": ("skipped", "locked"),
            "deploy": ("skipped", "expired"),
            "svc": ("success", None),
        }, found

    def rotates_keys(self):
        """A key opens, the next one does, and then the first one does not."""
        keys = {n: [] for n in self.fleet.assets}
        for _ in range(2):
            done = self.ops.json("run", "keys")
            assert done["success"] == done["total"] == 2, self.ops.records(done["execution"])
            for n in self.fleet.assets:
                keys[n].append(self.key(n))
        for n, (old, new) in keys.items():
            assert self.key_opens(n, new) and not self.key_opens(n, old), n

    def key(self, n):
        shown = self.ops.run(
            "account", "reveal", f"asset{n}", "svc", "--kind", "key", "--raw", expect=0
        )
        path = os.path.join(self.ops.dir, f"key-{n}-{time.monotonic_ns()}")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(shown.stdout)
        return path

    def key_opens(self, n, key):
        address, port, _ = self.fleet.assets[n]
        words = ["ssh", "-F", "none", "-i", key, "-p", str(port), "-o", "IdentitiesOnly=yes"]
        words += ["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"]
        words += ["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
        done = subprocess.run(
            [*words, f"svc@{address}", "echo in"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        return done.stdout == "in\n"

    def fails_where_it_refuses(self):
        self.sh(
            "p=$(command -v chpasswd); mv $p /root/chpasswd; "
            "printf '#!/bin/sh\\ncat >/dev/null\\nexit 1\\n' >$p; chmod 755 $p"
        )
        found = self.run()
        self.sh("mv /root/chpasswd $(command -v chpasswd)")
        assert set(found.values()) == {("failed", "refused")}, found


def smoke(name, become="sudo", options=""):
    directory = root(name)
    fleet = Fleet(f"1:root,rootfs={directory}{options}", f"2:rootfs={directory}{options}")
    try:
        system = System(fleet, name, become)
        system.rotates()
        system.skips_what_is_locked_or_expired()
        system.rotates_keys()
        system.fails_where_it_refuses()
        system.rotates()
    finally:
        fleet.stop()


def setup():
    need_fleet()


def test_busybox_with_dropbear():
    smoke("busybox", become="su", options=",dropbear")


def release(name):
    if not os.environ.get("LONG") and not os.path.exists(root_of(name)):
        print(f"      not tried: no root of {name} is here; --long makes it")
        return
    smoke(name)


def root_of(name):
    cache = os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache"))
    return os.path.join(os.environ.get("FLEET_ROOTS", cache + "/lockstep-roots"), name + ".recipe")


def test_bullseye():
    release("bullseye")


def test_trixie():
    release("trixie")


main()
