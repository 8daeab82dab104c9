#!/usr/bin/env python3
"""Second factors: enrolled, asked for to see a secret, each code once, and wrong ones."""
# time limit: 120

import os
import re
import time

from harness import LOG, PASSWORD, Fleet, Ops, ask_as, code_of, main, short_dir, wait_for

PEOPLE = """
role "seer" { "view", "reveal" }
role "careful" { "view", "reveal", reason = true }
user "ann" { role = "seer", uid = 4301 }
user "bob" { role = "careful", uid = 4302 }
user "adm" { role = "admin", uid = 4303 }
"""

place = short_dir()
PATH = os.path.join(place, "engine")
ops = daemon = None
secrets = {}
recovery = {}


def start():
    global daemon
    daemon = ops.lockstepd()


def stop():
    daemon.terminate()
    assert daemon.wait(timeout=60) == 0


def setup():
    global ops
    os.chmod(place, 0o755)
    fleet = Fleet("1")
    ops = Ops(fleet, settings=f'socket = "{PATH}", mfa_ttl = 0,', more=PEOPLE)
    ops.tell_all(("ops", "app"))
    start()


def post(uid, method, **params):
    return ask_as(PATH, uid, method, **params)


def code(user, ago=0):
    return code_of(secrets[user], ago)


def next_code(user):
    """A code that was not given yet; the window has three."""
    global given
    step = max(int(time.time()) // 30 - 1, given.get(user, 0) + 1)
    wait_for(lambda: int(time.time()) // 30 + 1 >= step, seconds=60)
    given[user] = step
    return code(user, time.time() - step * 30 - 1)


given = {}


def reveal(uid, **params):
    return post(uid, "account.reveal", asset="asset1", account="app", **params)


def enroll(uid, user):
    status, made = post(uid, "user.enroll")
    assert status == 200, made
    secrets[user] = re.search(r"secret=([A-Z2-7]+)&", made["uri"])[1]
    # It does not count before a first code was right.
    status, answer = reveal(uid, code="000000", reason="x")
    assert status == 403 and "no second factor" in answer["error"], answer
    status, answer = post(uid, "user.confirm", code="000000")
    assert status == 403, answer
    status, answer = post(uid, "user.confirm", code=next_code(user))
    assert status == 200 and len(answer["recovery"]) == 10, answer
    recovery[user] = answer["recovery"]


def test_none_none_is_let_see():
    status, answer = reveal(4301)
    assert status == 403 and "lockstep user enroll ann" in answer["error"], answer
    # Whoever can read the vault is asked for nothing.
    status, answer = reveal(0)
    assert status == 200 and answer["secret"] == PASSWORD, answer


def test_enroll_and_see():
    enroll(4301, "ann")
    status, answer = reveal(4301)
    assert status == 403 and answer["result"] == {"needs": "code"}, answer
    right = next_code("ann")
    status, answer = reveal(4301, code=right)
    assert status == 200 and answer["secret"] == PASSWORD, answer
    status, answer = reveal(4301, code=right)
    assert status == 403 and "used already" in answer["error"], answer
    # Nor when the engine was started again meanwhile.
    stop()
    start()
    status, answer = reveal(4301, code=right)
    assert status == 403 and "used already" in answer["error"], answer
    status, answer = post(4301, "user.enroll")
    assert status == 503 or "already" in answer["error"], answer


def test_wrong_late_and_too_many():
    status, answer = reveal(4301, code=code("ann", ago=3600))
    assert status == 403 and "differ by about 60 min" in answer["error"], answer
    assert "behind" in answer["error"], answer
    for guess in ("12345", "1234567"):
        status, answer = reveal(4301, code=guess)
        assert status == 403, answer
    status, answer = reveal(4301, code=code("ann"))
    assert status == 403 and "too many wrong codes" in answer["error"], answer
    # The pause outlives the engine.
    stop()
    start()
    status, answer = reveal(4301, code=recovery["ann"][0])
    assert status == 403 and "too many wrong codes" in answer["error"], answer
    assert PASSWORD not in open(LOG).read()


def test_reset_by_an_admin():
    status, answer = post(4301, "user.reset_mfa", user="ann")
    assert status == 403, answer
    enroll(4303, "adm")
    status, answer = post(4303, "user.reset_mfa", user="ann")
    assert answer["result"] == {"needs": "code"}, answer
    status, answer = post(4303, "user.reset_mfa", user="ann", code=recovery["adm"][0])
    assert status == 200, answer
    status, answer = post(4303, "user.reset_mfa", user="ann", code=recovery["adm"][0])
    assert status == 403, "a recovery code worked twice"
    status, answer = reveal(4301, code=code("ann"))
    assert status == 403 and "no second factor" in answer["error"], answer
    told = [(e["what"], e["outcome"], e.get("user")) for e in ops.json("audit", "list")]
    assert ("user", "done", "adm") in told and ("user", "done", "ann") in told, told
    assert ("code", "refused", "ann") in told and ("permission", "refused", "ann") in told, told
    assert ("reveal", "done", "ann") in told, told


def test_a_reason():
    enroll(4302, "bob")
    status, answer = reveal(4302, code=recovery["bob"][0])
    assert status == 400 and "--reason" in answer["error"], answer
    status, answer = reveal(4302, code=recovery["bob"][0], reason="ticket 4711")
    assert status == 200 and answer["secret"] == PASSWORD, answer
    told = ops.json("audit", "list", "--what", "reveal", "--who", "bob")
    assert [e["detail"] for e in told] == ["ticket 4711"], told


def test_a_record():
    told = ops.judged("run", "rotate")
    record = ops.record(told["execution"], "asset1", "app")
    status, answer = post(4302, "record.reveal", record=record["id"], reason="x")
    assert status == 403 and answer["result"] == {"needs": "code"}, answer
    told = ops.json("record", "reveal", record["id"])
    assert told["old"]["secret"] == PASSWORD, told
    assert told["new"]["secret"] == ops.reveal("asset1", "app")["secret"], told
    assert told["new"]["secret"] != PASSWORD and told["candidates"] == [], told
    done = ops.run("record", "reveal", record["id"])
    assert done.returncode == 2 and "stdout is no terminal" in done.stderr, done.stderr


def test_the_end():
    stop()


main()
