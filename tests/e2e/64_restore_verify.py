#!/usr/bin/env python3
"""Secrets that a policy names, earlier versions set again, and accounts that are only looked at."""

from harness import PASSWORD, Fleet, Ops, main

TASKS = """
task "named" { accounts = "app", nodes = { "/" }, secret = specified "shared/app" }
"""

fleet = ops = None


def setup():
    global fleet, ops
    fleet = Fleet("1-2")
    ops = Ops(fleet, more=TASKS)
    ops.tell_all()


def by_account(records):
    return {r["account"]: r for r in records}


def password(asset, account):
    """What `account show` says of the password alone."""
    shown = ops.json("account", "show", asset, account)
    return next(s for s in shown["secrets"] if s["kind"] == "password")


def verify(*args, expect=0):
    done = ops.json("account", "verify", *args, expect=expect)
    return done, ops.records(done["execution"])


# ── A secret that the policy names ──


def test_a_named_secret_is_set():
    ops.run("secret", "set", "shared/app", stdin="One-For.Both=2\n", expect=0)
    done = ops.json("run", "named")
    assert done["success"] == done["total"] == 2, done
    for n in fleet.assets:
        assert fleet.holds(n, "app", "One-For.Both=2")


# ── An earlier version ──


def test_an_earlier_version_is_set_again():
    done = ops.json("run", "rotate")
    assert done["success"] == done["total"], done
    versions = ops.json("account", "show", "asset1", "app")["versions"]
    number = next(v["number"] for v in versions if v["stage"] == "previous")
    done = ops.json("account", "restore", "asset1", "app", "--version", number)
    assert done["success"] == done["total"] == 1, done
    assert fleet.holds(1, "app", "One-For.Both=2")
    ops.check_all_open()
    assert password("asset1", "app")["current"] > number
    assert ops.json("execution", "show", done["execution"])["trigger"] == "restore"


def test_a_record_is_undone():
    before = ops.reveal("asset2", "deploy")["secret"]
    done = ops.json("run", "rotate")
    record = ops.record(done["execution"], "asset2", "deploy")
    assert not fleet.holds(2, "deploy", before)
    ops.json("record", "restore", record["id"])
    assert fleet.holds(2, "deploy", before)
    ops.check_all_open()


def test_what_cannot_be_restored_is_said():
    current = password("asset1", "app")["current"]
    for args, words in (
        (("asset1", "app", "--version", current), "current one"),
        (("asset1", "app", "--version", 999), "has no version 999"),
        (("asset1", "app"), "which version"),
        (("asset1", "ops", "--version", 1), "current one"),
    ):
        done = ops.run("account", "restore", *args, expect=2)
        assert words in done.stderr, done.stderr


# ── Looking only ──


def test_what_opens_is_seen():
    done, records = verify("asset1")
    assert done["success"] == done["total"] == 4, done
    assert all(r["proof"] == "login" and r["sends"] == 0 for r in records), records
    assert ops.json("execution", "show", done["execution"])["trigger"] == "verify"
    assert password("asset1", "app")["proof"] == "login"


def test_what_is_found_is_the_reason():
    fleet.sh(2, "chpasswd", stdin="app:By-Hand.1\n")
    fleet.sh(2, "usermod", "-L", "deploy")
    fleet.sh(2, "userdel", "-f", "svc")
    done, records = verify("asset2", expect=1)
    found = {a: (r["status"], r["reason"]) for a, r in by_account(records).items()}
    assert found == {
        "app": ("failed", "mismatch"),
        "deploy": ("unverified", "locked"),
        "ops": ("success", None),
        "svc": ("unverified", "absent"),
    }, found
    assert ops.json("account", "show", "asset2", "app")["state"] == "mismatch"
    fleet.sh(2, "chpasswd", stdin=f"app:{ops.reveal('asset2', 'app')['secret']}\n")
    done, _ = verify("asset2", "app")
    assert done["success"] == 1
    assert ops.json("account", "show", "asset2", "app")["state"] == "current"


def test_what_sshd_keeps_out_is_seen_otherwise():
    config = "printf 'DenyUsers app\\n' >>/etc/ssh/sshd_config; kill -HUP 1"
    fleet.sh(1, "sh", "-c", config)
    _, records = verify("asset1", "app")
    assert records[0]["status"] == "success" and records[0]["proof"] == "su", records


def test_a_barred_login_is_no_mismatch():
    """PAM refuses it, whatever the password, and tells nobody."""
    bar = (
        "auth [success=1 default=ignore] pam_succeed_if.so quiet user != app\\n"
        "auth requisite pam_deny.so\\n"
    )
    fleet.sh(2, "sh", "-c", f"printf '{bar}' >/etc/pam.d/new; cat /etc/pam.d/sshd >>/etc/pam.d/new")
    fleet.sh(2, "mv", "/etc/pam.d/new", "/etc/pam.d/sshd")
    _, records = verify("asset2", "app", expect=1)
    assert (records[0]["status"], records[0]["reason"]) == ("unverified", "login_refused"), records
    assert ops.json("account", "show", "asset2", "app")["state"] == "current"


def test_what_is_away_is_unreachable():
    fleet.do("stop", 2)
    _, records = verify("asset2", "app", expect=1)
    assert (records[0]["status"], records[0]["reason"]) == ("unverified", "unreachable"), records


def test_the_first_look_pins_the_host_key():
    """Nothing of the asset is known yet: no password may go to another host key afterwards."""
    fresh = Ops(fleet, name="fresh")
    fresh.tell(("asset1", "ops", PASSWORD))
    assert fresh.json("account", "verify", "asset1", "ops")["success"] == 1
    fleet.do("rekey", 1)
    done = fresh.json("account", "verify", "asset1", "ops", expect=1)
    record = fresh.records(done["execution"])[0]
    assert (record["status"], record["reason"]) == ("unverified", "host_key"), record


def test_only_what_is_declared():
    done = ops.run("account", "verify", "asset1", "nobody", expect=2)
    assert "declares an account" in done.stderr, done.stderr


main()
