#!/usr/bin/env python3
"""Canaries, stop_after and tasks that only verify, on real assets."""

import json

from harness import PASSWORD, Fleet, Ops, main, wait_for

# None of the dead ones is reached: nothing listens there.
DEAD = [(f"dead{n}", "127.0.0.1", n, "ops", "sudo", "app") for n in range(1, 7)]
TASKS = """
task "careful" { accounts = { "app", "deploy", "svc" }, assets = "asset*",
	limits = { canary = 3, per_second = 100 }, priority = "high" }
task "doomed" { accounts = "app", assets = "dead*", limits = { canary = 2, retries = 0 } }
task "limited" { accounts = "app", assets = { "asset*", "dead*" },
	limits = { stop_after = 2, in_flight = 1, retries = 0 } }
task "slow" { accounts = "app", assets = "asset*", limits = { in_flight = 1, per_second = 1 } }
task "heartbeat" { kind = "verify", accounts = "*", assets = "asset*" }
"""

fleet = ops = None


def setup():
    global fleet, ops
    fleet = Fleet("1-3")
    rows = [
        (f"asset{n}", a, p, "ops", "sudo", "app;deploy;svc")
        for n, (a, p, _) in sorted(fleet.assets.items())
    ]
    ops = Ops(fleet, more=TASKS, rows=rows + DEAD)
    ops.tell_all()


def by_status(records):
    counts = {}
    for record in records:
        key = record["status"], record["reason"]
        counts[key] = counts.get(key, 0) + 1
    return counts


# ── Canaries ──


def test_canaries_let_the_rest_go_on():
    done = ops.run("run", "careful", expect=0)
    assert "careful  canary 3 of 3 ok, going on" in done.stderr, done.stderr
    ops.check_all_open()


def test_failed_canaries_keep_the_rest_back():
    done = ops.run("run", "doomed", expect=1)
    assert "doomed  stopped: 1 of 2 canaries failed or unverified" in done.stderr, done.stderr
    shown = ops.json("execution", "list")[0]
    assert shown["task"] == "doomed" and shown["stopped"] == "canary", shown
    counts = by_status(ops.records(shown["id"]))
    assert counts["skipped", "stopped"] >= 4 and sum(counts.values()) == 6, counts
    text = ops.run("execution", "show", shown["id"], expect=0).stdout
    assert "its canaries failed, and the rest was not begun" in text, text


# ── stop_after ──


def test_a_run_stops_and_can_be_taken_up_again():
    before = fleet.shadow(1)["app"], fleet.shadow(2)["app"], fleet.shadow(3)["app"]
    done = ops.json("run", "limited", expect=1)
    assert done["stopped"] == "stop_after" and done["total"] == 9, done
    records = ops.records(done["execution"])
    counts = by_status(records)
    assert counts["failed", None] == 2 and counts["skipped", "stopped"] >= 4, counts
    for record in records:
        n = ops.number_of(record["asset"]) if record["asset"].startswith("asset") else None
        if n and record["status"] == "skipped":
            assert fleet.shadow(n)["app"] == before[n - 1], record
    skipped = [r for r in records if r["status"] == "skipped" and r["asset"][:4] != "dead"]
    if skipped:
        ops.json("record", "retry", *[r["id"] for r in skipped])
    ops.check_all_open()


# ── Cancelling ──


def test_a_run_is_cancelled_from_elsewhere():
    run = ops.start("run", "slow", "--json")
    first = wait_for(lambda: [e for e in ops.json("execution", "list") if e["task"] == "slow"])[0]
    done = ops.run("execution", "cancel", first["short"], expect=0)
    assert "nothing more of it is begun" in done.stdout, done.stdout
    out, said = run.communicate(timeout=60)
    assert run.returncode == 1, said
    told = json.loads(out)
    assert told["stopped"] == "cancelled" and told["failed"] == told["unverified"] == 0, told
    reasons = [r["reason"] for r in ops.records(first["id"]) if r["status"] == "skipped"]
    assert reasons == ["cancelled"] * told["skipped"] and reasons, reasons
    assert ops.json("execution", "show", first["id"])["stopped"] == "cancelled"
    ops.check_all_open()
    done = ops.run("execution", "cancel", first["id"], expect=2)
    assert "is not running" in done.stderr, done.stderr


# ── Verify ──


def test_a_heartbeat_sees_all():
    done = ops.json("run", "heartbeat")
    assert done["kind"] == "verify" and done["success"] == done["total"] == 12, done
    records = ops.records(done["execution"])
    assert {r["account"] for r in records} == {"ops", "app", "deploy", "svc"}, records
    assert all(r["sends"] == 0 and r["task"] == "heartbeat" for r in records), records


def test_a_heartbeat_finds_what_someone_changed():
    fleet.sh(2, "chpasswd", stdin=f"app:{PASSWORD}-by-hand\n")
    done = ops.run("run", "heartbeat", expect=1)
    assert ": 11 seen to work, 1 failed, 0 unverified, 0 skipped" in done.stdout, done.stdout
    execution = ops.json("execution", "list")[0]["id"]
    record = next(r for r in ops.records(execution) if r["status"] == "failed")
    assert (record["asset"], record["account"], record["reason"]) == ("asset2", "app", "mismatch")
    # Once more is once more a look: nothing is set.
    again = ops.json("record", "retry", record["id"], expect=1)
    assert again["kind"] == "verify" and again["failed"] == 1, again
    assert fleet.holds(2, "app", f"{PASSWORD}-by-hand")


def test_a_heartbeat_is_no_rehearsal():
    done = ops.run("run", "heartbeat", "--dry-run", expect=2)
    assert 'is of kind "verify", which changes nothing' in done.stderr, done.stderr


if __name__ == "__main__":
    main()
