#!/usr/bin/env python3
"""Secrets that are checked out: for how long, by whom alone, and that they are rotated after it."""
# time limit: 300

import json
import os
import pwd
import subprocess
import time

from harness import CRASH, Fleet, Ops, ask_as, main, short_dir, wait_for

PEOPLE = """
role "seer" { "view", "reveal" }
role "careful" { "view", "reveal", reason = true }
user "ann" { role = "seer", uid = 4321 }
user "bob" { role = "seer", uid = 4322 }
user "cat" { role = "careful", uid = 4323 }
user "adm" { role = "admin", uid = 4324 }
user "vic" { role = "viewer", uid = 4325 }
user "lim" { role = "seer", uid = 4326, nodes = "/elsewhere" }
task "again" { accounts = { "app" }, nodes = { "/" }, secret = random "plain",
	rotate_checked_out = true }
task "slow" { accounts = { "app" }, nodes = { "/" }, secret = random "plain",
	limits = { per_second = 1 } }
task "beat" { kind = "verify", accounts = { "*" }, nodes = { "/" } }
task "set" { accounts = { "svc" }, nodes = { "/" }, secret = specified "shared" }
"""
# "again" comes before "rotate": it is the one that ends them, of "app".
ME = pwd.getpwuid(os.getuid()).pw_name

place = short_dir()
PATH = os.path.join(place, "engine")
ops = daemon = None


def policy(more="", exclusive="", longest="1h"):
    return Ops.policy_text(
        settings=f'socket = "{PATH}", mfa = "enrolled", '
        f'checkout = {{ longest = "{longest}"{exclusive} }},',
        more=PEOPLE + more,
    )


def setup():
    global ops
    os.chmod(place, 0o755)
    ops = Ops(Fleet("1-2"))
    ops.write("lockstep.lua", policy())
    ops.tell_all()
    start()


def start(crash=None):
    global daemon
    daemon = ops.lockstepd(crash)


def stop():
    daemon.terminate()
    assert daemon.wait(timeout=60) == 0


def reload(**options):
    ops.write("lockstep.lua", policy(**options))
    ops.run("reload", expect=0)


def post(uid, method, **params):
    return ask_as(PATH, uid, method, **params)


def checkout(uid, account="app", expect=200, asset="asset1", **params):
    params = {"for": "1h", **params}
    status, answer = post(uid, "account.checkout", asset=asset, account=account, **params)
    assert status == expect, (status, answer)
    return answer if status == 200 else answer["error"]


def checkin(uid, account="app", expect=200, asset="asset1", **params):
    status, answer = post(uid, "account.checkin", asset=asset, account=account, **params)
    assert status == expect, (status, answer)
    return answer if status == 200 else answer["error"]


def out(asset="asset1", account="app"):
    found = ops.json("account", "list", "--out")
    return [
        (c["who"], c["state"])
        for a in found
        if (a["asset"], a["account"]) == (asset, account)
        for c in a["checkouts"]
    ]


def entries(what):
    return [(e.get("user"), e["account"]) for e in ops.json("audit", "list", "--what", what)]


def test_out_and_in():
    told = checkout(4321)
    assert told["task"] == "again" and ops.fleet.holds(1, "app", told["secret"]), told
    assert out() == [("ann", "out")], out()
    assert entries("checkout") == [("ann", "app")]
    error = checkout(4321, expect=400)
    assert "ann has account" in error and "already" in error, error
    shown = ops.run("account", "list", "--out", expect=0).stdout
    assert "ann" in shown and "asset1" in shown, shown
    assert ops.json("overview")["checkouts"]["out"] == 1
    # Neither by a run nor by a schedule does it change under her.
    done = ops.judged("run", "rotate")
    record = ops.record(done["execution"], "asset1", "app")
    assert (record["status"], record["reason"]) == ("skipped", "checked_out"), record
    assert "ann has it checked out until" in record["detail"], record
    assert ops.fleet.holds(1, "app", told["secret"])
    assert ops.record(done["execution"], "asset1", "deploy")["status"] == "success"
    # Given back by whoever has it, or an admin; not by another.
    assert "bob has not checked out" in checkin(4322, expect=400)
    error = checkin(4322, expect=403, of="ann")
    assert '"admin"' in error, error
    done = checkin(4321)
    assert done["success"] == 1 and done["task"] == "again", done
    assert not ops.fleet.holds(1, "app", told["secret"]), "it opens the account still"
    assert out() == [] and entries("checkin") == [("ann", "app")]
    assert "has not checked out" in checkin(4321, expect=400)
    ops.check_all_open()


def test_what_is_out_of_reach():
    """Nobody hears by a check-in of what there is where they may look at nothing."""
    checkout(4321)
    answers = set()
    for asset, account in (("asset1", "app"), ("asset1", "nobody"), ("asset9", "app")):
        answers.add(checkin(4326, account, expect=403, asset=asset))
        answers.add(checkin(4326, account, expect=403, asset=asset, of="ann"))
        answers.add(checkin(4326, account, expect=403, asset=asset, forget=True))
        answers.add(checkin(4326, account, expect=403, asset=asset, kind="key"))
    (error,) = answers
    assert '"view" that account' in error and "app" not in error, error
    assert "declares no account" in checkin(4325, "nobody", expect=400)
    # What one has out oneself is given back, also where one may look at nothing any more.
    ops.write("lockstep.lua", policy().replace("uid = 4321", 'uid = 4321, nodes = "/elsewhere"'))
    ops.run("reload", expect=0)
    checkin(4321, "nobody", expect=403)
    assert checkin(4321)["success"] == 1 and out() == []
    assert checkin(4321, expect=403) == error.replace('"lim"', '"ann"')
    reload()


def test_an_admin_checks_in():
    told = checkout(4321)
    done = checkin(4324, of="ann")
    assert done["success"] == 1 and not ops.fleet.holds(1, "app", told["secret"]), done
    assert entries("checkin")[0] == ("adm", "app")


def test_its_time_is_over():
    told = checkout(4321, **{"for": "2s"})
    wait_for(lambda: out() == [], seconds=30)
    assert not ops.fleet.holds(1, "app", told["secret"]), "it opens the account still"
    (entry,) = ops.json("audit", "list", "--what", "checkin")[:1]
    assert entry["origin"] == "engine" and "the time of ann is over" in entry["detail"], entry
    (ran,) = ops.json("audit", "list", "--what", "run")[:1]
    assert (ran["object"], ran["asset"], ran["account"]) == ("checkin", "asset1", "app"), ran
    ops.judge(ran["execution"])


def test_what_is_refused():
    assert "no span of time" in checkout(4321, expect=400, **{"for": "0"})
    assert "no span of time" in checkout(4321, expect=400, **{"for": "0s"})
    assert "no span of time" in checkout(4321, expect=400, **{"for": "soon"})
    assert "longer than anybody may" in checkout(4321, expect=400, **{"for": "365d"})
    assert "longer than anybody may" in checkout(4321, expect=400, **{"for": "3601s"})
    assert "declares no account" in checkout(4321, "nobody", expect=400)
    assert "there is no asset" in checkout(4321, asset="asset9", expect=400)
    # Secure mode leaves the privileged account alone, so that nothing would rotate it.
    assert "no active task makes a new password" in checkout(4321, "ops", expect=400)
    assert checkout(4325, expect=403)
    assert "--reason" in checkout(4323, expect=400)
    checkout(4323, reason="ticket 4712")
    (entry,) = ops.json("audit", "list", "--what", "checkout", "--who", "cat")
    assert entry["detail"] == "for 3600 s: ticket 4712", entry
    assert checkin(4323)["success"] == 1
    assert out() == []


def test_two_at_a_time():
    told = checkout(4321)
    assert checkout(4322)["secret"] == told["secret"]
    assert sorted(out()) == [("ann", "out"), ("bob", "out")], out()
    answer = checkin(4321)
    assert answer["waits_for"] == "bob" and not answer["rotated"], answer
    assert sorted(out()) == [("ann", "over"), ("bob", "out")], out()
    time.sleep(1)
    assert ops.fleet.holds(1, "app", told["secret"]), "it changed under bob"
    assert "not rotated yet" in checkout(4321, expect=400)
    assert checkin(4322)["success"] == 1
    assert out() == [] and not ops.fleet.holds(1, "app", told["secret"])


def test_exclusive():
    reload(exclusive=', exclusive = { "/" }')
    told = checkout(4321)
    for method in ("account.checkout", "account.reveal"):
        status, answer = post(4322, method, asset="asset1", account="app")
        assert status == 400 and "ann has account" in answer["error"], answer
        assert "nobody else sees it" in answer["error"], answer
    record = ops.json("record", "list", "--account", "app", "--limit", "1")[0]
    status, answer = post(4322, "record.reveal", record=record["id"])
    assert status == 400 or record["asset"] != "asset1", answer
    status, answer = post(4321, "account.reveal", asset="asset1", account="app")
    assert status == 200 and answer["secret"] == told["secret"], answer
    status, answer = post(4322, "account.reveal", asset="asset2", account="app")
    assert status == 200, answer
    checkin(4321)
    assert checkout(4322)["secret"] != told["secret"]
    checkin(4322)
    reload()


def test_a_task_may_rotate_it():
    told = checkout(4321)
    done = ops.judged("run", "again", expect=0)
    assert ops.record(done["execution"], "asset1", "app")["status"] == "success"
    assert out() == [("ann", "out")]
    # She does not know what opens it now, so that nothing is left to do.
    answer = checkin(4321)
    assert answer["rotated"] and answer["waits_for"] is None, answer
    assert out() == [] and not ops.fleet.holds(1, "app", told["secret"])


def test_a_rotation_that_fails_is_tried_again():
    told = checkout(4321)
    ops.fleet.sh(1, "passwd", "-l", "app")
    status, answer = post(4321, "account.checkin", asset="asset1", account="app")
    assert status == 200 and answer["skipped"] == 1, answer
    assert out() == [("ann", "over")], out()
    shown = ops.run("overview", expect=0).stdout
    assert "OVERDUE asset1 app" in shown and "ann had it" in shown, shown
    assert "not rotated yet" in checkout(4321, expect=400)
    ops.fleet.sh(1, "passwd", "-u", "app")
    assert ops.fleet.holds(1, "app", told["secret"])
    # What is over holds nobody back: a run that selects it rotates it.
    done = ops.judged("run", "rotate", expect=0)
    assert ops.record(done["execution"], "asset1", "app")["status"] == "success"
    assert out() == [] and "OVERDUE" not in ops.run("overview", expect=0).stdout


def test_checked_out_while_it_waits():
    """Planned to be rotated, and then checked out before its turn: it is left alone."""
    run = ops.start("run", "slow", "--json")
    wait_for(lambda: ops.json("status")["executions"])
    told = checkout(4321, asset="asset2")
    done = json.loads(run.communicate(timeout=60)[0])
    first, second = [ops.record(done["execution"], f"asset{n}", "app") for n in (1, 2)]
    assert first["status"] == "success", first
    assert (second["status"], second["reason"]) == ("skipped", "checked_out"), second
    assert "ann has it checked out until" in second["detail"] and second["sends"] == 0, second
    assert ops.fleet.holds(2, "app", told["secret"]) and out("asset2") == [("ann", "out")]
    assert checkin(4321, asset="asset2")["success"] == 1
    assert not ops.fleet.holds(2, "app", told["secret"])


def test_no_task_that_makes_a_new_one():
    text = policy().replace('"app", "deploy", "svc"', '"app", "deploy"')
    ops.write("lockstep.lua", text)
    ops.run("reload", expect=0)
    # A task that sets the same secret again, or only looks, ends nothing.
    assert "no active task makes a new password" in checkout(4321, "svc", expect=400)
    checkout(4321, "deploy")
    ops.write("lockstep.lua", text.replace('"app", "deploy"', '"app"'))
    ops.run("reload", expect=0)
    assert "no active task makes" in checkin(4321, "deploy", expect=400)
    assert out(account="deploy") == [("ann", "over")]
    # What nothing rotates any more is forgotten by an admin; that she knows it is not.
    assert '"admin"' in checkin(4321, "deploy", expect=403, forget=True)
    checkout(4322, expect=400, account="deploy")
    answer = checkin(4324, "deploy", of="ann", forget=True)
    assert answer["forgotten"] and not answer["rotated"] and out(account="deploy") == [], answer
    assert "forgotten" in ops.json("audit", "list", "--what", "checkin")[0]["detail"]
    known = ops.json("account", "list", "--revealed-to", "ann")
    assert ("asset1", "deploy") in {(a["asset"], a["account"]) for a in known}, known
    reload()
    done = ops.judged("run", "rotate", expect=0)
    assert done["success"] == 6 and out(account="deploy") == [], done


def test_in_doubt():
    crash = os.path.join(CRASH, "lockstep")
    if not os.path.exists(crash):
        return
    stop()
    subprocess.run(
        [crash, "-C", ops.dir, "run", "again"],
        env=dict(os.environ, LOCKSTEP_CRASH="core.staged"),
        capture_output=True,
    )
    doubts = ops.json("account", "list", "--in-doubt")
    assert doubts, "nothing was in doubt"
    error = ops.run("account", "checkout", doubts[0]["asset"], "app", "--json", expect=2).stderr
    assert "in doubt" in error, error
    ops.run("run", "again", expect=0)
    start()


def test_without_a_daemon():
    stop()
    told = ops.json("account", "checkout", "asset1", "app", "--for", "1s")
    time.sleep(1.2)
    assert out() == [(ME, "over")], out()
    assert "OVERDUE asset1 app" in ops.run("overview", expect=0).stdout
    done = ops.run("run", "set")
    assert "still to be rotated" in done.stdout + done.stderr, done
    done = ops.run("account", "checkin", "asset1", "app", expect=0)
    assert "1 changed and seen to work" in done.stdout, done.stdout
    assert out() == [] and not ops.fleet.holds(1, "app", told["secret"])
    # A daemon that comes finds what is over.
    told = ops.json("account", "checkout", "asset2", "app", "--for", "1s")
    time.sleep(1.2)
    start()
    wait_for(lambda: out("asset2") == [], seconds=30)
    assert not ops.fleet.holds(2, "app", told["secret"])
    done = ops.run("account", "checkout", "asset1", "app", expect=2)
    assert "stdout is no terminal" in done.stderr and out() == [], done.stderr


KILLS = ["core.checking_out", "core.checked_out", "core.checking_in", "core.checked_in"]
KILLS += ["core.checkout_over", "core.checkin_begun", "core.staged", "core.sent", "core.changed"]
KILLS += ["core.ending", "core.ended"]


def test_kills():
    """Whatever it was at: the secret that was shown is rotated in the end, and none is lost."""
    stop()
    if not os.path.exists(os.path.join(CRASH, "lockstepd")):
        return
    for point in KILLS:
        start(crash=point)
        secret = None
        try:
            secret = checkout(4321, **{"for": "3s"})["secret"]
            if point not in ("core.checkout_over", "core.checkin_begun"):
                checkin(4321)
        except (OSError, ValueError, IndexError):
            pass
        wait_for(lambda: daemon.poll() is not None, seconds=30)
        assert daemon.wait() == -9, (point, daemon.returncode)
        before = ops.json("account", "list", "--out")
        assert bool(before) == (point not in ("core.checking_out", "core.ended")), (point, before)
        if point == "core.checked_out":
            # Nobody was shown it, and it is rotated all the same.
            secret = ops.reveal("asset1", "app")["secret"]
        start()
        try:
            wait_for(lambda: out() == [], seconds=40)
        except AssertionError as error:
            raise AssertionError(point, out()) from error
        wait_for(lambda: not ops.json("account", "list", "--in-doubt"), seconds=60)
        assert secret is None or not ops.fleet.holds(1, "app", secret), (point, "opens it still")
        ops.check_all_open(("app",))
        stop()


main()
