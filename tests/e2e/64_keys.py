#!/usr/bin/env python3
"""Rotates SSH keys on real assets. Plain ssh is asked which of them open, at each step, after each
kill, and when what removes the old ones fails.
"""
# time limit: 300

import os
import shutil
import subprocess

from harness import CRASH, PASSWORD, WORK, Fleet, Ops, main, ssh_opens

CRASHING = os.path.join(CRASH, "lockstep")

TASKS = """
task "ours" { accounts = "app", nodes = { "/" }, secret = ssh_key {} }
task "add" { accounts = "deploy", nodes = { "/" }, secret = ssh_key { replace = "add" } }
task "all" { accounts = "svc", nodes = { "/" },
	secret = ssh_key { type = "ecdsa", bits = 384, replace = "all" } }
task "entry" { accounts = "ops", nodes = { "/" }, secret = ssh_key { replace = "all" } }
task "words" { accounts = "app", nodes = { "/" }, secret = random "plain" }
"""

# Asset 2: keys are kept elsewhere, and the admin logs in by a key and becomes root by a password.
ELSEWHERE = """
mkdir -p /etc/ssh/keys
sed -i '1i AuthorizedKeysFile /etc/ssh/keys/%u .ssh/authorized_keys' /etc/ssh/sshd_config
"""

# As a device whose memory is full.
STUCK = """
platform "stuck" { extends = "linux", persist = function(job)
	refused("no room in the memory")
end }
"""

# Where a kill tells most: before and after what is durable, what is sent and what is removed.
KILLS = (
    "core.staged",
    "core.sent",
    "wire.changed+parent",
    "core.attempt_answered",
    "core.persisting",
    "wire.persisted+parent",
    "core.persisted",
    "core.ended",
)

fleet = ops = None


def setup():
    global fleet, ops
    admin = made("admin")
    elsewhere = os.path.join(WORK, "elsewhere.sh")
    with open(elsewhere, "w") as file:
        file.write(ELSEWHERE)
    fleet = Fleet("1", f"2:key={admin}.pub,setup={elsewhere}")
    ops = Ops(fleet, deadline="6s", more=TASKS)
    text = "asset,account,password,key_file\n"
    text += f"asset1,ops,{PASSWORD},\nasset2,ops,{PASSWORD},{admin}\n"
    ops.run("account", "import", "-", stdin=text, expect=0)


# ── Help ──


def key_opens(n, account, key):
    """A login by plain ssh with the private key in this file, and nothing else."""
    address, port, _ = fleet.assets[n]
    words = ["ssh", "-F", "none", "-i", key, "-p", str(port), "-o", "IdentitiesOnly=yes"]
    words += ["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "ConnectTimeout=10"]
    words += ["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
    done = subprocess.run(
        words + [f"{account}@{address}", "echo in"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout == "in\n"


def saved(name, text):
    path = os.path.join(WORK, name)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    return path


def revealed(n, account, version=None, ops=None):
    """The private key in a file of its own, as `account reveal` gives it."""
    words = ["account", "reveal", f"asset{n}", account, "--kind", "key", "--raw"]
    if version:
        words += ["--version", version]
    done = (ops or globals()["ops"]).run(*words, expect=0)
    return saved(f"{n}-{account}-{version or 'now'}", done.stdout)


def made(name):
    """A key of someone else's."""
    path = os.path.join(WORK, name)
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path], check=True
    )
    return path


def keys_file(n, account):
    if n == 2:
        return f"/etc/ssh/keys/{account}"
    return fleet.sh(n, "getent", "passwd", account).split(":")[5] + "/.ssh/authorized_keys"


def lines(n, account):
    return fleet.sh(n, "cat", keys_file(n, account)).splitlines()


def add_by_hand(n, account, key):
    with open(key + ".pub") as file:
        fleet.sh(n, "sh", "-c", 'cat >>"$1"', "sh", keys_file(n, account), stdin=file.read())


def rotated(task):
    done = ops.json("run", task)
    assert done["total"] == done["success"] == len(fleet.assets), (
        done,
        ops.records(done["execution"]),
    )
    return done


# ── Tests ──


def test_the_first_key_has_no_old_one():
    done = rotated("ours")
    for n in fleet.assets:
        record = ops.record(done["execution"], f"asset{n}", "app")
        assert record["kind"] == "key" and record["proof"] == "login", record
        assert record["old_version"] is None and record["new_version"] == 1, record
        assert len(lines(n, "app")) == 1, lines(n, "app")
        assert key_opens(n, "app", revealed(n, "app"))
    shown = ops.json("account", "show", "asset1", "app")
    assert [s["kind"] for s in shown["secrets"]] == ["key"], shown


def test_the_public_line_is_what_the_asset_has():
    done = ops.run("account", "reveal", "asset1", "app", "--public", expect=0)
    assert done.stdout.splitlines() == lines(1, "app"), done.stdout
    assert "PRIVATE" not in done.stdout


def test_the_second_replaces_ours_and_leaves_others():
    other = made("other")
    old = {n: revealed(n, "app", 1) for n in fleet.assets}
    for n in fleet.assets:
        add_by_hand(n, "app", other)
    rotated("ours")
    for n in fleet.assets:
        assert key_opens(n, "app", revealed(n, "app"))
        assert not key_opens(n, "app", old[n]), "the old key still opens"
        assert key_opens(n, "app", other), "a key of someone else's is gone"
        assert len(lines(n, "app")) == 2, lines(n, "app")


def test_an_earlier_key_is_set_again():
    first, second = revealed(1, "app", 1), revealed(1, "app", 2)
    done = ops.json("account", "restore", "asset1", "app", "--version", 1)
    assert done["success"] == done["total"] == 1, done
    assert key_opens(1, "app", first) and not key_opens(1, "app", second)
    with open(first) as earlier, open(revealed(1, "app")) as now:
        assert earlier.read() == now.read()


def test_added_keys_leave_all():
    rotated("add")
    first = {n: revealed(n, "deploy", 1) for n in fleet.assets}
    rotated("add")
    for n in fleet.assets:
        assert len(lines(n, "deploy")) == 2, lines(n, "deploy")
        assert key_opens(n, "deploy", first[n]) and key_opens(n, "deploy", revealed(n, "deploy"))


def test_all_others_go_and_no_password_is_needed():
    other = os.path.join(WORK, "other")
    for n in fleet.assets:
        fleet.sh(n, "usermod", "-p", "*", "svc")
    rotated("all")
    for n in fleet.assets:
        add_by_hand(n, "svc", other)
        assert key_opens(n, "svc", other)
    rotated("all")
    for n in fleet.assets:
        assert key_opens(n, "svc", revealed(n, "svc"))
        assert not key_opens(n, "svc", other), "a key that was to go still opens"
        assert len(lines(n, "svc")) == 1, lines(n, "svc")
        assert lines(n, "svc")[0].startswith("ecdsa-sha2-nistp384 "), lines(n, "svc")


def test_a_password_stands_beside_the_key():
    before = revealed(1, "app")
    rotated("words")
    told = ops.reveal("asset1", "app")
    address, port, _ = fleet.assets[1]
    assert told["kind"] == "password" and ssh_opens(address, port, "app", told["secret"])
    assert key_opens(1, "app", before), "a new password shut out the key"
    shown = ops.json("account", "show", "asset1", "app")
    assert [s["kind"] for s in shown["secrets"]] == ["password", "key"], shown
    assert [v["number"] for v in shown["versions"]] == [4, 3, 2, 1], shown


def stuck_platform(on):
    path = os.path.join(ops.dir, "inventory/assets.csv")
    with open(path) as file:
        text = file.read()
    os.makedirs(os.path.join(ops.dir, "tasks"), exist_ok=True)
    with open(path, "w") as file:
        file.write(
            text.replace(",linux,", ",stuck,") if on else text.replace(",stuck,", ",linux,")
        )


def test_what_is_not_made_permanent_is_not_believed():
    os.makedirs(os.path.join(ops.dir, "platforms"))
    ops.write("platforms/stuck.lua", STUCK)
    with open(os.path.join(ops.dir, "lockstep.lua"), "a") as file:
        file.write('include "platforms/*.lua"\n')
    stuck_platform(True)
    old = revealed(1, "app")
    for task in ("ours", "words"):
        done = ops.json("run", task, expect=1)
        record = ops.record(done["execution"], "asset1", "app")
        assert (record["status"], record["reason"]) == ("unverified", "not_persisted"), record
        assert "no room in the memory" in record["error"]["message"], record
        # A run that settles it: once more it is seen to work, and cannot be made permanent.
        if task == "ours":
            assert key_opens(1, "app", old), "the old key went, and the change is not permanent"
            stuck_platform(False)
            rotated("ours")
            assert not key_opens(1, "app", old) and key_opens(1, "app", revealed(1, "app"))
            assert ops.json("record", "show", record["id"])["status"] == "success"
            stuck_platform(True)
    stuck_platform(False)
    rotated("words")


def test_the_key_that_an_asset_is_entered_with():
    """Last, and seen to work before the old one goes; the next visit enters by the new one."""
    admin = os.path.join(WORK, "admin")
    done = ops.json("run", "entry")
    assert done["skipped"] == 2, done
    assert ops.records(done["execution"])[0]["reason"] == "secure_mode"
    with open(os.path.join(ops.dir, "lockstep.lua")) as file:
        text = file.read()
    ops.write("lockstep.lua", text.replace("settings {", "settings { secure_mode = false,", 1))
    for _ in range(2):
        assert key_opens(2, "ops", admin)
        done = rotated("entry")
        # At once, through the session that was open before: not by settling.
        for record in ops.records(done["execution"]):
            assert record["attempts"] == record["sends"] == 1, record
        assert not key_opens(2, "ops", admin), "the old key still opens"
        admin = revealed(2, "ops")
    assert [a["status"] for a in ops.json("asset", "ping", "*")] == ["ok", "ok"]


def test_a_refused_key_is_no_mismatch():
    """Nobody can tell whether its line is gone or logins are forbidden for a time."""
    fleet.sh(1, "sh", "-c", ': >"$1"', "sh", keys_file(1, "app"))
    done = ops.json("account", "verify", "asset1", "app", expect=1)
    found = {r["kind"]: (r["status"], r["reason"]) for r in ops.records(done["execution"])}
    assert found["key"] == ("unverified", "login_refused"), found


def one_opens(n, account, crashing):
    """Whether a key that is kept, whatever its stage, opens the account."""
    shown = crashing.json("account", "show", f"asset{n}", account)
    numbers = [v["number"] for v in shown["versions"] if v["kind"] == "key"]
    return any(key_opens(n, account, revealed(n, account, v, crashing)) for v in numbers[:2])


def killed_and_settled(crashing, task, account, point):
    done = crashing.run("run", task, "--json", env={"LOCKSTEP_CRASH": point})
    assert done.returncode == -9, f"{point}: exit {done.returncode}\n{done.stderr}"
    assert one_opens(1, account, crashing), f"{point}: no kept key opens any more"
    done = crashing.json("run", task)
    assert done["success"] == 1, f"after {point}: {done}"
    assert key_opens(1, account, revealed(1, account, ops=crashing)), point
    assert crashing.json("account", "list", "--in-doubt") == [], point


def test_kills():
    if not os.path.exists(CRASHING):
        print("      no kills: there is no build with --enable-crash-points")
        return
    row = [("asset1", *fleet.assets[1][:2], "ops", "sudo", "app;deploy;svc")]
    crashing = Ops(
        fleet,
        "crash",
        lockstep=CRASHING,
        deadline="2s",
        rows=row,
        more=TASKS,
        settings="secure_mode = false",
    )
    crashing.tell(("*", "ops", PASSWORD))
    crashing.json("run", "ours")
    for point in KILLS:
        killed_and_settled(crashing, "ours", "app", point)
        mark = lines(1, "app")[-1].split()[-1]
        ours = [line for line in lines(1, "app") if line.endswith(mark)]
        assert len(ours) == 1, f"after {point}: {ours}"
    # The key that the asset is entered with: the old one is gone, and the new one not yet believed.
    crashing.json("run", "entry")
    killed_and_settled(crashing, "entry", "ops", "core.sent")
    killed_and_settled(crashing, "entry", "ops", "wire.persisted+parent")
    shutil.rmtree(crashing.dir)


main()
