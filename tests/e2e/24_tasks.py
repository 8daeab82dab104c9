#!/usr/bin/env python3
"""Tasks with schedules: what check and `task` say of them, and pausing."""

import csv
import datetime
import io

from harness import Ops, main

ROWS = [("web1", "192.0.2.11", 22, "ops", "sudo", "app;deploy")]
TASKS = """
task "weekly" { accounts = { "app", "deploy" }, nodes = "/", schedule = cron "0 3 * * sun",
	zone = "Europe/Berlin", window = "02:00-05:00", jitter = "20m",
	limits = { canary = "1%", stop_after = 5, per_second = 50 }, max_age = "90d",
	comment = "SOX 4.2" }
task "daily" { accounts = "app", nodes = "/", schedule = cron "@daily", zone = "UTC" }
task "keys" { accounts = "app", nodes = "/", schedule = every "7d", secret = ssh_key {} }
task "heartbeat" { kind = "verify", accounts = "*", nodes = "/", schedule = every "6h" }
task "past" { accounts = "deploy", nodes = "/", schedule = at "2020-01-01 03:00" }
task "asleep" { accounts = "deploy", nodes = "/", schedule = every "1h", active = false }
"""

ops = None


def setup():
    global ops
    ops = Ops(None, rows=ROWS, more=TASKS)


def task(name):
    return next(t for t in ops.json("task", "list") if t["name"] == name)


def when(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def test_check_says_when():
    done = ops.run("check", expect=0)
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert "Sun " in lines["weekly"] and "CE" in lines["weekly"], done.stdout
    assert lines["past"].rstrip().endswith("never again"), done.stdout
    assert lines["asleep"].rstrip().endswith("not active"), done.stdout
    # Of one account's password; a key is another thing, and to verify changes nothing.
    twice = [line for line in done.stderr.splitlines() if "selects too" in line]
    assert len(twice) == 2, done.stderr
    assert 'task "weekly": selects accounts that task "daily"' in done.stderr, done.stderr
    assert 'task "weekly": selects accounts that task "past"' in done.stderr, done.stderr


def test_list_and_next_agree():
    first = {t["name"]: t["next"] for t in ops.json("task", "list")}
    assert first["rotate"] is first["past"] is first["asleep"] is None, first
    moments = ops.json("task", "next", "--count", 1000)
    starts = [when(m["start"]) for m in moments]
    assert starts == sorted(starts) and len(moments) == 1000
    for name in ("weekly", "daily", "keys", "heartbeat"):
        assert next(m["start"] for m in moments if m["task"] == name) == first[name], name
    weekly = ops.json("task", "next", "weekly")
    assert len(weekly) == 5
    for moment in weekly:
        late = when(moment["start"]) - when(moment["due"])
        assert datetime.timedelta() <= late <= datetime.timedelta(minutes=20), moment
        assert moment["start_local"].startswith("Sun "), moment
        assert when(moment["until"]) > when(moment["start"]), moment
    assert ops.json("task", "next", "weekly") == weekly
    rows = list(csv.DictReader(io.StringIO(ops.run("task", "next", "--csv", expect=0).stdout)))
    assert [r["start"] for r in rows] == [m["start"] for m in moments[:5]], rows


def test_show():
    shown = ops.json("task", "show", "weekly")
    assert shown["schedule"] == 'cron "0 3 * * sun" in 02:00-05:00, Europe/Berlin', shown
    assert shown["limits"]["canary"] == "1%" and shown["limits"]["stop_after"] == 5, shown
    assert (shown["accounts"], shown["overdue"], shown["jitter_ms"]) == (2, 0, 1200000), shown
    text = ops.run("task", "show", "weekly", expect=0).stdout
    assert "SOX 4.2" in text and "per_second 50" in text, text
    done = ops.run("task", "show", "weakly", expect=2)
    assert 'did you mean "weekly"?' in done.stderr, done.stderr


def test_a_task_is_paused():
    assert task("daily")["next"]
    paused = ops.json("task", "pause", "daily", "--why", "the network is being moved")
    assert paused["next"] is None and paused["paused"]["until"] is None, paused
    assert paused["paused"]["why"] == "the network is being moved", paused
    assert "paused" in ops.run("task", "list", expect=0).stdout
    assert "the network is being moved" in ops.run("task", "show", "daily", expect=0).stdout
    assert not any(m["task"] == "daily" for m in ops.json("task", "next", "--count", 50))
    paused = ops.json("task", "pause", "daily", "--for", "40d")
    until = when(paused["paused"]["until"])
    assert when(paused["next"]) >= until, paused
    done = ops.run("task", "resume", "daily", expect=0)
    assert task("daily")["paused"] is None and "paused" not in done.stdout, done.stdout
    assert when(task("daily")["next"]) < until


def test_what_cannot_be_paused_is_said():
    for args, words in (
        (("pause", "rotate"), "has no schedule"),
        (("resume", "dayly"), 'did you mean "daily"?'),
        (("pause", "daily", "--for", "soon"), "is no span of time"),
        (("next", "--count", "0"), "no whole number above 0"),
    ):
        done = ops.run("task", *args, expect=2)
        assert words in done.stderr, done.stderr


if __name__ == "__main__":
    main()
