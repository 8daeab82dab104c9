#!/usr/bin/env python3
"""How a new secret is seen to work, tried in the task's order; and what a run would come to."""

import os

from harness import PASSWORD, WORK, Fleet, Ops, main

# `app` may not log in by password, `deploy` may, `svc` is locked.
SETUP = """
printf 'Match User app\\n PasswordAuthentication no\\n KbdInteractiveAuthentication no\\n' \
	>>/etc/ssh/sshd_config
usermod -L svc
"""
TASKS = """
task "login" { accounts = { "app", "deploy" }, nodes = { "/" }, secret = random "plain" }
task "in-order" { accounts = { "app", "deploy", "svc" }, nodes = { "/" },
	secret = random "plain", verify = { "login", "hash" } }
task "by-su" { accounts = "app", nodes = { "/" }, secret = random "plain",
	verify = { "login", "su" } }
task "by-hash" { accounts = { "app", "deploy" }, nodes = { "/" }, secret = random "plain",
	verify = "hash" }
task "unproved" { accounts = "app", nodes = { "/" }, secret = random "plain", verify = false }
"""

fleet = ops = None


def setup():
    global fleet, ops
    path = os.path.join(WORK, "setup")
    with open(path, "w") as file:
        file.write(SETUP)
    fleet = Fleet(f"1:setup={path}")
    ops = Ops(fleet, more=TASKS)
    ops.tell_all(("ops",))


def by_account(records):
    return {r["account"]: r for r in records}


def history():
    return ops.json("execution", "list"), ops.json("record", "list")


def test_a_dry_run_foretells_and_keeps_nothing():
    done = ops.json("run", "in-order", "--dry-run", expect=1)
    assert done["dry_run"] and "execution" not in done, done
    foreseen = by_account(done["records"])
    assert foreseen["app"]["status"] == "success" and foreseen["app"]["method"] == "hash"
    assert foreseen["deploy"]["status"] == "success" and foreseen["deploy"]["method"] == "login"
    assert foreseen["svc"]["status"] == "skipped" and foreseen["svc"]["reason"] == "locked"
    assert all(r["sends"] == 0 and r["staged"] is None for r in done["records"]), done
    assert history() == ([], [])
    for account in ("app", "deploy"):
        assert fleet.holds(1, account, PASSWORD)
        assert ops.json("account", "show", "asset1", account)["state"] == "unmanaged"
    text = ops.run("run", "in-order", "--dry-run", expect=1).stdout
    assert "would be" in text and "nothing was changed" in text and "locked" in text, text


def test_no_proof_is_left_alone():
    done = ops.json("run", "login", expect=1)
    records = by_account(ops.records(done["execution"]))
    assert records["app"]["status"] == "skipped" and records["app"]["reason"] == "no_proof"
    assert records["deploy"]["status"] == "success" and records["deploy"]["proof"] == "login"
    assert fleet.holds(1, "app", PASSWORD)
    foreseen = by_account(ops.json("run", "login", "--dry-run", expect=1)["records"])
    assert foreseen["app"]["reason"] == "no_proof", foreseen


def test_the_next_proof_is_tried():
    done = ops.json("run", "in-order", expect=1)
    records = by_account(ops.records(done["execution"]))
    assert records["app"]["status"] == "success" and records["app"]["proof"] == "hash", records
    assert records["deploy"]["proof"] == "login", records
    assert records["svc"]["reason"] == "locked", records
    ops.check_all_open(("app", "deploy"))


def test_su_proves_what_may_not_log_in():
    done = ops.json("run", "by-su")
    record = ops.record(done["execution"], "asset1", "app")
    assert (record["status"], record["proof"]) == ("success", "su"), record
    ops.check_all_open(("app",))


def test_unasked_is_settled_by_the_next_methods():
    done = ops.json("run", "unproved")
    record = ops.record(done["execution"], "asset1", "app")
    assert (record["status"], record["reason"]) == ("unverified", "not_asked"), record
    # Neither is known to open: none is given for the one.
    done = ops.run("account", "reveal", record["asset"], record["account"], "--raw", expect=2)
    assert done.stdout == "" and "--version" in done.stderr, done
    assert record["proof"] is None and record["method"] is None
    foreseen = by_account(ops.json("run", "in-order", "--dry-run", expect=1)["records"])
    assert foreseen["app"]["reason"] == "in_doubt", foreseen
    ops.json("run", "in-order", expect=1)
    settled = ops.json("record", "show", record["id"])
    assert settled["status"] == "success" and settled["proof"] == "hash", settled
    ops.check_all_open(("app", "deploy"))


def test_a_login_that_proves_nothing_gives_way_to_another_proof():
    fleet.sh(1, "sh", "-c", "echo 'exit 3' >/home/deploy/.bashrc")
    done = ops.json("run", "login", expect=1)
    record = ops.record(done["execution"], "asset1", "deploy")
    assert (record["status"], record["reason"]) == ("unverified", "no_shell"), record
    done = ops.json("run", "by-hash")
    assert done["success"] == done["total"] == 2, done
    settled = ops.json("record", "show", record["id"])
    assert (settled["status"], settled["proof"]) == ("success", "hash"), settled
    ops.check_all_open(("app", "deploy"))


main()
