#!/usr/bin/env python3
"""The account that an asset is entered with: changed last, with a lifeline, and settled first.

What opens is asked of the assets' own shadow files, after kills at each step of its own change too.
"""
# time limit: 240

import os
import subprocess

from harness import CRASH, PASSWORD, WORK, Fleet, Ops, main, ssh_opens

CRASHING = os.path.join(CRASH, "lockstep")
TASKS = """
task "entries" { accounts = { "ops", "root" }, nodes = { "/" }, secret = random "plain",
	verify = { "login", "su" } }
task "two" { accounts = { "ops", "root" }, assets = { "asset1", "asset2" },
	secret = random "plain" }
task "by-key" { accounts = "ops", assets = { "asset6" }, secret = random "plain",
	verify = { "login", "su" } }
task "cut" { accounts = "ops", assets = { "asset4" }, secret = random "plain" }
task "unproved" { accounts = "ops", assets = { "asset1" }, secret = random "plain",
	verify = false }
task "all" { accounts = "*", nodes = { "/" }, secret = random "plain",
	verify = { "login", "su" } }
task "by-su" { accounts = { "ops", "root" }, assets = { "asset5" }, secret = random "plain",
	verify = { "login", "su" } }
"""
# `chpasswd` of asset 4 says yes and sets something else, once for each time that /cut is made.
CUT = r"""
mv /usr/sbin/chpasswd /usr/sbin/chpasswd.real
cat >/usr/sbin/chpasswd <<'END'
#!/bin/sh
if rm /cut 2>/dev/null; then
	sed 's/^\([^:]*:.....\).*/\1/' | /usr/sbin/chpasswd.real
else
	exec /usr/sbin/chpasswd.real
fi
END
chmod 755 /usr/sbin/chpasswd
"""
# Where a kill leaves the change of a privileged account, in the order of its life.
CORE = "core.staged core.sent core.changed core.attempt_answered core.ending".split()
WIRE = "wire.sending wire.sent wire.changed".split()
PUT_BACK = "core.putting_back core.put_back_answered".split()

fleet = ops = None


def setup():
    global fleet, ops
    path = os.path.join(WORK, "cut")
    with open(path, "w") as file:
        file.write(CUT)
    key = os.path.join(WORK, "ops-key")
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ops", "-f", key], check=True
    )
    fleet = Fleet(
        "1",
        "2:root",
        "3:nopasswd",
        f"4:accounts=app,setup={path}",
        "5:accounts=app",
        f"6:accounts=app,key={key}.pub",
    )
    ways = {2: ("root", "none"), 5: ("ops", "su")}
    rows = [
        (f"asset{n}", a, p, *ways.get(n, ("ops", "sudo")), "app")
        for n, (a, p, _) in sorted(fleet.assets.items())
    ]
    ops = Ops(fleet, rows=rows, settings="secure_mode = false,", more=TASKS, deadline="2s")
    ops.tell(*[("*", account, PASSWORD) for account in ("ops", "root", "app")])
    text = f"asset,account,password,key_file,passphrase\nasset6,ops,{PASSWORD},{key},\n"
    ops.run("account", "import", "-", stdin=text, expect=0)


def admin(n):
    return "root" if n == 2 else "ops"


def check_admins(numbers=(1, 2, 3, 4, 5, 6)):
    for n in numbers:
        told = ops.json("account", "reveal", f"asset{n}", admin(n), "--kind", "password")
        assert not told["in_doubt"] and fleet.holds(n, admin(n), told["secret"]), told


def test_it_is_changed_last():
    done = ops.json("run", "all")
    assert done["success"] == done["total"] == 13, done
    for n in fleet.assets:
        own = ops.record(done["execution"], f"asset{n}", admin(n))
        app = ops.record(done["execution"], f"asset{n}", "app")
        assert own["sent"] > app["ended"], (own, app)
        assert own["proof"] == ("su" if n == 6 else "login") and own["sends"] == 1, own
    own = ops.record(done["execution"], "asset5", "ops")
    root = ops.record(done["execution"], "asset5", "root")
    assert root["sent"] > own["ended"] and root["proof"] == "su", (root, own)
    check_admins()
    ops.check_all_open(("app",))
    ops.check_all_open(("root",), [5])


def test_one_name_is_an_account_on_each_asset():
    secrets = {ops.reveal(f"asset{n}", "ops")["secret"] for n in (1, 3, 4)}
    assert len(secrets) == 3 and PASSWORD not in secrets
    for n in (1, 3):
        address, port, _ = fleet.assets[n]
        assert ssh_opens(address, port, "ops", ops.reveal(f"asset{n}", "ops")["secret"])
        assert not ssh_opens(address, port, "ops", PASSWORD)


def test_it_is_entered_with_the_new_secret():
    for pinged in ops.json("asset", "ping", "*"):
        assert pinged["status"] == "ok", pinged
    done = ops.json("run", "all")
    assert done["success"] == done["total"] == 13, done


def test_the_old_secret_is_put_back():
    before = ops.reveal("asset4", "ops")
    fleet.sh(4, "touch", "/cut")
    done = ops.json("run", "entries", expect=1)
    record = ops.record(done["execution"], "asset4", "ops")
    assert record["status"] == "failed" and record["error"]["code"] == "put_back", record
    after = ops.reveal("asset4", "ops")
    assert after["secret"] == before["secret"] and not after["in_doubt"], after
    check_admins()


def test_without_proof_it_is_left_alone():
    done = ops.json("run", "unproved", expect=1)
    record = ops.record(done["execution"], "asset1", "ops")
    assert (record["status"], record["reason"]) == ("skipped", "no_proof"), record


def killed(task, point, *, parent=False):
    ops.lockstep = CRASHING
    done = ops.run(
        "run", task, "--json", env={"LOCKSTEP_CRASH": point + ("+parent" if parent else "")}
    )
    wanted = (-9,) if point.startswith("core.") or parent else (0, 1)
    assert done.returncode in wanted, f"{point}: exit {done.returncode}\n{done.stderr}"


def test_kills_at_each_step():
    for point in CORE + WIRE:
        for parent in (point in WIRE,) if point != "wire.sent" else (False, True):
            killed("two", point, parent=parent)
            done = ops.json("run", "two")
            assert done["success"] == done["total"] == 2, f"after {point}: {done}"
            check_admins((1, 2))
            print(f"      {point}{' and the core' if parent else ''}", flush=True)


def test_kills_of_what_sudo_needs():
    """It logs in with a key, and elevates with the password that is changed."""
    for point in ("core.sent", "core.attempt_su"):
        killed("by-key", point)
        done = ops.json("run", "by-key")
        assert done["success"] == done["total"] == 1, f"after {point}: {done}"
        check_admins((6,))
        print(f"      {point}", flush=True)


def test_kills_of_what_su_needs():
    for point in ("core.sent", "core.attempt_su", "wire.changed+parent"):
        killed("by-su", point.split("+")[0], parent="+" in point)
        done = ops.json("run", "by-su")
        assert done["success"] == done["total"] == 2, f"after {point}: {done}"
        ops.check_all_open(("ops", "root"), [5])
        print(f"      {point}", flush=True)


def test_kills_while_it_is_put_back():
    """A cut change, and the only one that knew the way back is gone: told, or it opens."""
    for point in PUT_BACK:
        fleet.sh(4, "touch", "/cut")
        killed("cut", point)
        ops.run("run", "cut", "--json")
        shown = ops.json("account", "show", "asset4", "ops")
        assert shown["state"] in ("current", "mismatch"), f"after {point}: {shown}"
        if shown["state"] == "mismatch":
            kept = ops.reveal("asset4", "ops")
            for one in [kept, *kept["candidates"]]:
                assert not fleet.holds(4, "ops", one["secret"]), f"after {point}: {one}"
            fleet.sh(4, "chpasswd", stdin=f"ops:{PASSWORD}\n")
            ops.tell(("asset4", "ops", PASSWORD))
        done = ops.json("run", "cut")
        assert done["success"] == done["total"] == 1, f"after {point}: {done}"
        check_admins((4,))
        print(f"      {point}: {shown['state']}", flush=True)


def test_a_secret_that_some_refuse_is_not_tried_on_all():
    wrong = Ops(
        fleet,
        name="wrong",
        settings="in_flight = 1,",
        rows=[
            (f"asset{n}", a, p, "ops", "sudo", "app")
            for n, (a, p, _) in sorted(fleet.assets.items())
            if n != 6
        ],
    )
    wrong.tell(("*", "ops", "Wrong-Pass.1"))
    done = wrong.json("run", "rotate", expect=1)
    assert done["total"] == 5, done
    records = wrong.records(done["execution"])
    reasons = [r["error"]["code"] if r["error"] else r["reason"] for r in records]
    assert reasons == ["auth"] * 3 + ["admin_refused"] * 2, reasons


main()
