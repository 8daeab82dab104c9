#!/usr/bin/env python3
"""SSH keys on real servers: added, seen to open, and what they replace removed; never fewer working
keys than before."""
# time limit: 180

import os
import subprocess

from harness import PASSWORD, WORK, Fleet, Ops, main

fleet = None
ROOT = os.path.join(os.path.dirname(os.environ["FLEET"]), "root")
KEYS = "/home/app/.ssh/authorized_keys"


def busybox():
    """A root of BusyBox with dropbear, where one can be made here."""
    done = subprocess.run([ROOT, "busybox"], stdout=subprocess.PIPE, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def setup():
    global fleet
    root = busybox()
    fleet = Fleet("1", "2:root", *([f"3:root,rootfs={root},dropbear"] if root else []))


def key_pair(name):
    path = os.path.join(WORK, name)
    if not os.path.exists(path):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path], check=True
        )
    with open(path + ".pub") as file:
        return path, file.read().strip()


def opens(number, key):
    """Whether the private key in a file lets app in, by plain ssh."""
    address, port, _ = fleet.assets[number]
    done = subprocess.run(
        ["ssh", "-F", "none", "-p", str(port), "-i", key, "-o", "IdentitiesOnly=yes"]
        + ["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR"]
        + ["-o", "UserKnownHostsFile=/dev/null", f"app@{address}", "echo in"],
        capture_output=True,
        text=True,
    )
    return done.stdout == "in\n"


def ops(number=None, replace="ours", name="keys"):
    numbers = [number] if number else sorted(fleet.assets)
    rows = []
    for n in numbers:
        address, port, _ = fleet.assets[n]
        admin, become = ("ops", "sudo") if n == 1 else ("root", "none")
        rows.append((f"asset{n}", address, port, admin, become, "app"))
    made = Ops(
        fleet,
        name=name,
        rows=rows,
        deadline="10s",  # a file of keys is synced, on a disk that others keep busy
        more='task "keys" { accounts = { "app" }, nodes = { "/" },'
        ' secret = ssh_key { type = "ed25519", replace = "%s" } }' % replace,
    )
    made.tell(*[(row[0], row[3], PASSWORD) for row in rows])
    return made


def rotate(made, expect=0):
    done = made.json("run", "keys", expect=expect)
    return {r["asset"]: r for r in made.records(done["execution"])}


def lines(number, path=KEYS):
    return fleet.sh(number, "cat", path).splitlines()


def put(number, *texts, mode="600"):
    """The file of keys as it is before: these lines, and nothing else about."""
    fleet.sh(
        number,
        "sh",
        "-c",
        "cd /home/app && rm -rf .ssh x && mkdir -m 700 .ssh && cat >.ssh/authorized_keys && "
        f"chmod {mode} .ssh/authorized_keys && chown -R app .ssh && chmod 755 .",
        stdin="".join(text + "\n" for text in texts),
    )


def test_first_key_of_all():
    for number in fleet.assets:
        fleet.sh(number, "sh", "-c", "rm -rf /home/app/.ssh; chmod 755 /home/app")
    made = ops()
    records = rotate(made)
    assert {(r["status"], r["proof"]) for r in records.values()} == {("success", "login")}, records
    for number in fleet.assets:
        assert len(lines(number)) == 1
        modes = fleet.sh(number, "stat", "-c", "%a %U", KEYS, "/home/app/.ssh").split()
        assert modes == ["600", "app", "700", "app"], modes


def test_ours_alone_are_replaced():
    private, public = key_pair("someone")
    kept = ["# a comment", public, f'from="192.0.2.0/24" {public}']
    for number in fleet.assets:
        put(number, *kept)
    made = ops(name="ours")
    rotate(made)
    first = {n: lines(n) for n in fleet.assets}
    records = rotate(made)
    assert all(r["status"] == "success" for r in records.values()), records
    for number in fleet.assets:
        now = lines(number)
        assert first[number][:3] == now[:3] == kept, now
        assert len(first[number]) == len(now) == 4, now
        assert first[number][3] != now[3], now
        assert first[number][3].split()[2] == now[3].split()[2], now
        assert opens(number, private)


def test_all_others_go():
    private, public = key_pair("someone")
    for number in fleet.assets:
        put(number, "# a comment", public)
        assert opens(number, private)
    records = rotate(ops(replace="all", name="all"))
    assert all(r["status"] == "success" for r in records.values()), records
    for number in fleet.assets:
        assert len(lines(number)) == 2 and lines(number)[0] == "# a comment", lines(number)
        assert not opens(number, private)


def test_add_removes_nothing():
    _, public = key_pair("someone")
    put(1, public)
    made = ops(1, replace="add", name="add")
    rotate(made)
    rotate(made)
    assert len(lines(1)) == 3 and lines(1)[0] == public, lines(1)


def skipped(how, word, undo="true"):
    """What cannot be done is said before anything is sent, and all keys work as before."""
    private, public = key_pair("someone")
    put(1, public)
    fleet.sh(1, "sh", "-c", f"cd /home/app && {how}")
    worked = opens(1, private)
    (record,) = rotate(ops(1, name="skipped"), expect=1).values()
    assert record["status"] == "skipped" and record["reason"] == "no_proof", record
    assert word in str(record), record
    assert record["sends"] == 0, record
    assert opens(1, private) == worked, how
    fleet.sh(1, "sh", "-c", undo)


def test_what_is_left_alone():
    skipped("mv .ssh x && ln -s x .ssh", "is a symbolic link")
    skipped("mv .ssh/authorized_keys x && ln -s ../x .ssh/authorized_keys", "is a symbolic link")
    skipped("ln .ssh/authorized_keys x", "hard links")
    skipped("chmod 666 .ssh/authorized_keys", "may be written by everyone")
    skipped("chown daemon .ssh/authorized_keys", "is of uid 1")


def reload(number, *settings):
    """Other settings for the server that runs."""
    text = "".join(setting + "\n" for setting in settings)
    fleet.sh(
        number,
        "sh",
        "-c",
        "[ -e /etc/ssh/sshd_config.old ] || cp /etc/ssh/sshd_config /etc/ssh/sshd_config.old; "
        "{ cat; cat /etc/ssh/sshd_config.old; } >/etc/ssh/sshd_config; kill -HUP 1; sleep 0.5",
        stdin=text,
    )


def test_keys_elsewhere():
    """A directory of root's: worked in by root, and found by what sshd says itself."""
    _, public = key_pair("someone")
    fleet.sh(1, "sh", "-c", "mkdir -p /etc/ssh/keys && cat >/etc/ssh/keys/app", stdin=public + "\n")
    reload(1, "AuthorizedKeysFile /etc/ssh/keys/%u")
    (record,) = rotate(ops(1, name="elsewhere")).values()
    assert record["status"] == "success", record
    found = lines(1, "/etc/ssh/keys/app")
    assert len(found) == 2 and found[0] == public, found
    reload(1)


def test_what_sshd_forbids():
    for settings, word in (
        (["DenyUsers app"], "DenyUsers names it"),
        (["AllowUsers ops"], "AllowUsers does not name it"),
        (["PubkeyAuthentication no"], "PubkeyAuthentication is no"),
        (["AuthorizedKeysFile none"], "AuthorizedKeysFile is none"),
    ):
        reload(1, *settings)
        skipped("true", word)
    # For passwords too.
    reload(1, "DenyUsers app")
    made = ops(1, name="denied")
    done = made.judged("run", "rotate", expect=1)
    (record,) = made.records(done["execution"])
    assert record["reason"] == "no_proof" and "DenyUsers names it" in str(record), record
    reload(1, "AllowUsers ops a*")
    done = ops(1, name="allowed").judged("run", "rotate", expect=0)
    assert done["success"] == 1, done
    reload(1)


main()
