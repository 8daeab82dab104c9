#!/usr/bin/env python3
"""What the language says beside random characters: an inventory of Ansible's, passphrases, and
secrets that are specified, set on real assets."""

import json
import os
import re

from harness import PASSWORD, Fleet, Ops, main

SECRET = "The-Same.Everywhere-1"
TASKS = """
include "short.lua"
inventory "hosts.json"
rule "readable" { words = 4, join = ".", capital = true, digit = 1 }
task "phrase" { accounts = "deploy", nodes = { "/" }, secret = random "readable",
	where = function(asset) return asset.labels.web end }
task "same" { accounts = "app", nodes = { "/" }, secret = specified "fleet/app" }
"""
SHORT = 'platform "short" { extends = "linux", password = { longest = 12 } }'

fleet = ops = None


def hosts():
    (one, port1, _), (two, port2, _) = fleet.assets[1], fleet.assets[2]
    shared = {
        "ansible_user": "ops",
        "ansible_become": True,
        "ansible_become_pass": "never-shown",
        "lockstep_accounts": ["app", "deploy"],
    }
    return {
        "_meta": {
            "hostvars": {
                "asset1": dict(shared, ansible_host=one, ansible_port=port1),
                "asset2": dict(
                    shared, ansible_host=two, ansible_port=str(port2), lockstep_platform="short"
                ),
            }
        },
        "all": {"children": ["ungrouped", "web"]},
        "ungrouped": {"hosts": ["asset2"]},
        "web": {"hosts": ["asset1"]},
    }


def setup():
    global fleet, ops
    fleet = Fleet("1-2")
    ops = Ops(fleet, more=TASKS, rows=[])
    ops.write("hosts.json", json.dumps(hosts(), indent=4))
    ops.write("short.lua", SHORT)
    # "rotate" means both assets, and its secrets are longer than "short" takes.
    path = os.path.join(ops.dir, "lockstep.lua")
    with open(path) as file:
        text = re.sub(r'task "rotate".*?\}\s*\}', "", file.read(), flags=re.S)
    ops.write("lockstep.lua", text)
    ops.tell_all(("ops", "app", "deploy"))


def test_check_tells():
    said = ops.json("check")
    tasks = {t["name"]: t for t in said["tasks"]}
    assert tasks["phrase"]["secret"] == "passphrase 4 words, 55 bits", tasks
    assert 55 < tasks["phrase"]["entropy_bits"] < 56, tasks
    assert (tasks["phrase"]["accounts"], tasks["same"]["accounts"]) == (1, 2), tasks
    assert tasks["same"]["secret"] == 'specified "fleet/app"', tasks
    assert tasks["same"]["entropy_bits"] is None, tasks
    warnings = "\n".join(w["text"] for w in said["warnings"])
    assert 'asset "asset1": variable "ansible_become_pass" is for a secret' in warnings, warnings
    assert "and 1 more" in warnings and "never-shown" not in warnings, warnings
    assert "lockstep secret set fleet/app" in warnings, warnings


def test_a_passphrase_is_set():
    done = ops.json("run", "phrase")
    assert done["success"] == done["total"] == 1, done
    secret = ops.reveal("asset1", "deploy")["secret"]
    assert re.fullmatch(r"([A-Z][a-z-]{2,8}\.){3}[A-Z][a-z-]{2,8}[0-9]", secret), len(secret)
    assert fleet.holds(1, "deploy", secret)


def test_nothing_is_sent_without_the_secret():
    done = ops.json("run", "same", expect=1)
    assert done["failed"] == done["total"] == 2, done
    for record in ops.records(done["execution"]):
        assert record["error"]["code"] == "specified" and record["sends"] == 0, record
        assert "lockstep secret set fleet/app" in record["error"]["message"], record
    assert fleet.holds(1, "app", PASSWORD)


def test_a_specified_secret_is_set_where_it_fits():
    ops.run("secret", "set", "fleet/app", stdin=SECRET + "\n", expect=0)
    done = ops.json("run", "same", expect=1)
    assert (done["success"], done["failed"]) == (1, 1), done
    assert ops.reveal("asset1", "app")["secret"] == SECRET
    assert fleet.holds(1, "app", SECRET) and fleet.holds(2, "app", PASSWORD)
    record = ops.record(done["execution"], "asset2", "app")
    assert record["error"]["code"] == "specified" and record["sends"] == 0, record
    assert 'longer than the 12 bytes that platform "short" takes' in record["error"]["message"]
    assert "The-Same" not in json.dumps(record), record
    ops.run("secret", "set", "fleet/app", stdin="Short-1.two\n", expect=0)
    done = ops.json("run", "same")
    assert done["success"] == 2, done
    assert fleet.holds(1, "app", "Short-1.two") and fleet.holds(2, "app", "Short-1.two")


main()
