#!/usr/bin/env python3
"""What a task asks for beside the secret: accounts are made and made to be so, and nothing that was
not asked for is touched."""
# time limit: 120

from harness import PASSWORD, Fleet, Ops, main

fleet = None


def setup():
    global fleet
    fleet = Fleet("1")


def ops(params, accounts="fresh;app", **more):
    address, port, _ = fleet.assets[1]
    made = Ops(
        fleet,
        name="params",
        rows=[("asset1", address, port, "ops", "sudo", accounts)],
        more='task "make" { accounts = { "fresh", "app" }, nodes = { "/" },'
        ' secret = random "plain", params = { %s } }' % params,
        **more,
    )
    made.tell(("*", "ops", PASSWORD))
    return made


def make(made, expect=0):
    done = made.judged("run", "make", expect=expect)
    return {r["account"]: r for r in made.records(done["execution"])}


def entry(account):
    line = fleet.sh(1, "sh", "-c", f"getent passwd {account} || true").strip()
    return line.split(":") if line else None


def gone(account="fresh"):
    fleet.sh(1, "sh", "-c", f"userdel -rf {account} 2>&1 || true; rm -f /etc/sudoers.d/lockstep-*")


def test_absent_without_create():
    gone()
    records = make(ops(""), expect=1)
    assert records["fresh"]["reason"] == "absent", records["fresh"]
    assert records["app"]["status"] == "success", records["app"]
    assert entry("fresh") is None


def test_create():
    gone()
    made = ops(
        'create = true, uid = 4242, group = "daemon", groups = { "games", "mail" },'
        ' shell = "/bin/dash", home = "/home/elsewhere"',
        accounts="fresh",
    )
    record = make(made)["fresh"]
    assert record["status"] == "success", record
    assert entry("fresh")[2:] == ["4242", "1", "", "/home/elsewhere", "/bin/dash"], entry("fresh")
    groups = fleet.sh(1, "id", "-Gn", "fresh").split()
    assert sorted(groups) == ["daemon", "games", "mail"], groups
    assert fleet.holds(1, "fresh", made.reveal("asset1", "fresh")["secret"])
    # The same again changes the secret alone.
    before = entry("fresh")
    assert make(made)["fresh"]["status"] == "success"
    assert entry("fresh") == before


def test_changes_only_what_is_asked():
    before = entry("app")
    record = make(ops('shell = "/bin/dash", groups = { "games" }', accounts="app"))["app"]
    assert record["status"] == "success", record
    assert entry("app") == before[:6] + ["/bin/dash"], entry("app")
    assert fleet.sh(1, "id", "-Gn", "app").split() == ["app", "games"]
    fleet.sh(1, "usermod", "-s", "/bin/bash", "app")


def test_sudo():
    made = ops(
        'modify_sudo = true, sudo = "NOPASSWD: /usr/bin/id"', accounts="app"
    )
    assert make(made)["app"]["status"] == "success"
    assert fleet.sh(1, "su", "app", "-c", "sudo -n id -u").strip() == "0"
    assert fleet.sh(1, "stat", "-c", "%a %U", "/etc/sudoers.d/lockstep-app").strip() == "440 root"
    assert make(ops("modify_sudo = true", accounts="app"))["app"]["status"] == "success"
    assert "lockstep" not in fleet.sh(1, "ls", "/etc/sudoers.d")


def refused(params, account="fresh", word=""):
    """What cannot be done is said before the secret is sent, and has changed nothing."""
    before = fleet.sh(1, "sh", "-c", "cat /etc/passwd /etc/shadow /etc/group; ls /etc/sudoers.d")
    record = make(ops(params, accounts=account), expect=1)[account]
    assert record["status"] == "failed" and word in str(record["error"]), record
    after = fleet.sh(1, "sh", "-c", "cat /etc/passwd /etc/shadow /etc/group; ls /etc/sudoers.d")
    assert before == after


def test_refusals():
    gone()
    refused('create = true, shell = "/bin/none"', word="there is no shell /bin/none")
    refused('create = true, group = "none"', word="there is no group none")
    refused('create = true, groups = { "none" }', word="there is no group none")
    refused('create = true, uid = 1', word="the account cannot be made")
    refused("uid = 1", account="app", word="and that cannot be changed")
    refused('modify_sudo = true, sudo = "NOPASSWD:: x y"', account="app", word="visudo")
    refused('create = true, shell = "-x"', word="params: shell cannot be -x")
    refused('create = true, home = "/home/a:b"', word="params: home cannot be")
    refused('create = true, groups = { "a,b" }', word="params: groups cannot be this list")
    refused('create = true, group = "-G"', word="params: group cannot be -G")
    refused("create = true, uid = 0", word="params: uid cannot be 0")
    refused('sudo = "ALL"', account="app", word="modify_sudo = true")


main()
