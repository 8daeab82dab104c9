#!/usr/bin/env python3
"""
The vault's keys and copies: where the master key comes from, rekey and backup killed at random
moments, a vault that was put back, and an export that opens without Lockstep.
"""
# time limit: 300

import glob
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import time

from harness import LOCKSTEP, LOG, WORK, Ops, main, page, short_dir, wait_for

LONG = bool(os.environ.get("LONG"))
LOCKSTEPD = os.path.join(os.path.dirname(os.path.dirname(LOCKSTEP)), "sbin", "lockstepd")
COUNT = 300  # accounts: more than one commit of what is sealed anew
SECRET = "Tiger-Lily.91"

ops = None
place = short_dir()


def setup():
    global ops
    rows = [("web1", "127.0.0.1", 1, "ops", "sudo", ";".join(f"app{n}" for n in range(COUNT)))]
    ops = Ops(None, rows=rows, settings=f'socket = "{place}/socket"')
    ops.tell(*[("web1", f"app{n}", f"{SECRET}-{n}") for n in range(COUNT)])
    ops.run("secret", "set", "smtp", stdin=SECRET + "-smtp", expect=0)


def settings(more=""):
    ops.write("lockstep.lua", Ops.policy_text(settings=f'socket = "{place}/socket", {more}'))


def whole():
    """All is there and opens, by the key that the settings name."""
    told = ops.json("vault", "check")
    assert told["secrets"] == COUNT and told["named"] == 1, told
    assert ops.reveal("web1", "app77")["secret"] == f"{SECRET}-77"


class Daemon:
    def __init__(self, env=None):
        self.env = dict(os.environ, **(env or {}))

    def __enter__(self):
        self.log = LOG
        self.process = subprocess.Popen(
            [LOCKSTEPD, "-C", ops.dir],
            stdin=subprocess.DEVNULL,
            stderr=open(self.log, "a"),
            start_new_session=True,
            env=self.env,
        )
        # Without it, status would open the vault by itself: here that may ask for what only it has.
        wait_for(lambda: self.answers() or self.process.poll() is not None)
        return self

    @staticmethod
    def answers():
        return os.path.exists(f"{place}/socket") and ops.run("status").returncode == 0

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)

    def kill(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)


# ── Another key ───────────────────────────────────────────────────────────────────────────────


def test_rekey():
    before = open(os.path.join(ops.dir, "master.key")).read()
    told = ops.json("vault", "rekey")
    assert told["confirmed"] and told["data_key"] == 2 and told["source"] == "file", told
    assert open(told["kept"]).read() == before, "the old key is kept"
    assert open(os.path.join(ops.dir, "master.key")).read() != before
    whole()
    with Daemon():
        told = ops.json("vault", "rekey")
        assert told["data_key"] == 3, told
        whole()
    (entry, *_) = ops.json("audit", "list", "--what", "rekey")
    assert entry["object"] == "file" and entry["origin"] == "socket", entry


def killed(moment, *command):
    """A command that is killed after so long; whether it had ended before."""
    running = ops.start(*command)
    try:
        running.wait(moment)
        return True
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        return False


def measured(*command):
    start = time.monotonic()
    ops.run(*command, expect=0)
    return time.monotonic() - start


def test_rekey_killed_at_random_moments():
    chance = random.Random(42)
    lasts = measured("vault", "rekey")
    for _ in range(50 if LONG else 10):
        killed(chance.uniform(0, lasts * 1.2), "vault", "rekey")
        whole()
    ops.run("vault", "rekey", "--resume", expect=0)
    whole()
    for old in glob.glob(os.path.join(ops.dir, "master.key.before-*")):
        os.remove(old)


def test_rekey_in_a_daemon_that_is_killed():
    chance = random.Random(43)
    for _ in range(10 if LONG else 2):
        daemon = Daemon().__enter__()
        asking = ops.start("vault", "rekey")
        time.sleep(chance.uniform(0, 0.4))
        daemon.kill()
        asking.wait(30)
        whole()
        # What was left is sealed anew by the next one.
        with Daemon():
            pass


def test_bad_master_keys():
    path = os.path.join(ops.dir, "master.key")
    good = open(path).read()
    os.chmod(path, 0o644)
    done = ops.run("secret", "list", expect=3)
    assert "is open to others" in done.stderr and "chmod 400" in done.stderr, done
    os.chmod(path, 0o600)
    with open(path, "w") as file:
        file.write(good[:40] + "\n")
    done = ops.run("secret", "list", expect=3)
    assert "does not hold a key" in done.stderr, done
    with open(path, "w") as file:
        file.write(good)
    with Daemon():
        with open(path, "w") as file:
            file.write("00" * 32 + "\n")
        told = ops.json("reload")
        assert any("could not be started again" in w["text"] for w in told["warnings"]), told
        assert ops.reveal("web1", "app1")["secret"] == f"{SECRET}-1", "the engine goes on"
        with open(path, "w") as file:
            file.write(good)
        told = ops.json("reload")
        assert not any("started again" in w["text"] for w in told["warnings"]), told
    os.chmod(path, 0o400)
    whole()


def test_other_sources():
    new = os.path.join(WORK, "kms.key")
    with open(new, "w") as file:
        file.write(os.urandom(32).hex() + "\n")
    os.chmod(new, 0o400)
    command = f'{{ command = {{ "cat", "{new}" }} }}'
    settings(f"next_master_key = {command}")
    with Daemon():
        done = ops.run("vault", "rekey", expect=2)
        assert "stop lockstepd" in done.stderr, done
    told = ops.json("vault", "rekey")
    assert told["source"] == "command" and not told["confirmed"], told
    whole()  # by the old one
    settings(f"master_key = {command}")
    whole()
    settings()
    done = ops.run("secret", "list", expect=3)
    assert "does not open vault" in done.stderr, done
    settings(f"master_key = {command}")
    done = ops.run("vault", "rekey", expect=2)
    assert "not ours to write" in done.stderr and "next_master_key" in done.stderr, done
    # A passphrase, as systemd would give it.
    credentials = os.path.join(WORK, "credentials")
    os.makedirs(credentials, exist_ok=True)
    with open(os.path.join(credentials, "vault"), "w") as file:
        file.write("correct horse battery staple\n")
    have = {"CREDENTIALS_DIRECTORY": credentials}
    passphrase = '{ passphrase = true, credential = "vault" }'
    settings(f"master_key = {command}, next_master_key = {passphrase}")
    told = ops.json("vault", "rekey", env=have)
    assert told["source"] == "passphrase", told
    settings(f"master_key = {passphrase}")
    done = ops.run("secret", "list", expect=3)
    assert "LoadCredential=vault" in done.stderr, done
    with Daemon(env=have):
        assert len(ops.json("secret", "list")) == 1
    # And back to a file.
    path = os.path.join(ops.dir, "second.key")
    shutil.copy(new, path)
    settings(f'master_key = {passphrase}, next_master_key = "second.key"')
    ops.run("vault", "rekey", env=have, expect=0)
    settings('master_key = "second.key"')
    whole()


def test_bad_settings():
    for key, text in (
        ('{ command = "x", file = "y" }', "more than one way"),
        ("{}", "says no way"),
        ("{ credential = 'a/b' }", "without a directory"),
        ("7", "another way"),
        ('{ command = { "x" }, timeout = "1h" }', "timeout"),
    ):
        settings(f"master_key = {key}")
        done = ops.run("check", expect=2)
        assert text in done.stderr, (key, done)
    settings('master_key = "second.key"')


# ── Copies ────────────────────────────────────────────────────────────────────────────────────


def test_backup_and_check():
    copies = os.path.join(WORK, "copies")
    os.makedirs(copies)
    told = ops.json("vault", "backup", copies)
    assert told["file"].startswith(copies + "/lockstep-") and told["bytes"] > 0, told
    assert stat.S_IMODE(os.stat(told["file"]).st_mode) == 0o600
    done = ops.run("vault", "backup", told["file"], expect=2)
    assert "is there already" in done.stderr, done
    with Daemon():
        ops.run("vault", "backup", os.path.join(copies, "hot"), expect=0)
        whole()
    for copy in (told["file"], os.path.join(copies, "hot")):
        checked = ops.json("vault", "check", copy)
        assert checked["secrets"] == COUNT and checked["named"] == 1, checked
        with open(copy, "rb") as file:
            assert SECRET.encode() not in file.read()
    assert os.listdir(copies) and not glob.glob(copies + "/*.part")
    # Damaged, cut, or nothing at all.
    text = bytearray(open(told["file"], "rb").read())
    bad = os.path.join(copies, "bad")
    for at in (len(text) // 2, 0):
        with open(bad, "wb") as file:
            file.write(text[:at])
        done = ops.run("vault", "check", bad)
        assert done.returncode == 3 and "put back the newest backup" in done.stderr, done
    done = ops.run("vault", "check", bad + "x")
    assert done.returncode in (2, 3) and "is not there" in done.stderr, done


def test_damaged_pages():
    """Whatever LMDB does with them: the command says that they are, and ends."""
    chance = random.Random(46)
    copies = os.path.join(WORK, "damaged")
    os.makedirs(copies)
    good = os.path.join(copies, "good")
    ops.run("vault", "backup", good, expect=0)
    text = open(good, "rb").read()
    pages = len(text) // 4096
    bad = os.path.join(copies, "bad")
    crashed = told = 0
    kept, page.file = page.file, None  # what chance brings forth is on no page
    for _ in range(400 if LONG else 30):
        damaged = bytearray(text)
        for _ in range(chance.choice((1, 1, 2, 8))):
            at = chance.randrange(2, pages) * 4096
            other = chance.randrange(2, pages) * 4096
            kind = chance.randrange(3)
            if kind == 0:
                damaged[at : at + 4096] = chance.randbytes(4096)
            elif kind == 1:
                damaged[at : at + 4096] = text[other : other + 4096]
            else:
                damaged[at + 8 : at + 64] = chance.randbytes(56)
        with open(bad, "wb") as file:
            file.write(damaged)
        done = ops.run("vault", "check", bad)
        assert done.returncode in (0, 3), done
        if done.returncode == 3:
            assert "lockstep: " in done.stderr and "put back" in done.stderr, done.stderr
            told += 1
            crashed += "the process that read it" in done.stderr
        if "the process that read it" in done.stderr and crashed == 1:
            # Nor does it take the vault's place.
            done = ops.run("vault", "restore", bad, "--yes")
            assert done.returncode == 3 and "damaged pages" in done.stderr, done
    page.file = kept
    assert told > 10 and crashed > 0, (told, crashed)
    whole()


def test_backup_killed_at_random_moments():
    chance = random.Random(44)
    copies = os.path.join(WORK, "killed")
    os.makedirs(copies)
    lasts = measured("vault", "backup", os.path.join(copies, "first"))
    for n in range(50 if LONG else 10):
        killed(chance.uniform(0, lasts * 1.1), "vault", "backup", os.path.join(copies, str(n)))
        for copy in glob.glob(copies + "/*"):
            if not copy.endswith(".part"):
                assert ops.json("vault", "check", copy)["secrets"] == COUNT
                os.remove(copy)
    whole()


def looked():
    """The daemon's own look at all accounts has begun and ended."""
    return ops.json("execution", "list") and not ops.json("status")["executions"]


def test_restore_is_noticed():
    copy = os.path.join(WORK, "old.vault")
    ops.run("vault", "backup", copy, expect=0)
    ops.run("secret", "set", "later", stdin="x-later", expect=0)
    with Daemon():
        done = ops.run("vault", "restore", copy, "--yes", expect=3)
        assert "in use" in done.stderr or "lockstepd" in done.stderr, done
    done = ops.run("vault", "restore", "/etc/passwd", "--yes")
    assert done.returncode in (2, 3), done
    told = ops.json("vault", "restore", copy, "--yes")
    assert os.path.exists(told["kept"]), told
    whole()
    (entry, *_) = ops.json("audit", "list", "--what", "restore")
    assert "copy from before" in entry["detail"], entry
    (account, *_) = ops.json("account", "list")
    assert account["stale"], account
    done = ops.run("account", "reveal", "web1", "app0", "--json", expect=0)
    assert json.loads(done.stdout)["stale"], done
    # By hand, too.
    vault = os.path.join(ops.dir, "vault")
    before = len(ops.json("audit", "list", "--what", "restore"))
    ops.run("vault", "backup", copy + "2", expect=0)
    shutil.copy(copy + "2", os.path.join(vault, "data.mdb"))
    ops.run("secret", "list", expect=0)
    assert len(ops.json("audit", "list", "--what", "restore")) == before + 1
    # Told anew, it is as good as any.
    ops.tell(("web1", "app0", f"{SECRET}-0"))
    stale = {a["account"]: a["stale"] for a in ops.json("account", "list")}
    assert not stale["app0"] and stale["app1"], stale
    # A daemon looks at all of them by itself, once.
    with Daemon():
        wait_for(looked, 90)
    (execution, *_) = ops.json("execution", "list")
    assert execution["trigger"] == "verify", execution
    with Daemon():
        pass
    assert len(ops.json("execution", "list")) == 1
    whole()


def test_restore_where_there_is_nothing():
    copy = os.path.join(WORK, "moved.vault")
    ops.run("vault", "backup", copy, expect=0)
    vault = os.path.join(ops.dir, "vault")
    shutil.move(vault, vault + ".lost")
    told = ops.json("vault", "restore", copy, "--yes")
    assert told["kept"] is None, told
    whole()


# ── Without Lockstep ──────────────────────────────────────────────────────────────────────────


def test_export_opens_without_lockstep():
    key, cert = os.path.join(WORK, "glass.pem"), os.path.join(WORK, "glass.crt")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        + ["-subj", "/CN=break glass", "-keyout", key, "-out", cert],
        check=True,
        capture_output=True,
    )
    out = os.path.join(WORK, "glass.cms")
    told = ops.json("vault", "export", "--recipient", cert, out)
    assert told["secrets"] == COUNT and "break glass" in told["recipient"], told
    opened = subprocess.run(
        ["openssl", "cms", "-decrypt", "-inform", "DER", "-in", out, "-inkey", key, "-recip", cert],
        check=True,
        capture_output=True,
    ).stdout
    secrets = json.loads(opened)
    assert secrets["lockstep_export"] == 1 and len(secrets["accounts"]) == COUNT
    by_name = {a["account"]: a["versions"] for a in secrets["accounts"]}
    for n in (0, 5, COUNT - 1):
        current = [v for v in by_name[f"app{n}"] if v["stage"] == "current"]
        assert current[0]["secret"] == f"{SECRET}-{n}", current
    assert secrets["secrets"][0] == {**secrets["secrets"][0], "name": "smtp"}
    assert secrets["secrets"][0]["secret"] == SECRET + "-smtp"
    with open(out, "rb") as file:
        assert SECRET.encode() not in file.read()
    (entry, *_) = ops.json("audit", "list", "--what", "export")
    assert "break glass" in entry["object"] and entry["detail"] == told["fingerprint"], entry
    done = ops.run("vault", "export", "--recipient", key, out + "2", expect=2)
    assert "no certificate" in done.stderr, done
    done = ops.run("vault", "export", out + "2", expect=2)
    assert "--recipient is missing" in done.stderr, done


if __name__ == "__main__":
    main()
