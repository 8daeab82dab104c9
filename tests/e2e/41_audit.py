#!/usr/bin/env python3
"""
The audit log: every method that changes something leaves an entry that says who did it, and an
export that nobody can edit unseen, checked here by other means than Lockstep's own too.
"""
# time limit: 240

import hashlib
import json
import os
import pwd
import random
import re
import signal

from harness import PASSWORD, Fleet, Ops, main, never_answers, short_dir, wait_for

SECRET = "Tiger-Lily.91"
ME = pwd.getpwuid(os.getuid()).pw_name

fleet = ops = None
holding = []  # sockets that stay open


def setup():
    global fleet, ops
    fleet = Fleet("1-2")
    rows = [
        (f"web{n}", address, port, "ops", "sudo", "app;deploy")
        for n, (address, port, _) in sorted(fleet.assets.items())
    ]
    mute = never_answers()
    holding.append(mute)
    rows.append(("gone", "127.0.0.1", 1, "ops", "sudo", "app"))
    rows.append(("mute", "127.0.0.1", mute.getsockname()[1], "ops", "sudo", "slow"))
    more = 'task "slow" { accounts = { "slow" }, nodes = { "/" }, secret = random "plain" }\n'
    more += 'task "timed" { accounts = { "deploy" }, nodes = { "/" }, secret = random "plain",'
    more += ' schedule = every "30d" }'
    settings = f'socket = "{short_dir()}/socket", login_timeout = "10s"'
    ops = Ops(fleet, rows=rows, more=more, retries=0, settings=settings)


class Daemon:
    def __enter__(self):
        self.process = ops.lockstepd()
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


def entries(*args):
    return ops.json("audit", "list", *args)


def newest(what):
    found = [e for e in entries("--what", what) if e["what"] == what]
    assert found, (what, entries())
    return found[0]


# ── Each method ───────────────────────────────────────────────────────────────────────────────


def audited_methods():
    """What the table of methods says leaves an entry."""
    source = os.path.join(os.environ["SRC"], "engine/service/service.c")
    with open(source) as file:
        rows = re.findall(r'\{"([a-z._]+)", \w+, NEEDS_\w+, (.*?)\},', file.read(), re.S)
    return {name for name, columns in rows if re.search(r"\btrue\b", columns)}


def test_every_method_that_changes_something():
    """The commands below, by method: one that the table has and this has not is a mistake here."""
    tell = f"asset,account,password\nweb1,ops,{PASSWORD}\n*,app,{PASSWORD}\n*,deploy,{PASSWORD}\n"
    tell += f"web2,ops,{PASSWORD}\ngone,ops,{PASSWORD}\nmute,ops,{PASSWORD}\n"
    steps = {
        "account.import": ("import", ["account", "import", "-"], tell),
        "account.add": ("import", ["account", "add", "web2", "app"], PASSWORD),
        "secret.set": ("secret_set", ["secret", "set", "smtp"], SECRET),
        "secret.delete": ("secret_delete", ["secret", "delete", "smtp", "--yes"], ""),
        "task.pause": ("pause", ["task", "pause", "timed", "--why", "move"], ""),
        "task.resume": ("resume", ["task", "resume", "timed"], ""),
        "asset.trust": ("trust", ["asset", "trust", "web1", "--yes"], ""),
        "account.verify": ("run", ["account", "verify", "web1", "app"], ""),
        "run": ("run", ["run", "rotate"], ""),
        "account.reveal": ("reveal", ["account", "reveal", "web1", "app", "--json"], ""),
        "account.restore": ("run", ["account", "restore", "web1", "app", "--version", "1"], ""),
    }
    known = set(steps) | LATER | ELSEWHERE
    assert audited_methods() <= known, audited_methods() - known
    for method, (what, command, stdin) in steps.items():
        before = entries()[0]["number"] if entries() else 0
        done = ops.run(*command, stdin=stdin)
        assert done.returncode in (0, 1), (method, done)
        assert "not_audited" not in done.stderr, (method, done.stderr)
        entry = newest(what)
        assert entry["number"] > before, (method, entry)
        assert entry["user"] == ME and entry["uid"] == os.getuid(), entry
        assert entry["origin"] == "command" and entry["outcome"] == "done", entry
    revealed = newest("reveal")
    assert (revealed["asset"], revealed["account"]) == ("web1", "app"), revealed
    assert revealed["version"] >= 2 and revealed["object"] == "password", revealed
    ran = newest("run")
    assert ran["object"] == "restore" and ran["version"] == 1 and ran["account"] == "app", ran
    assert newest("pause")["detail"] == "move"


# Carried out by the tests that follow.
LATER = {
    "asset.rename",
    "record.ignore",
    "record.unignore",
    "record.retry",
    "record.restore",
    "execution.cancel",
    "reload",
    "audit.export",
}
# By the tests of what they are about.
ELSEWHERE = {
    "approval.grant",
    "approval.deny",
    "account.checkout",
    "account.checkin",
    "task.rename",
    "notice.drop",
    "notice.retry",
    "vault.rekey",
    "vault.backup",
    "vault.export",
    "record.reveal",
    "login",
    "token.create",
    "token.revoke",
    "user.confirm",
    "user.enroll",
    "user.password",
    "user.reset_mfa",
}


def test_rename_and_records():
    done = ops.json("run", "rotate", expect=1)
    failed = [r for r in ops.records(done["execution"]) if r["status"] == "failed"]
    ops.run("record", "ignore", failed[0]["id"], "--why", "known", expect=0)
    entry = newest("ignore")
    assert failed[0]["id"] in entry["object"] and entry["detail"] == "known", entry
    ops.run("record", "unignore", failed[0]["id"], expect=0)
    assert failed[0]["id"] in newest("unignore")["object"]
    ops.run("record", "retry", "--execution", done["execution"])
    assert newest("run")["object"] == "retry"
    changed = [r for r in ops.records(done["execution"]) if r["status"] == "success"][0]
    ops.run("record", "restore", changed["id"])
    assert newest("run")["object"] == "restore"
    inventory = os.path.join(ops.dir, "inventory/assets.csv")
    with open(inventory) as file:
        text = file.read()
    ops.write("inventory/assets.csv", text.replace("web2", "db2"))
    ops.run("asset", "rename", "web2", "db2", expect=0)
    entry = newest("rename")
    assert (entry["asset"], entry["object"]) == ("web2", "db2"), entry
    # The policy changed under it, and that is in the log by itself.
    policy = newest("policy")
    assert "changed inventory/assets.csv" in policy["detail"], policy


def test_what_did_nothing_leaves_nothing():
    before = entries()[0]["number"]
    ops.run("secret", "delete", "none", "--yes", expect=2)
    ops.run("account", "reveal", "web1", "nobody", expect=2)
    ops.run("account", "list", expect=0)
    assert entries()[0]["number"] == before


def test_filters():
    assert {e["what"] for e in entries("--what", "reveal")} == {"reveal"}
    assert entries("--who", "nobody-there") == []
    assert entries("--since", "1h") == entries() and entries("--since", "2099-01-01") == []
    assert all(e["asset"] == "web1" for e in entries("--asset", "web1"))
    assert len(entries("--limit", "2")) == 2
    done = ops.run("audit", "list", "--what", "revael", expect=2)
    assert 'did you mean "reveal"?' in done.stderr, done
    done = ops.run("audit", "list", "--since", "yesterday", expect=2)
    assert "neither a span of time" in done.stderr, done
    shown = ops.run("audit", "list", "--what", "secret_set", expect=0).stdout
    assert "smtp" in shown and ME in shown, shown


# ── A daemon ──────────────────────────────────────────────────────────────────────────────────


def test_daemon():
    with Daemon() as daemon:
        ops.run("reload", expect=0)
        entry = newest("policy")
        assert entry["origin"] == "socket" and entry["user"] == ME, entry
        good = os.path.join(ops.dir, "lockstep.lua")
        with open(good) as file:
            text = file.read()
        ops.write("lockstep.lua", text + "\ntusk {}\n")
        ops.run("reload", expect=2)
        entry = newest("policy")
        assert entry["outcome"] == "refused" and "error" in entry["detail"], entry
        ops.write("lockstep.lua", text)
        daemon.process.send_signal(signal.SIGHUP)
        wait_for(lambda: newest("policy")["outcome"] == "done")
        assert newest("policy")["origin"] == "engine"
        running = ops.start("run", "slow", "--json")
        wait_for(lambda: ops.json("status")["executions"])
        (execution,) = ops.json("status")["executions"]
        ops.run("execution", "cancel", execution["id"], expect=0)
        entry = newest("cancel")
        assert entry["execution"] == execution["id"] and entry["task"] == "slow", entry
        running.wait(60)
    ops.run("audit", "verify", expect=0)


# ── Exports ───────────────────────────────────────────────────────────────────────────────────


def checked_by_hand(text):
    """As docs/security.md says that it is hashed: without Lockstep."""
    head, *lines = text.splitlines()
    head = json.loads(head)
    begun = hashlib.sha256(b"lockstep audit 1\n" + head["vault"].encode()).hexdigest()
    before = head["hash"]
    assert head["after"] > 0 or before == begun
    for number, line in enumerate(lines, head["after"] + 1):
        entry = json.loads(line)
        said, kept = re.fullmatch(r'(.*),"hash":"([0-9a-f]{64})"}', line).groups()
        mine = hashlib.sha256(bytes.fromhex(before) + (said + "}").encode()).hexdigest()
        assert entry["number"] == number and mine == kept, line
        before = kept
    assert json.loads(lines[-1])["what"] == "sign"


def verify(text, key, expect):
    path = os.path.join(ops.dir, "export.jsonl")
    with open(path, "w", newline="") as file:
        file.write(text)
    done = ops.run("audit", "verify", path, "--key", key, at=False)
    assert done.returncode in expect, (done, text)
    return done


def edited(text, chance):
    lines = text.splitlines(keepends=True)
    kind = chance.randrange(5)
    at = chance.randrange(len(lines))
    if kind == 0:
        i = chance.randrange(len(text))
        return text[:i] + chr((ord(text[i]) + 1 + chance.randrange(90)) % 126 + 1) + text[i + 1 :]
    if kind == 1:
        del lines[at]
    elif kind == 2:
        other = (at + 1) % len(lines)
        lines[at], lines[other] = lines[other], lines[at]
    elif kind == 3:
        lines.insert(at, lines[at])
    else:
        return text[: chance.randrange(len(text) - 1)]
    return "".join(lines)


def test_export():
    key = ops.run("audit", "key", expect=0).stdout.strip()
    done = ops.run("audit", "export", expect=0)
    assert "not_audited" not in done.stderr
    assert SECRET not in done.stdout and PASSWORD not in done.stdout
    checked_by_hand(done.stdout)
    said = verify(done.stdout, key, (0,)).stdout
    assert "as it was written" in said and "signed up to" in said, said
    part = ops.run("audit", "export", "--since", "1h", expect=0).stdout
    checked_by_hand(part)
    verify(part, key, (0,))
    # Earlier exports end with their own signature: to cut there is to have exported then.
    ends = [m.end() for m in re.finditer(r'.*"what":"sign".*\n', done.stdout)]
    chance = random.Random(6)
    for _ in range(100):
        bad = edited(done.stdout, chance)
        if bad == done.stdout or (len(bad) in ends and done.stdout.startswith(bad)):
            continue
        verify(bad, key, (1, 2))
    done = verify(part, "0" * 64, (1,))
    assert "another key" in done.stderr, done
    verify(part, "tiger", (2,))


def test_syslog_setting_is_checked():
    text = Ops.policy_text(settings="audit = { syslog = 1 }")
    with open(os.path.join(ops.dir, "lockstep.lua")) as file:
        good = file.read()
    ops.write("lockstep.lua", text)
    done = ops.run("check", expect=2)
    assert "audit.syslog" in done.stderr, done
    ops.write("lockstep.lua", good)


if __name__ == "__main__":
    main()
