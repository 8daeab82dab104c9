#!/usr/bin/env python3
"""Secrets that the policy names, and what is kept of an asset when it gets another name."""

import os
import pty
import time

from harness import PASSWORD, Fleet, Ops, main

SECRET = "Tiger-Lily.91"

fleet = ops = None


def rows(first="web1", second="web2"):
    listed = []
    for n, (address, port, _) in sorted(fleet.assets.items()):
        name = {1: first, 2: second}[n]
        listed.append((name, address, port, "ops", "sudo", "app;deploy"))
    return listed


def setup():
    global fleet, ops
    fleet = Fleet("1-2")
    ops = Ops(fleet, rows=rows())
    ops.tell_all(("ops", "app"))


def typed(*args, lines):
    """Runs a command on a terminal, types a line at each prompt; its status and what it showed."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(ops.lockstep, [ops.lockstep, "-C", ops.dir, *args], dict(os.environ))
    seen = ""
    try:
        for line in lines:
            before = seen
            while not seen[len(before) :].rstrip().endswith((":", "]")):
                seen += os.read(terminal, 4096).decode()
            time.sleep(0.05)
            os.write(terminal, line.encode() + b"\n")
        while True:
            part = os.read(terminal, 4096).decode()
            if not part:
                break
            seen += part
    except OSError:
        pass
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), seen


def vault_holds(text):
    with open(os.path.join(ops.dir, "vault", "data.mdb"), "rb") as file:
        return text.encode() in file.read()


# ── Named secrets ─────────────────────────────────────────────────────────────────────────────


def test_set_from_stdin():
    done = ops.run("secret", "set", "smtp", stdin=SECRET + "\n", expect=0)
    assert done.stdout == 'secret "smtp" is kept\n', done
    listed = ops.json("secret", "list")
    assert [s["name"] for s in listed] == ["smtp"] and listed[0]["set"], listed
    assert listed[0]["made"] == listed[0]["changed"] and listed[0]["used_by"] == [], listed
    done = ops.json("secret", "set", "smtp", stdin=SECRET + "2")
    assert done == {"name": "smtp", "replaced": True, "used_by": []}, done
    assert vault_holds("smtp") and not vault_holds("Tiger-Lily")


def test_set_on_a_terminal():
    status, seen = typed("secret", "set", "db/main", lines=[SECRET, SECRET])
    assert status == 0 and 'secret "db/main" is kept' in seen, seen
    assert SECRET not in seen, "what is typed is not shown"
    status, seen = typed("secret", "set", "db/main", lines=[SECRET, SECRET + "x"])
    assert status == 2 and "differ: type it again; nothing was changed" in seen, seen
    assert [s["name"] for s in ops.json("secret", "list")] == ["db/main", "smtp"]


def test_what_is_refused():
    for name in ("", "a b", "-x", "x" * 128, "ä"):
        done = ops.run("secret", "set", "--", name, stdin="x\n", expect=2)
        assert "cannot be a secret's name: give 1 to 127 letters" in done.stderr, done
    for text in ("", "\n"):
        done = ops.run("secret", "set", "x", stdin=text, expect=2)
        assert "no secret was given" in done.stderr, done
    for command in (("secret", "set", "x"), ("account", "add", "web1", "app")):
        done = ops.run(*command, stdin="one\ntwo\n", expect=2)
        assert "standard input has more than one line" in done.stderr, done
        done = ops.run(*command, stdin="one\r\n", expect=2)
        assert "the line ends in a carriage return" in done.stderr, done
        done = ops.run(*command, stdin="o\rne\n", expect=2)
        assert "has a line's end in it" in done.stderr, done
        assert "nothing was changed" in done.stderr, done
    done = ops.run("secret", "set", "x", stdin="x" * 20000 + "\n", expect=2)
    assert "at most 16384 bytes" in done.stderr, done
    done = ops.run("secret", "set", "x", stdin=b"\xff\xfe\n", expect=2, text=False)
    assert b"no UTF-8 text" in done.stderr, done


def test_delete():
    done = ops.run("secret", "delete", "smtp", expect=2)
    assert "give --yes" in done.stderr, done
    status, seen = typed("secret", "delete", "smtp", lines=["n"])
    assert status == 0 and "nothing was changed" in seen, seen
    status, seen = typed("secret", "delete", "smtp", lines=["y"])
    assert status == 0 and 'secret "smtp" is deleted' in seen, seen
    done = ops.run("secret", "delete", "smtp", "--yes", expect=2)
    assert 'no secret "smtp"' in done.stderr and "lockstep secret list" in done.stderr, done
    assert [s["name"] for s in ops.json("secret", "list")] == ["db/main"]


def test_what_the_policy_names():
    task = 'task "{}" {{ accounts = "app", nodes = {{ "/" }}, secret = specified "{}" }}\n'
    ops.write("tasks/named.lua", task.format("named", "shared/app"))
    with open(os.path.join(ops.dir, "lockstep.lua"), "a") as file:
        file.write('include "tasks/*.lua"\n')
    listed = {s["name"]: s for s in ops.json("secret", "list")}
    asked = {"kind": "task", "name": "named", "field": "secret"}
    assert listed["shared/app"]["used_by"] == [asked], listed
    assert not listed["shared/app"]["set"] and listed["shared/app"]["made"] is None, listed
    shown = ops.run("secret", "list", expect=0).stdout
    assert "shared/app  not set" in shown and "task named" in shown, shown
    done = ops.run("check", expect=0)
    assert "lockstep secret set shared/app" in done.stderr, done
    assert ops.json("secret", "set", "shared/app", stdin=SECRET)["used_by"] == [asked]
    assert "shared/app" not in ops.run("check", expect=0).stderr
    done = ops.run("secret", "delete", "shared/app", "--yes", expect=2)
    assert 'used by task "named"' in done.stderr, done
    ops.write("tasks/named.lua", "")
    ops.run("secret", "delete", "shared/app", "--yes", expect=0)


# ── Renaming ──────────────────────────────────────────────────────────────────────────────────


def test_rename_follows_the_inventory():
    assert ops.json("run", "rotate")["success"] == 4
    before = ops.reveal("web1", "app")
    done = ops.run("asset", "rename", "web1", "www1", expect=2)
    assert 'no asset "www1"' in done.stderr and "there first" in done.stderr, done
    ops.inventory(rows(first="www1"))
    assert "(web1); where one has another name now: lockstep asset rename web1 www1\n" in (
        ops.run("check", expect=0).stderr
    )
    assert {a["asset"] for a in ops.json("account", "list", "--orphaned")} == {"web1"}
    done = ops.run("asset", "rename", "web1", "www1", expect=0)
    assert 'from "web1" to "www1": 3 secrets, 1 host key' in done.stdout, done
    assert "another name now" not in ops.run("check", expect=0).stderr
    assert ops.json("account", "list", "--orphaned") == []
    after = ops.reveal("www1", "app")
    assert (after["version"], after["secret"]) == (before["version"], before["secret"])
    done = ops.run("account", "reveal", "web1", "app", "--json", expect=2)
    assert 'no asset "web1"' in done.stderr, done


def test_what_is_not_kept_cannot_be_moved():
    for old, new in (("web1", "www1"), ("web7", "web2")):
        done = ops.run("asset", "rename", old, new, expect=2)
        assert f'nothing is kept of asset "{old}"' in done.stderr, done
        assert "lockstep account list --orphaned" in done.stderr, done


def test_it_rotates_under_the_new_name():
    done = ops.json("run", "rotate")
    assert done["success"] == done["total"] == 4, done
    assert fleet.holds(1, "app", ops.reveal("www1", "app")["secret"])
    versions = ops.json("account", "history", "www1", "app")["versions"]
    assert [v["number"] for v in versions] == [3, 2, 1], versions
    assert [v["made_by"] and v["made_by"]["asset"] for v in versions] == ["www1", "web1", None]


def test_secrets_are_not_mixed():
    done = ops.run("asset", "rename", "www1", "web2", "--yes", expect=2)
    assert "has kept secrets of its own" in done.stderr, done
    assert "a third name" in done.stderr, done
    done = ops.run("asset", "rename", "www1", "web2", expect=2)
    assert "is still in the policy" in done.stderr and "--yes" in done.stderr, done
    done = ops.run("asset", "rename", "www1", "www1", expect=2)
    assert "the old name and the new one are the same" in done.stderr, done


def test_a_key_that_was_trusted_under_the_new_name_stays():
    """The machine was set up anew, and someone said that its new key is right."""
    other = Ops(fleet, name="other", rows=rows())
    other.tell(("web1", "ops", PASSWORD), ("web1", "app", PASSWORD))
    other.json("asset", "ping", "web1")
    other.run("asset", "trust", "web2", "--yes", expect=0)
    done = other.run("asset", "rename", "web1", "web2", "--yes", expect=0)
    assert "2 secrets, 0 host keys" in done.stdout, done
    pins = {a["name"]: a["host_keys"] for a in other.json("asset", "list")}
    assert [k["how"] for k in pins["web2"]] == ["trust"] and pins["web1"] == [], pins
    assert pins["web2"][0]["fingerprint"] == fleet.assets[2][2], pins


main()
