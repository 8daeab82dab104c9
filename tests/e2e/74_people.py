#!/usr/bin/env python3
"""People at the socket: whom the policy declares, what each role may do, and what is refused."""
# time limit: 120

import os
import re
import socket
import ssl

from harness import LOG, Fleet, Ops, ask, ask_as, main, short_dir
from sinks import certificate

PEOPLE = """
role "seer" { "view", "reveal", nodes = "/prod" }
role "runner" { "view", "run", nodes = "/prod", tasks = "prod-*" }
role "editor" { "edit" }
user "vic" { role = "viewer", uid = 4201 }
user "opa" { role = "operator", uid = 4202 }
user "aud" { role = "auditor", uid = 4203 }
user "adm" { role = "admin", uid = 4204 }
user "see" { role = "seer", uid = 4205 }
user "run" { role = "runner", uid = 4206 }
user "edi" { role = "editor", uid = 4207 }
task "prod-weekly" { accounts = { "app" }, nodes = { "/prod" }, secret = random "plain",
	limits = { retries = 0 } }
task "prod-all" { accounts = { "app" }, nodes = { "/" }, secret = random "plain",
	limits = { retries = 0 } }
"""
UIDS = dict(re.findall(r'user "(\w+)" .* uid = (\d+)', PEOPLE))
ROLES = {
    "vic": {"view"},
    "opa": {"view", "run"},
    "aud": {"view", "audit"},
    "adm": {"view", "run", "edit", "reveal", "approve", "audit", "admin"},
    "see": {"view", "reveal"},
    "run": {"view", "run"},
    "edi": {"edit"},
}
LIMITED = {"see", "run"}

TLS = (os.environ["FLEET_PREFIX"] + ".2", 8444)
place = short_dir()
PATH = os.path.join(place, "engine")
ops = daemon = None


def setup():
    global ops, daemon
    os.chmod(place, 0o755)
    fleet = Fleet("1")
    (address, port, _) = fleet.assets[1]
    key, shown = certificate(place, TLS[0])
    listen = f'address = "{TLS[0]}:{TLS[1]}", certificate = "{shown}", key = "{key}"'
    ops = Ops(fleet, settings=f'socket = "{PATH}", listen = {{ {listen} }},', more=PEOPLE)
    lines = ["name,address,port,platform,admin,become,accounts,node"]
    lines += [f"in1,{address},{port},linux,ops,sudo,app,/prod/web"]
    lines += ["out1,127.0.0.1,9,linux,ops,sudo,app,/test"]
    ops.write("inventory/assets.csv", "\n".join(lines) + "\n")
    ops.tell_all(("ops", "app"))
    daemon = ops.lockstepd()


def post(uid, method, params=None):
    return ask_as(PATH, int(uid), method, **(params or {}))


def by_token(token, method, params=None):
    context = ssl.create_default_context(cafile=os.path.join(place, "cert.pem"))
    with socket.create_connection(TLS, timeout=60) as link:
        with context.wrap_socket(link, server_hostname=TLS[0]) as over:
            return ask(over, method, params or {}, f"Authorization: Bearer {token}\r\n")


def granted(user, method):
    """What the program's own table says of a request without parameters."""
    if method["permission"] is None:
        return True
    if method["whole"] and user in LIMITED:
        return False
    return method["permission"] in ROLES[user]


def for_none(method):
    """Whoever may is told that there is no such asset: nobody waits for real ones."""
    return {"assets": ["none"]} if "assets" in method["parameters"] else {}


# What would change the engine that all others need; who may not is refused all the same.
ENDS = {"reload"}


def test_every_method_with_a_user_of_each_role():
    status, methods = post(0, "methods")
    assert status == 200 and len(methods) > 40, methods
    refused = 0
    for user, uid in UIDS.items():
        for method in methods:
            if granted(user, method) and method["method"] in ENDS:
                continue
            status, answer = post(uid, method["method"], for_none(method))
            denied = status == 403 and answer["code"] == "denied"
            assert denied != granted(user, method), (user, method, status, answer)
            refused += denied
    assert refused > 100, refused
    log = open(LOG).read()
    assert log.count("denied") >= refused, "what is refused is not recorded"


# What a token does not do for its user.
IN_PERSON = {"user.enroll", "user.confirm", "user.password", "token.create"}
IN_PERSON |= {"approval.grant", "approval.deny"}


def test_the_same_by_a_token():
    """With all permissions of its user it may what they may; made for less, it may less."""
    _, methods = post(0, "methods")
    refused = 0
    for user in UIDS:
        made = {"name": user, "user": user, "permissions": sorted(ROLES[user])}
        token = post(0, "token.create", made)[1]["token"]
        for method in methods:
            grants = granted(user, method) and method["method"] not in IN_PERSON
            if grants and method["method"] in ENDS:
                continue
            status, answer = by_token(token, method["method"], for_none(method))
            denied = status == 403 and answer["code"] == "denied"
            assert denied != grants, (user, method, status, answer)
            refused += denied
    assert refused > 100, refused
    token = post(0, "token.create", {"name": "less", "user": "adm"})[1]["token"]
    for method in methods:
        grants = method["permission"] in (None, "view") and method["method"] not in IN_PERSON
        status, answer = by_token(token, method["method"], for_none(method))
        denied = status == 403 and answer["code"] == "denied"
        assert denied != grants, (method, status, answer)


def test_a_token_checks_in_what_it_may_reveal():
    """Though anyone who is let in may give back what they have, whatever became of their roles."""
    taken = {"asset": "in1", "account": "app"}
    for permissions, word in ((["view"], "reveal"), (["view", "reveal"], "has not checked out")):
        made = {"name": "giver-" + word[:3], "user": "see", "permissions": permissions}
        token = post(0, "token.create", made)[1]["token"]
        status, answer = by_token(token, "account.checkin", taken)
        assert status in (400, 403) and word in answer["error"], answer
        assert (status == 403) == (word == "reveal"), answer


def test_limits_hold_by_a_token():
    made = {"name": "limited", "user": "see", "permissions": ["view", "reveal"]}
    token = post(0, "token.create", made)[1]["token"]
    assert [a["name"] for a in by_token(token, "asset.list")[1]] == ["in1"]
    status, answer = by_token(token, "account.reveal", {"asset": "out1", "account": "app"})
    assert status == 403 and "limited" in answer["error"], answer
    made = {"name": "narrow", "user": "adm", "permissions": ["view", "run"]}
    made.update(nodes=["/prod"], tasks=["prod-*"])
    token = post(0, "token.create", made)[1]["token"]
    assert [a["name"] for a in by_token(token, "asset.list")[1]] == ["in1"]
    for name, expect in (("prod-weekly", 200), ("prod-all", 403), ("rotate", 403)):
        status, answer = by_token(token, "run", {"task": name})
        assert status == expect, (name, status, answer)


def test_the_page_says_what_the_program_does():
    _, methods = post(0, "methods")
    told = []
    for method in methods:
        if method["permission"] is None:
            words = "anyone who is let in"
        else:
            words = f"`{method['permission']}`" + (", without limits" if method["whole"] else "")
        told.append((method["method"], words))
    page = open(os.path.join(os.environ["SRC"], "docs/security.md")).read()
    rows = re.findall(r"^\| `([a-z_.]+)` \| [^|]* \| (.*) \|$", page, re.M)
    assert rows == told, (set(rows) ^ set(told), "docs/security.md is out of date")


def test_only_parameters_that_a_method_has():
    """A filter with a wrong name would mean all there is, a flag in words the real thing."""
    _, methods = post(0, "methods")
    for method in methods:
        if method["method"] in ENDS | {"login"}:
            continue
        name = method["method"]
        status, answer = post(0, name, {"nosuch": "x"})
        assert status == 400 and f'{name} has no parameter "nosuch"' in answer["error"], answer
        for parameter, kind in method["parameters"].items():
            wrong = {"text": True, "flag": "true", "array": "x"}[kind]
            status, answer = post(0, name, {parameter: wrong})
            assert status == 400 and "is of another type" in answer["error"], (name, answer)
    status, answer = post(0, "record.retry", {"executoin": "x"})
    assert 'did you mean "execution"?' in answer["error"], answer


def test_null_and_false_are_no_filter():
    """Of what is not given there is none: to take it for a filter would mean all there is."""
    nothing = {"status": None, "task": None, "since": None, "problems": False, "records": None}
    for name, more in (("retry", {}), ("ignore", {"why": "so"}), ("unignore", {})):
        status, answer = post(0, f"record.{name}", nothing | more)
        assert status == 400 and answer["error"].startswith("which records"), (name, answer)


def test_the_page_of_the_api_has_all_parameters():
    _, methods = post(0, "methods")
    with open(os.path.join(os.environ["SRC"], "docs/api.md")) as file:
        page = file.read()
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `")]
    [whole] = re.findall(r"Lists\ntake `limit` and `after`, but for (.*), which come whole", page)
    lists = [method for method in methods if method["method"].endswith(".list")]
    assert set(re.findall(r"`([a-z.]+)`", whole)) == {
        method["method"] for method in lists if "limit" not in method["parameters"]
    }
    said = {}
    for row in rows:
        for name in re.findall(r"`([a-z_.]+)`", row[0]):
            said[name] = row[1]
    filters = said["record.list"]
    for method in methods:
        name = method["method"]
        text = said[name].replace("what `record.list` takes", filters)
        words = set(re.findall(r"`([a-z_]+)`", text))
        # Said of all lists, before the table.
        assert set(method["parameters"]) - {"limit", "after"} <= words, (name, text)


def test_limits_to_nodes_and_tasks():
    see, run = UIDS["see"], UIDS["run"]
    _, assets = post(see, "asset.list")
    assert [a["name"] for a in assets] == ["in1"], assets
    _, accounts = post(see, "account.list")
    assert {a["asset"] for a in accounts} == {"in1"}, accounts
    status, answer = post(see, "account.show", {"asset": "out1", "account": "app"})
    assert status == 403, answer
    status, answer = post(see, "account.reveal", {"asset": "out1", "account": "app"})
    assert status == 403, answer
    assert "limited" in answer["error"] and "secret" not in answer, answer
    # "Did you mean" names nothing beyond.
    for uid, wrong, near in ((see, "in11", "in1"), (see, "out11", None), (0, "out11", "out1")):
        _, answer = post(uid, "account.show", {"asset": wrong, "account": "app"})
        assert ("did you mean" in answer["error"]) == bool(near), answer
        assert not near or f'"{near}"' in answer["error"], answer
    for uid, near in ((see, False), (UIDS["vic"], True), (0, True)):
        _, answer = post(uid, "token.create", {"name": "theirs", "user": "adn"})
        assert ('did you mean "adm"?' in answer["error"]) == near, answer
    _, tasks = post(run, "task.list")
    assert [t["name"] for t in tasks] == ["prod-all", "prod-weekly"], tasks
    for wrong, near in (("prod-weekl", True), ("rotat", False)):
        _, answer = post(run, "run", {"task": wrong})
        assert ("did you mean" in answer["error"]) == near, answer
    for name, expect in (("prod-weekly", 200), ("prod-all", 403), ("rotate", 403)):
        status, answer = post(run, "run", {"task": name})
        assert status == expect, (name, status, answer)
    # What someone else did outside is not shown; what was done inside is.
    status, done = post(0, "run", {"task": "prod-all"})
    assert status == 200 and done["total"] == 2, done
    status, records = post(run, "record.list", {"execution": done["execution"]})
    assert [r["asset"] for r in records] == ["in1"], records
    status, records = post(0, "record.list", {"execution": done["execution"]})
    (out,) = [r for r in records if r["asset"] == "out1"]
    status, answer = post(run, "record.show", {"record": out["id"]})
    assert status == 403, answer
    status, answer = post(run, "record.retry", {"records": [out["id"]]})
    assert status == 403, answer


def test_a_stranger_is_not_let_in():
    status, answer = post(4999, "whoami")
    assert status == 403 and "user id 4999 is not let in" in answer["error"], answer
    _, me = post(UIDS["vic"], "whoami")
    assert (me["name"], me["owner"], me["roles"]) == ("vic", False, ["viewer"]), me
    _, me = post(0, "whoami")
    assert me["owner"], me


def test_who_pauses_is_not_said_by_the_client():
    ops.write("tasks/timed.lua", 'task "timed" { accounts = "app", nodes = "/prod", '
        'secret = random "plain", schedule = every "6h" }\n')
    with open(os.path.join(ops.dir, "lockstep.lua"), "a") as file:
        file.write('include "tasks/*.lua"\n')
    ops.run("reload", expect=0)
    status, answer = post(UIDS["opa"], "task.pause", {"task": "timed", "by": "root"})
    assert status == 400 and 'no parameter "by"' in answer["error"], answer
    status, task = post(UIDS["opa"], "task.pause", {"task": "timed", "why": "so"})
    assert status == 200 and task["paused"]["by"] == "opa", task


def test_a_reload_takes_someone_away():
    text = open(os.path.join(ops.dir, "lockstep.lua")).read()
    ops.write("lockstep.lua", re.sub(r'user "vic" .*\n', "", text))
    ops.run("reload", expect=0)
    status, _ = post(UIDS["vic"], "whoami")
    assert status == 403
    ops.write("lockstep.lua", re.sub(r"user .*\n", "", text))
    ops.run("reload", expect=0)
    assert os.stat(PATH).st_mode & 0o777 == 0o600, "others may still knock"


def test_the_end():
    daemon.terminate()
    assert daemon.wait(timeout=60) == 0


main()
