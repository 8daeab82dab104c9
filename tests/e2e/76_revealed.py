#!/usr/bin/env python3
"""What someone has seen is rotated when they leave: nothing else, and nothing is forgotten."""
# time limit: 180

import os
import pwd
import re
import subprocess
import time

from harness import Fleet, Ops, ask_as, main, short_dir

PEOPLE = """
role "seer" { "view", "reveal" }
user "ann" { role = "seer", uid = 4311 }
user "bob" { role = "seer", uid = 4312 }
user "aud" { role = "auditor", uid = 4313 }
task "verify" { kind = "verify", accounts = { "app" }, nodes = { "/" } }
task "named" { accounts = { "svc" }, nodes = { "/" }, secret = specified "shared",
	verify = "login" }
"""
ME = pwd.getpwuid(os.getuid()).pw_name

place = short_dir()
PATH = os.path.join(place, "engine")
ops = daemon = None


def setup():
    global ops
    os.chmod(place, 0o755)
    fleet = Fleet("1-2")
    ops = Ops(fleet, settings=f'socket = "{PATH}", mfa = "enrolled",', more=PEOPLE)
    ops.tell_all()
    start()


def start():
    global daemon
    daemon = ops.lockstepd()


def stop():
    daemon.terminate()
    assert daemon.wait(timeout=60) == 0


def post(uid, method, **params):
    return ask_as(PATH, uid, method, **params)


def see(uid, asset, account):
    status, answer = post(uid, "account.reveal", asset=asset, account=account)
    assert status == 200, answer
    return answer["secret"]


def seen(who, *more):
    found = ops.json("account", "list", "--revealed-to", who, *more)
    return {(a["asset"], a["account"]) for a in found}


def test_nobody_of_that_name():
    for command in (("account", "list"), ("run", "rotate")):
        done = ops.run(*command, "--revealed-to", "ann", expect=2)
        assert 'nobody called "ann" has seen' in done.stderr, done.stderr
        done = ops.run(*command, "--since", "2d", expect=2)
        assert "--revealed-to" in done.stderr, done.stderr
    # Who told a secret knows it.
    assert ("asset1", "app") in seen(ME)


def test_only_what_they_have_seen():
    see(4311, "asset1", "app")
    see(4312, "asset2", "app")
    secret = see(4312, "asset2", "deploy")
    assert seen("ann") == {("asset1", "app")}, seen("ann")
    assert seen("bob") == {("asset2", "app"), ("asset2", "deploy")}, seen("bob")
    told = ops.judged("run", "rotate", "--revealed-to", "bob", expect=0)
    assert told["total"] == 2 and told["success"] == 2, told
    changed = {(r["asset"], r["account"]) for r in ops.records(told["execution"])}
    assert changed == {("asset2", "app"), ("asset2", "deploy")}, changed
    assert not ops.fleet.holds(2, "deploy", secret), "what bob has seen opens the account"
    assert seen("bob") == set() and seen("ann") == {("asset1", "app")}
    (entry,) = [e for e in ops.json("audit", "list", "--what", "run")][:1]
    assert entry["detail"] == "revealed to bob" and entry["execution"] == told["execution"], entry
    # Once more there is nothing to do, and that is said.
    done = ops.run("run", "rotate", "--revealed-to", "bob", expect=0)
    assert "nothing to do" in done.stdout, done.stdout


def test_since():
    time.sleep(1.1)
    at = time.strftime("%Y-%m-%d %H:%M:%S")
    assert seen("ann", "--since", at) == set()
    assert seen("ann", "--since", "1h") == {("asset1", "app")}
    time.sleep(1.1)
    see(4311, "asset2", "app")
    assert seen("ann", "--since", at) == {("asset2", "app")}
    done = ops.run("run", "rotate", "--revealed-to", "ann", "--since", "yesterday", expect=2)
    assert "no time" in done.stderr, done.stderr


def test_what_cannot_be():
    done = ops.run("run", "verify", "--revealed-to", "ann", expect=2)
    assert 'of kind "verify"' in done.stderr, done.stderr
    told = ops.json("run", "rotate", "--dry-run", "--revealed-to", "ann")
    assert told["total"] == 2 and seen("ann") == {("asset1", "app"), ("asset2", "app")}, told


def test_who_may_know():
    status, answer = post(4312, "account.list", revealed_to="ann")
    assert status == 403 and "what someone else has seen" in answer["error"], answer
    status, answer = post(4313, "account.list", revealed_to="ann")
    assert status == 200 and len(answer) == 2, answer
    status, answer = post(4311, "account.list", revealed_to="ann")
    assert status == 200 and len(answer) == 2, answer


def test_a_rotation_that_fails_leaves_it():
    """What was not seen to work is no reason to forget."""
    ops.fleet.sh(2, "passwd", "-l", "app")
    ops.run("run", "rotate", "--revealed-to", "ann", expect=1)
    assert seen("ann") == {("asset2", "app")}, seen("ann")
    ops.fleet.sh(2, "passwd", "-u", "app")
    told = ops.judged("run", "rotate", "--revealed-to", "ann", expect=0)
    assert told["total"] == 1 and seen("ann") == set(), told


def test_the_same_secret_again():
    """An earlier version that is set again is known to whoever saw it then."""
    see(4311, "asset1", "deploy")
    version = ops.reveal("asset1", "deploy")["version"]
    ops.run("run", "rotate", "--revealed-to", "ann", expect=0)
    assert seen("ann") == set()
    ops.run("account", "restore", "asset1", "deploy", "--version", version, expect=0)
    assert seen("ann") == {("asset1", "deploy")}, seen("ann")
    # And so is one that a task specifies.
    ops.run("secret", "set", "shared", stdin="Shared-Secret.1\n", expect=0)
    ops.run("run", "named", expect=0)
    see(4311, "asset1", "svc")
    ops.run("run", "named", expect=0)
    assert ("asset1", "svc") in seen("ann"), seen("ann")
    ops.run("run", "rotate", "--revealed-to", "ann", expect=0)
    assert seen("ann") == set()


def test_a_record_an_export_and_a_restart():
    told = ops.json("run", "rotate")
    record = ops.record(told["execution"], "asset1", "app")
    status, answer = post(4311, "record.reveal", record=record["id"])
    assert status == 200 and answer["new"]["secret"], answer
    assert seen("ann") == {("asset1", "app")}, seen("ann")
    stop()
    assert seen("ann") == {("asset1", "app")}, seen("ann")
    ops.run("run", "rotate", "--revealed-to", ME, expect=0)
    ops.run("run", "rotate", "--revealed-to", "ann", expect=0)
    assert seen("ann") == set() and ("asset1", "app") not in seen(ME), (seen("ann"), seen(ME))
    certificate = os.path.join(place, "certificate")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=safe"]
        + ["-keyout", os.path.join(place, "key"), "-out", certificate],
        check=True,
        capture_output=True,
    )
    out = os.path.join(place, "all.cms")
    ops.run("vault", "export", "--recipient", certificate, out, expect=0)
    accounts = {(f"asset{n}", a) for n in (1, 2) for a in ("ops", "app", "deploy", "svc")}
    assert seen(ME) == accounts, seen(ME)
    ops.run("run", "rotate", expect=0)
    assert seen(ME) == {("asset1", "ops"), ("asset2", "ops")}, seen(ME)
    assert re.search(r"export", ops.run("audit", "list").stdout)


main()
