#!/usr/bin/env python3
"""Many assets at once, on the simulated fleet: all of their accounts rotated in one run, and then
again while assets make every kind of trouble, each by itself and all at once. Each record is held
against what the asset holds and which logins it saw."""
# time limit: 150

import concurrent.futures
import os
import time

from harness import Ops, main
from many import Many, judge

LONG = bool(os.environ.get("LONG"))
COUNT, ACCOUNTS = (10000, 5) if LONG else (300, 3)
NAMES = [f"app{n}" for n in range(ACCOUNTS)]

# What assets do, and what becomes of the records of their accounts.
TROUBLES = {
    "reset": "failed",
    "silent": "failed",
    "banner": "failed",
    "flood": "failed",
    "drip": "failed",
    "disconnect": "failed",  # and may be tried again, whatever the reason was
    "hang": "failed",
    "wrong_key": "failed",
    "leave": "failed",
    "refuse": "failed",
    "lie": "failed",
    "drop_before": "unverified",  # sent again once, and dropped again
    "drop_middle": "success",
    "drop_after": "success",
    "partial": "success",
    "mute": "success",
    "stale": "success",
    "dh": "success",
}

TASK = """task "many" {{ nodes = {{ "/" }}, accounts = {{ "app*" }}, secret = random "plain",
	limits = {{ retries = {retries} }} }}"""


def make_ops(many, numbers, name, settings="", deadline="30s", retries=2):
    ops = Ops(
        None,
        name=name,
        deadline=deadline,
        settings=settings,
        more=TASK.format(retries=retries),
        rows=many.rows(numbers, NAMES),
    )
    ops.tell(("*", "ops", "First-Pass.1"), *[("*", name, "First-Pass.1") for name in NAMES])
    return ops


def run(ops, expect, **more):
    begun = time.monotonic()
    told = ops.json("run", "many", expect=expect, timeout=3000 if LONG else 80, **more)
    return told["execution"], time.monotonic() - begun


def test_all_of_many():
    many = Many("--login-ms", 50, "--command-ms", 50, processes=2 if LONG else 1)
    try:
        ops = make_ops(many, range(1, COUNT + 1), "all")
        execution, took = run(ops, expect=0)
        counts = judge(ops, many, execution)
        assert counts == {"success": COUNT * ACCOUNTS}, counts
        stats = many.stats()
        assert stats["unknown"] == 0, stats
        # A login a record, and one of the privileged account an asset, where none was tried again.
        assert stats["logins"] >= COUNT * (ACCOUNTS + 1), stats
        assert stats["refused"] == 0, stats
        print(f"{COUNT * ACCOUNTS} records in {took:.1f} s, {stats['most_sessions']} sessions")
    finally:
        many.stop()


def troubled(many, ops, each):
    """The accounts of `each` assets a trouble, set after a first run without any."""
    execution, _ = run(ops, expect=0)
    assert set(judge(ops, many, execution)) == {"success"}
    for n, word in enumerate(TROUBLES):
        many.trouble(word, 1 + n * each, (n + 1) * each)
    execution, took = run(ops, expect=1)
    counts = judge(ops, many, execution)
    print(f"with troubles: {dict(counts)} in {took:.1f} s")
    return execution


def test_all_at_full_speed():
    """Where assets answer at once, what they say comes in every order that there is."""
    many = Many()
    try:
        ops = make_ops(many, range(1, 301), "fast", 'connect_timeout = "20s",', retries=0)
        for _ in range(20 if LONG else 2):
            execution, took = run(ops, expect=0)
            assert set(judge(ops, many, execution)) == {"success"}
            assert took < 20, f"something stood still: {took:.1f} s"
    finally:
        many.stop()


def ended(records, first, last):
    """How the records of these assets ended: {(status, code of the error)}."""
    return {
        (record["status"], record["error"] and record["error"]["code"])
        for record in records
        if first <= int(record["asset"].removeprefix("asset")) <= last
    }


QUICK = 'connect_timeout = "1s", login_timeout = "1s",'
MIDDLE_MS = 300


def run_of_one(many, word, first, last):
    """A run in which all assets make the same trouble."""
    status = TROUBLES[word]
    ops = make_ops(many, range(first, last + 1), f"one-{word}", QUICK, "1s", retries=0)
    execution, _ = run(ops, expect=0)
    assert set(judge(ops, many, execution)) == {"success"}, word
    many.trouble(word, first, last)
    execution, took = run(ops, expect=0 if status == "success" else 1)
    counts = judge(ops, many, execution)
    assert set(counts) == {status}, (word, counts)
    # Nothing arrives any more that a record excludes.
    time.sleep(2 * MIDDLE_MS / 1000)
    assert judge(ops, many, execution) == counts, word
    many.trouble("none", first, last)
    run(ops, expect=0)
    execution, _ = run(ops, expect=0)
    assert set(judge(ops, many, execution)) == {"success"}, word
    return took


def test_each_trouble_by_itself():
    each, together = (100, 2) if LONG else (2, 6)
    stall_s = 120 if LONG else 40
    many = Many("--middle-ms", MIDDLE_MS)
    try:
        with concurrent.futures.ThreadPoolExecutor(together) as pool:
            runs = {
                word: pool.submit(run_of_one, many, word, 1 + n * each, (n + 1) * each)
                for n, word in enumerate(TROUBLES)
            }
        for word, done in runs.items():
            took = done.result()
            print(f"{word}: {took:.1f} s")
            assert took < stall_s, f"{word}: it stood still for {took:.1f} s"
    finally:
        many.stop()


def test_all_troubles():
    each, well = (20, 1000) if LONG else (2, 60)
    settings = 'connect_timeout = "2s", login_timeout = "3s",'
    many = Many("--middle-ms", 300)
    try:
        sick = each * len(TROUBLES)
        ops = make_ops(many, range(1, sick + well + 1), "mixed", settings, "1s", retries=1)
        execution = troubled(many, ops, each)
        # What is well is done, whatever the others do.
        records = ops.records(execution)
        assert ended(records, sick + 1, sick + well) == {("success", None)}
        for n, (word, status) in enumerate(TROUBLES.items()):
            found = ended(records, 1 + n * each, (n + 1) * each)
            assert {status} == {one for one, _ in found}, (word, found)
            assert word != "disconnect" or found == {("failed", "lost")}, found
        # Without their troubles all is well again, and nothing stays in doubt.
        many.trouble("none", 1, sick)
        run(ops, expect=0)
        execution, _ = run(ops, expect=0)
        assert set(judge(ops, many, execution)) == {"success"}
    finally:
        many.stop()


main()
