#!/usr/bin/env python3
"""What needs no asset: the first minutes, every kind of bad policy, bad imports, a vault that
cannot be had, and the exit statuses of all that.
"""

import fcntl
import hashlib
import json
import os
import pty
import select
import shutil
import subprocess
import time

from harness import LOCKSTEP, WORK, Ops, main

ROWS = [
    ("web1", "192.0.2.11", 22, "ops", "sudo", "app;deploy"),
    ("web2", "192.0.2.12", 22, "ops", "sudo", "app"),
]

ops = None


def setup():
    global ops
    ops = Ops(None, rows=ROWS)


def fresh(name, **more):
    return Ops(None, name=name, rows=ROWS, **more)


def lockstep(*args, **more):
    return subprocess.run(
        [LOCKSTEP, *args], capture_output=True, text=True, stdin=subprocess.DEVNULL, **more
    )


def fails(done, status, *words):
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    for word in words:
        assert word in done.stderr, f"no {word!r} in: {done.stderr}"
    return done


def digest(top):
    """Every file below a directory, with what it holds."""
    found = {}
    for base, _, names in os.walk(top):
        for name in names:
            with open(os.path.join(base, name), "rb") as file:
                found[os.path.join(base, name)] = hashlib.sha256(file.read()).hexdigest()
    return found


# ── init ──────────────────────────────────────────────────────────────────────────────────────


def test_init_then_check():
    top = os.path.join(WORK, "first")
    done = lockstep("init", top)
    assert done.returncode == 0 and "Next: edit inventory/assets.csv" in done.stdout, done
    assert os.stat(os.path.join(top, "master.key")).st_mode & 0o7777 == 0o400
    assert os.stat(os.path.join(top, "vault")).st_mode & 0o7777 == 0o700
    with open(os.path.join(top, ".gitignore")) as file:
        assert {"/vault/", "/master.key"} <= set(file.read().splitlines())
    done = lockstep("-C", top, "check")
    assert done.returncode == 0 and "policy ok" in done.stdout, done
    assert "no known secret yet" in done.stderr, done


def test_init_leaves_what_is_there():
    before = digest(ops.dir)
    fails(lockstep("init", ops.dir), 2, "nothing was touched")
    for name in ("tasks", "vault", "master.key"):
        top = os.path.join(WORK, "has-" + name)
        os.mkdir(top)
        os.mkdir(os.path.join(top, name))
        fails(lockstep("init", top), 2, name)
        assert os.listdir(top) == [name]
    assert digest(ops.dir) == before


def test_init_that_fails_leaves_nothing():
    parent = os.path.join(WORK, "file")
    with open(parent, "w"):
        pass
    fails(lockstep("init", os.path.join(parent, "ops")), 3, "ops")
    if os.geteuid() != 0:
        return
    top = os.path.join(WORK, "no-writing")
    os.mkdir(top, 0o755)
    try:
        done = lockstep("init", top, user=65534, group=65534, extra_groups=[])
    except PermissionError:
        print("      not tried: others may not reach the program")
        return
    fails(done, 3, top)
    assert os.listdir(top) == []


# ── check ─────────────────────────────────────────────────────────────────────────────────────

BAD_POLICIES = [
    ("syntax", "task = = 1", ["lockstep.lua:"]),
    (
        "type",
        'task "t" { accounts = 5, nodes = { "/" }, secret = random { length = 9 } }',
        ["lockstep.lua:", "accounts"],
    ),
    (
        "key",
        'task "t" { acounts = "*", nodes = { "/" }, secret = random { length = 9 } }',
        ["acounts", "accounts"],
    ),
    ("loop", "while true do end", ["lockstep.lua"]),
    ("memory", 'local s = string.rep("x", 1 << 30)', ["lockstep.lua", "memory"]),
    (
        "rule",
        'rule "r" { length = 8, lower = 4, digit = 4, symbol = { min = 2, set = "-_" } }',
        ["lockstep.lua", '"r"'],
    ),
    ("word", 'taks "t" {}', ["taks"]),
    (
        "where",
        'inventory "inventory/*.csv" task "t" { accounts = "*", nodes = { "/" }, '
        'secret = random { length = 9 }, '
        "where = function(a) return a.nothing.more end }",
        ["lockstep.lua:"],
    ),
]


def test_bad_policies():
    for name, text, words in BAD_POLICIES:
        bad = fresh("bad-" + name)
        bad.write("lockstep.lua", text + "\n")
        before = digest(bad.dir)
        began = time.monotonic()
        fails(bad.run("check"), 2, "nothing was changed", *words)
        fails(bad.run("run", "t"), 2)
        assert time.monotonic() - began < 20, name
        result = json.loads(bad.run("check", "--json", expect=2).stdout)
        assert result["ok"] is False and result["errors"], result
        assert digest(bad.dir) == before, name


def test_policy_that_others_may_write():
    bad = fresh("bad-mode")
    os.chmod(os.path.join(bad.dir, "lockstep.lua"), 0o666)
    fails(bad.run("check"), 2, "lockstep.lua", "chmod")


HEADER = "name,address,platform,accounts\n"

BAD_INVENTORIES = [
    ("missing column", "address,platform\n192.0.2.1,linux\n", ["assets.csv", "name"]),
    ("unknown column", "name,platfrom\nweb1,linux\n", ["assets.csv:1", "platfrom", '"platform"']),
    ("asset twice", HEADER + "a,192.0.2.1,linux,x\na,192.0.2.2,linux,x\n", ["assets.csv:3"]),
    (
        "address twice",
        HEADER + "a,192.0.2.1,linux,x\nb,192.0.2.1,linux,x\n",
        ["assets.csv:3", "192.0.2.1"],
    ),
    ("unknown platform", HEADER + "a,192.0.2.1,linix,x\n", ["assets.csv:2", "linix"]),
    ("long line", HEADER + "a," + "x" * 10_000_000 + ",linux,x\n", ["assets.csv:2"]),
]


def test_bad_inventories():
    for name, text, words in BAD_INVENTORIES:
        bad = fresh("bad-csv")
        bad.write("inventory/assets.csv", text)
        fails(bad.run("check"), 2, *words)
    with open(os.path.join(bad.dir, "inventory/assets.csv"), "wb") as file:
        file.write(HEADER.encode() + b"a,192.0.2.1,linux,\xff\xfe\n")
    fails(bad.run("check"), 2, "assets.csv:2")


def test_crlf_is_fine():
    good = fresh("crlf")
    good.write("inventory/assets.csv", (HEADER + "a,192.0.2.1,linux,x\n").replace("\n", "\r\n"))
    assert good.json("check")["assets"] == 1


# ── Usage ─────────────────────────────────────────────────────────────────────────────────────


def test_usage():
    fails(lockstep(), 2)
    fails(lockstep("acount"), 2, '"account"')
    fails(lockstep("asset"), 2, "lockstep asset ping")
    fails(lockstep("asset", "lsit"), 2, "lockstep asset list")
    fails(lockstep("--nonsense"), 2)
    fails(ops.run("run"), 2, "TASK is missing")
    fails(ops.run("run", "rotate", "more"), 2, "too many")
    fails(ops.run("asset", "list", "--nonsense"), 2)
    bare = os.path.join(WORK, "bare")
    os.mkdir(bare)
    for place in (os.path.join(WORK, "nowhere"), bare):
        done = fails(lockstep("-C", place, "check"), 2, f"lockstep init {place}")
        assert done.stderr.startswith("lockstep: there is no policy in"), done
    for words in ([], ["check"], ["account", "reveal"]):
        done = lockstep(*words, "--help")
        assert done.returncode == 0 and "Usage: lockstep" in done.stdout, done
    assert lockstep("--version").stdout.startswith("lockstep ")


def test_options_stand_anywhere():
    for args in (
        ["--json", "-C", ops.dir, "asset", "list"],
        ["asset", "list", "-C", ops.dir, "--json"],
        ["-C", "/nowhere", "asset", "list", "web*", "--json", "-C", ops.dir],
    ):
        assert len(json.loads(lockstep(*args).stdout)) == 2, args
    assert lockstep("check", env=dict(os.environ, LOCKSTEP_DIR=ops.dir)).returncode == 0


def test_unknown_names():
    fails(ops.run("run", "rotat"), 2, '"rotate"')
    fails(ops.run("asset", "ping", "web3"), 2, "web3")
    fails(ops.run("asset", "list", "/prod"), 2, "/prod")
    fails(ops.run("asset", "trust", "wep1", "--yes"), 2, '"web1"')
    fails(ops.run("account", "show", "web1", "ap"), 2, '"app"')
    fails(ops.run("account", "reveal", "web1", "app"), 2)
    fails(ops.run("account", "reveal", "web1", "app", "--json"), 2, "no secret")
    fails(ops.run("execution", "show", "01J"), 2, "01J")
    fails(ops.run("record", "show", "01J"), 2, "01J")
    fails(ops.run("record", "retry", "01J"), 2, "01J")
    fails(ops.run("record", "list", "--status", "bad"), 2, "success")


def test_closed_files():
    """What is opened must not become stdout: nothing is written where a vault's file stands."""
    closed = fresh("closed")
    subprocess.run(
        ["sh", "-c", 'exec "$0" -C "$1" account list 0<&- 1>&- 2>&-', LOCKSTEP, closed.dir],
        check=False,
    )
    assert closed.run("account", "list").returncode == 0


# ── Accounts ──────────────────────────────────────────────────────────────────────────────────


def states(where):
    return {(a["asset"], a["account"]): a["state"] for a in where.json("account", "list")}


BAD_IMPORTS = [
    ("asset,acount,password\n", ["stdin:1", '"account"']),
    ("asset,password\nweb1,x\n", ["stdin:1", '"account" is missing']),
    ("asset,account,password\nweb1,app\n", ["stdin:2"]),
    ("asset,account,password\nweb1,app,x\nweb9,app,x\n", ["stdin:3: column asset", '"web9"']),
    ("asset,account,password\nweb1,ap,x\n", ["stdin:2: column account", '"app"']),
    ("asset,account,password\n*,nobody,x\n", ["stdin:2: column account"]),
    ("asset,account,password\nweb*,app,x\nweb1,app,y\n", ["stdin:3: column account", "line 2"]),
    ("asset,account,password\nweb1,app,\n", ["stdin:2: column password"]),
    ("asset,account,password\n,app,x\n", ["stdin:2: column asset"]),
    ('asset,account,password\nweb1,app,"a\nb"\n', ["stdin:2: column password"]),
    ("asset,account,password,passphrase\nweb1,app,x,y\n", ["column passphrase"]),
    ("asset,account,key_file\nweb1,app,/nowhere\n", ["stdin:2: column key_file"]),
    (
        "asset,account,key_file\nweb1,app,/etc/hostname\n",
        ["stdin:2: column key_file", "private key"],
    ),
    ("", ["stdin"]),
]


def test_bad_imports_write_nothing():
    for text, words in BAD_IMPORTS:
        done = fails(ops.run("account", "import", "-", stdin=text), 2, *words)
        assert "Traceback" not in done.stderr and done.stdout == "", done
    fails(ops.run("account", "import", "/nowhere.csv"), 2, "/nowhere.csv")
    assert set(states(ops).values()) == {"unmanaged"}, states(ops)


def test_what_is_unknown_yet_is_told_apart():
    """An account is taken over by its first rotation; one that assets are entered with is not."""
    mine = fresh("unknown")
    listed = [a for a in mine.json("account", "list") if a["state"] == "unmanaged"]
    entered = [a for a in listed if a["account"] == "ops"]
    told = mine.run("check", expect=0).stderr
    assert entered and len(listed) > len(entered), listed
    assert f"{len(listed) - len(entered)} accounts have no known secret yet" in told, told
    assert f"{len(entered)} assets have an admin" in told, told
    assert mine.json("check")["unmanaged"] == len(listed)


def test_told_and_revealed():
    mine = fresh("told")
    secret = ' p,"\\ß'
    mine.tell(("web*", "app", secret), ("/", "ops", "admin"))
    shown = mine.reveal("web1", "app")
    assert shown == {
        "asset": "web1",
        "account": "app",
        "version": 1,
        "stage": "current",
        "kind": "password",
        "secret": secret,
        "passphrase": None,
        "public": None,
        "in_doubt": False,
        "candidates": [],
        "stale": False,
    }, shown
    assert mine.run("account", "reveal", "web2", "app", "--raw").stdout == secret
    fails(mine.run("account", "reveal", "web2", "app"), 2, "--raw")
    assert mine.run("account", "add", "web1", "app", stdin="newer\n").returncode == 0
    assert mine.reveal("web1", "app")["secret"] == "newer"
    assert mine.json("account", "reveal", "web1", "app", "--version", 1)["secret"] == secret
    fails(mine.run("account", "reveal", "web1", "app", "--json", "--version", 3), 2, "newest is 2")
    fails(mine.run("account", "add", "web1", "app"), 2, "no password")
    versions = mine.json("account", "show", "web1", "app")["versions"]
    assert [(v["number"], v["stage"], v["proof"]) for v in versions] == [
        (2, "current", "told"),
        (1, "previous", "told"),
    ], versions
    assert secret not in json.dumps(versions)
    found = states(mine)
    assert [k for k, state in found.items() if state == "unmanaged"] == [("web1", "deploy")], found


def test_keys():
    mine = fresh("keys")
    key = os.path.join(WORK, "a-key")
    for phrase in ("", "a phrase"):
        if os.path.exists(key):
            os.remove(key)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", phrase, "-f", key], check=True)
        row = f"asset,account,key_file,passphrase\nweb1,ops,{key},{phrase}\n"
        assert mine.run("account", "import", "-", stdin=row).returncode == 0, phrase
        told = mine.reveal("web1", "ops")
        assert told["passphrase"] is None, told
        bare = os.path.join(WORK, "bare-key")
        with open(bare, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(told["secret"])
        shown = ["ssh-keygen", "-y", "-P", "", "-f", bare]
        shown = subprocess.run(shown, check=True, capture_output=True, text=True).stdout
        with open(key + ".pub") as file:
            assert shown.split()[:2] == file.read().split()[:2], shown
    fails(
        mine.run("account", "import", "-", stdin=row.replace("a phrase", "another")),
        2,
        "the passphrase does not open it",
    )
    fails(
        mine.run("account", "import", "-", stdin=f"asset,account,key_file\nweb1,ops,{key}\n"),
        2,
        "passphrase",
    )
    fails(
        mine.run("account", "import", "-", stdin=f"asset,account,key_file\nweb1,ops,{key}.pub\n"),
        2,
        "public",
    )


def test_undeclared_secrets_are_kept_and_shown():
    mine = fresh("gone")
    mine.tell(("web2", "app", "kept"))
    mine.inventory(ROWS[:1])
    gone = [a for a in mine.json("account", "list") if not a["declared"]]
    assert [(a["asset"], a["account"]) for a in gone] == [("web2", "app")], gone
    assert mine.reveal("web2", "app")["secret"] == "kept"


# ── A terminal ────────────────────────────────────────────────────────────────────────────────


# The secret is shown on a screen that is gone afterwards (xterm's control sequences).
OTHER_SCREEN, FIRST_SCREEN = "\x1b[?1049h", "\x1b[?1049l"


def on_terminal(*args, typed=(), env=None):
    """Runs a command on a terminal; what is typed answers each prompt in turn."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execvpe(LOCKSTEP, [LOCKSTEP, *args], dict(os.environ, **(env or {})))
    seen = b""
    typed = list(typed)
    while True:
        if typed and typed[0][0] in seen:
            os.write(fd, typed.pop(0)[1])
        if not select.select([fd], [], [], 20)[0]:
            break
        try:
            more = os.read(fd, 4096)
        except OSError:
            break
        if not more:
            break
        seen += more
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen.decode()


def test_asking_does_not_show():
    mine = fresh("asking")
    status, seen = on_terminal(
        "-C",
        mine.dir,
        "account",
        "add",
        "web1",
        "app",
        typed=[(b"password: ", b"Typed-1\n"), (b"again: ", b"Typed-1\n")],
    )
    assert status == 0 and "Typed-1" not in seen, (status, seen)
    shows = ("-C", mine.dir, "account", "reveal", "web1", "app")
    status, seen = on_terminal(*shows, env={"TERM": "dumb"})
    assert status == 0 and seen.split() == ["Typed-1"], (status, seen)
    status, seen = on_terminal(*shows, typed=[(b"with Enter", b"\n")], env={"TERM": "xterm"})
    assert status == 0 and "Typed-1" in seen, (status, seen)
    assert seen.startswith(OTHER_SCREEN) and seen.endswith(FIRST_SCREEN), seen
    status, seen = on_terminal(
        "-C",
        mine.dir,
        "account",
        "add",
        "web1",
        "app",
        typed=[(b"password: ", b"one\n"), (b"again: ", b"two\n")],
    )
    assert status == 2 and "differ" in seen, (status, seen)
    status, _ = on_terminal(
        "-C", mine.dir, "account", "add", "web1", "app", typed=[(b"password: ", b"\x03")]
    )
    assert status == -2, status
    assert mine.reveal("web1", "app")["secret"] == "Typed-1"


def test_a_terminal_is_not_fed_controls():
    mine = fresh("controls")
    mine.tell(("web1", "app", "a\x1b[2Jb"))
    for term in "dumb", "xterm":
        status, seen = on_terminal(
            "-C", mine.dir, "account", "reveal", "web1", "app", env={"TERM": term}
        )
        assert status == 2 and "\x1b" not in seen and "--raw" in seen, (status, seen)
    assert mine.reveal("web1", "app")["secret"] == "a\x1b[2Jb"


# ── The vault ─────────────────────────────────────────────────────────────────────────────────


def test_wrong_keys():
    mine = fresh("key")
    other = fresh("other-key")
    key = os.path.join(mine.dir, "master.key")
    shutil.copy(os.path.join(other.dir, "master.key"), key + ".new")
    os.rename(key, key + ".kept")
    fails(mine.run("account", "list"), 3, "master.key")
    os.rename(key + ".new", key)
    fails(mine.run("account", "list"), 3, "master.key")
    fails(mine.run("run", "rotate"), 3)
    assert mine.run("check").returncode == 0
    os.rename(key + ".kept", key)
    os.chmod(key, 0o644)
    fails(mine.run("account", "list"), 3, "chmod 400")
    os.chmod(key, 0o400)
    assert mine.run("account", "list").returncode == 0


def test_broken_vaults():
    mine = fresh("broken")
    data = os.path.join(mine.dir, "vault", "data.mdb")
    whole = open(data, "rb").read()
    for bad in (b"", b"not a vault", whole[:5000], os.urandom(1 << 20)):
        with open(data, "wb") as file:
            file.write(bad)
        fails(mine.run("account", "list"), 3, "vault")
    with open(data, "wb") as file:
        file.write(whole)
    assert mine.run("account", "list").returncode == 0
    shutil.rmtree(os.path.join(mine.dir, "vault"))
    fails(mine.run("account", "list"), 3, "vault")
    assert mine.run("check").returncode == 0


def test_second_engine():
    mine = fresh("busy")
    assert mine.run("account", "list").returncode == 0
    with open(os.path.join(mine.dir, "vault", "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(f"{os.getpid()} {int(time.time() * 1000)} run rotate\n")
        lock.flush()
        fails(mine.run("account", "list"), 3, '"run rotate"', str(os.getpid()))
        fails(mine.run("run", "rotate"), 3, '"run rotate"')
        fails(mine.run("run", "rotat"), 2)
        done = mine.run("check")
        assert done.returncode == 0 and "known secret" not in done.stderr, done


def test_read_only():
    mine = fresh("read-only")
    command = (
        'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && exec "$0" -C "$1" account list'
    )
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", command, LOCKSTEP, mine.dir], capture_output=True, text=True
    )
    if "mount" in done.stderr or "unshare" in done.stderr:
        print("      not tried: this machine mounts nothing")
        return
    fails(done, 3, "vault")


def test_root_becomes_the_owner():
    mine = fresh("owner")
    owned = os.path.join(mine.dir, "vault")
    if os.geteuid() != 0 or not os.path.isdir(owned):
        return
    for path in (
        owned,
        os.path.join(owned, "data.mdb"),
        os.path.join(owned, "lock.mdb"),
        os.path.join(mine.dir, "master.key"),
    ):
        os.chown(path, 65534, 65534)
    done = mine.run("account", "list")
    if "ermission denied" in done.stderr:
        print("      not tried: others may not reach this directory")
        return
    assert done.returncode == 0, done
    assert os.stat(os.path.join(owned, "lock")).st_uid == 65534


main()
