#!/usr/bin/env python3
"""Secrets that take another's approval: for one person, one version, a time, and once."""
# time limit: 120

import os
import re
import time

from harness import LOG, PASSWORD, Fleet, Ops, ask_as, code_of, main, short_dir, wait_for
from sinks import Smtp

PEOPLE = """
role "asker" { "view", "reveal", approval = true }
role "frank" { "view", "reveal", nodes = "/free" }
role "approver" { "view", "reveal", "approve", approval = true }
user "ann" { role = { "asker", "frank" }, uid = 4331 }
user "bob" { role = "asker", uid = 4332 }
user "cat" { role = "approver", uid = 4333, mail = "cat@example.com" }
user "dan" { role = "approver", uid = 4334, nodes = "/other" }
"""

place = short_dir()
PATH = os.path.join(place, "engine")
ops = daemon = server = smtp = None
secrets = {}


def policy(people=PEOPLE):
    mail = f'mail = {{ server = "{server}", from = "l@example.com", recipients = "all@example.com",'
    mail += ' tls = false, events = { "approval" } },'
    return Ops.policy_text(settings=f'socket = "{PATH}", mfa = "enrolled", {mail}', more=people)


def inventory(name, *more):
    (address, port, _) = ops.fleet.assets[1]
    lines = ["name,address,port,platform,admin,become,accounts,node"]
    lines += [f"{name},{address},{port},linux,ops,sudo,app;deploy,/prod"]
    lines += ["free1,127.0.0.1,9,linux,ops,sudo,app,/free", *more]
    ops.write("inventory/assets.csv", "\n".join(lines) + "\n")


def setup():
    global ops, daemon, server, smtp
    smtp = Smtp("plain")
    server = f"smtp://127.0.0.1:{smtp.port}"
    os.chmod(place, 0o755)
    fleet = Fleet("1")
    ops = Ops(fleet)
    inventory("asset1")
    ops.write("lockstep.lua", policy())
    ops.tell_all(("ops", "app", "deploy"))
    daemon = ops.lockstepd()


def post(uid, method, **params):
    return ask_as(PATH, uid, method, **params)


def reveal(uid, account="app", asset="asset1", **params):
    return post(uid, "account.reveal", asset=asset, account=account, **params)


def ask(uid, **params):
    status, answer = reveal(uid, **params)
    assert status == 403 and answer["result"]["needs"] == "approval", (status, answer)
    assert "secret" not in answer["result"], answer
    return answer["result"]["id"]


def grant(uid, approval, expect=200, **params):
    status, answer = post(uid, "approval.grant", approval=approval, **params)
    assert status == expect, (status, answer)
    return answer if status == 200 else answer["error"]


def entries():
    found = ops.json("audit", "list", "--what", "approve")
    return [(e["user"], e["object"], e["account"]) for e in found]


def test_once():
    approval = ask(4331, reason="ticket 7")
    status, answer = reveal(4331)
    assert answer["result"]["id"] == approval, "asked for twice"
    assert ": cat may give it" in answer["error"], answer
    assert answer["result"]["approvers"] == ["cat"], answer
    # Not one's own, not by who may not, not by who may elsewhere.
    assert '"approve"' in grant(4331, approval, 403)
    assert '"approve"' in grant(4332, approval, 403)
    assert "that approval" in grant(4334, approval, 403)
    granted = grant(4333, approval)
    assert (granted["state"], granted["by"], granted["why"]) == ("granted", "cat", "ticket 7")
    assert "is granted" in grant(4333, approval, 400)
    # For this person, this account.
    ask(4332)
    ask(4331, account="deploy")
    status, answer = reveal(4331)
    assert status == 200 and answer["secret"] == PASSWORD, answer
    assert ask(4331) != approval, "used twice"
    (entry,) = ops.json("audit", "list", "--what", "reveal", "--who", "ann")
    assert f"approved by cat ({approval})" in entry["detail"], entry
    # Whoever may answer was told, and nobody else.
    wait_for(lambda: smtp.messages(), seconds=30)
    (mail,) = [m for m in smtp.messages() if approval in m.part("plain")]
    assert mail.recipients == ["<cat@example.com>"], mail.recipients
    assert "ann asks to see version 1" in mail.part("plain"), mail.part("plain")
    assert PASSWORD not in mail.part("plain")
    assert ("ann", "asked", "app") in entries() and ("cat", "granted", "app") in entries()


def test_lists():
    _, mine = post(4332, "approval.list")
    assert {a["who"] for a in mine} == {"bob"}, mine
    _, all_ = post(4333, "approval.list")
    assert {a["who"] for a in all_} == {"ann", "bob"}, all_
    _, none = post(4334, "approval.list")
    assert none == [], none
    shown = ops.run("approval", "list", expect=0).stdout
    assert "ann" in shown and "bob" in shown and "cat" in shown, shown
    assert "used" not in shown and "used" in ops.run("approval", "list", "--all").stdout


def test_denied_and_of_nothing():
    (approval,) = [a["id"] for a in post(4332, "approval.list")[1]]
    status, answer = post(4333, "approval.deny", approval=approval)
    assert status == 200 and answer["state"] == "denied", answer
    assert ask(4332) != approval
    assert ("cat", "denied", "app") in entries()
    done = ops.run("approval", "grant", "01ZZZZZZZZZZ", expect=2)
    assert "approval" in done.stderr, done.stderr
    for span in ("0", "2d", "soon"):
        done = ops.run("approval", "grant", "01ZZZZZZZZZZ", "--for", span, expect=2)
        assert "no span of time" in done.stderr, done.stderr


def test_nobody_answers_their_own():
    approval = ask(4333)
    assert "themselves" in grant(4333, approval, 400)
    # The vault's owner may answer everything, and needs none.
    done = ops.run("approval", "grant", approval, expect=0)
    assert "cat may see version 1" in done.stdout, done.stdout
    assert reveal(4333)[0] == 200
    assert ops.reveal("asset1", "app")["secret"] == PASSWORD
    # Where one role lets someone see it just so, that is enough.
    assert reveal(4331, asset="free1")[0] == 200


def test_its_time():
    approval = ask(4331)
    grant(4333, approval, **{"for": "1s"})
    time.sleep(1.1)
    assert ask(4331) != approval, "used after its time"


def test_another_version():
    (approval,) = [a["id"] for a in post(4331, "approval.list")[1] if a["account"] == "app"]
    grant(4333, approval)
    told = ops.json("run", "rotate", expect=None)
    record = ops.record(told["execution"], "asset1", "app")
    assert record["status"] == "success", record
    assert ask(4331) != approval, "shown what nobody approved"
    # Of the version that it is for it may be used.
    status, answer = reveal(4331, version="1")
    assert status == 200 and answer["version"] == 1 and answer["candidates"] == [], answer
    status, answer = post(4331, "record.reveal", record=record["id"])
    assert status == 400 and "one version at a time" in answer["error"], answer


def test_a_check_out():
    def out():
        return post(4331, "account.checkout", asset="asset1", account="deploy")

    status, answer = out()
    assert status == 403 and answer["result"]["needs"] == "approval", answer
    grant(4333, answer["result"]["id"])
    status, answer = out()
    assert status == 200 and ops.fleet.holds(1, "deploy", answer["secret"]), answer
    (entry,) = ops.json("audit", "list", "--what", "checkout")
    assert "approved by cat" in entry["detail"], entry
    # She has it, and to see it once more takes another.
    assert ask(4331, account="deploy")
    status, answer = post(4331, "account.checkin", asset="asset1", account="deploy")
    assert status == 200 and answer["success"] == 1, answer


def test_lost_by_a_reload():
    (approval,) = [a["id"] for a in post(4331, "approval.list")[1] if a["account"] == "app"]
    grant(4333, approval)
    # Cat may approve no more: what she granted holds no more.
    ops.write("lockstep.lua", policy(PEOPLE.replace('"approve", ', "")))
    ops.run("reload", expect=0)
    assert ask(4331) != approval
    ops.write("lockstep.lua", policy())
    ops.run("reload", expect=0)
    (approval,) = [a["id"] for a in post(4331, "approval.list")[1] if a["account"] == "app"]
    grant(4333, approval)
    # Ann may see no secrets any more.
    ops.write("lockstep.lua", policy(re.sub(r'user "ann".*', "", PEOPLE)))
    ops.run("reload", expect=0)
    assert reveal(4331)[0] == 403
    ops.write("lockstep.lua", policy())
    ops.run("reload", expect=0)
    assert reveal(4331)[0] == 200


def code(user):
    return code_of(secrets[user])


def test_an_approver_shows_a_code():
    approval = ask(4331)
    _, made = post(4333, "user.enroll")
    secrets["cat"] = re.search(r"secret=([A-Z2-7]+)&", made["uri"])[1]
    status, answer = post(4333, "user.confirm", code=code("cat"))
    assert status == 200, answer
    status, refused = post(4333, "approval.grant", approval=approval)
    assert status == 403 and refused["result"] == {"needs": "code"}, refused
    assert post(4331, "approval.list")[1][0]["state"] == "pending"
    grant(4333, approval, code=answer["recovery"][0])
    assert reveal(4331)[0] == 200


def test_a_restart():
    global daemon
    approval = ask(4331)
    ops.run("approval", "grant", approval, expect=0)
    daemon.kill()
    daemon.wait()
    daemon = ops.lockstepd()
    assert reveal(4331)[0] == 200
    assert ask(4331) != approval
    assert PASSWORD not in open(LOG).read()


def test_the_owner_is_declared():
    """Whom the policy declares with less is the vault's owner all the same."""
    ops.write("lockstep.lua", policy(PEOPLE + 'user "boss" { uid = 0, role = "viewer" }\n'))
    ops.run("reload", expect=0)
    (approval,) = [a["id"] for a in post(4331, "approval.list")[1] if a["account"] == "app"]
    assert grant(0, approval)["by"] == "boss"
    status, answer = reveal(4331)
    assert status == 200, answer
    grant(0, ask(4331))
    # What the owner granted holds, whoever the policy says they are now.
    ops.write("lockstep.lua", policy())
    ops.run("reload", expect=0)
    status, answer = reveal(4331)
    assert status == 200, answer
    ask(4331)


def test_another_machine_has_its_old_name():
    """Who may answer is told by where the account is, whatever is called as it was."""
    (approval,) = [a["id"] for a in post(4331, "approval.list")[1] if a["account"] == "app"]
    inventory("asset9", "asset1,127.0.0.1,10,linux,ops,sudo,app,/other")
    ops.run("reload", expect=0)
    ops.run("asset", "rename", "asset1", "asset9", "--yes", expect=0)
    assert "that approval" in grant(4334, approval, 403)
    (shown,) = [a for a in post(4331, "approval.list")[1] if a["id"] == approval]
    assert (shown["asset"], shown["approvers"]) == ("asset9", ["cat"]), shown
    ops.run("approval", "grant", approval, expect=0)
    assert reveal(4331, asset="asset9")[0] == 200


def test_the_end():
    smtp.close()
    daemon.terminate()
    assert daemon.wait(timeout=60) == 0


main()
