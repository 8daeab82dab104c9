#!/usr/bin/env python3
"""Tasks are made, copied, edited, renamed and deleted by commands, as files of the policy."""

import os
import pty
import socket
import stat
import subprocess

from harness import LOCKSTEP, WORK, Ops, main

ROWS = [("web1", "192.0.2.11", 22, "ops", "sudo", "app;deploy")]
MORE = """
node "/prod" { admin = "ops" }
task "two" { accounts = "deploy", nodes = "/",
	secret = random "plain", schedule = every "1d" } -- beside others
for _, name in ipairs { "x", "y" } do
	task("loop-" .. name) { accounts = "app", assets = "web1", active = false }
end
include "tasks/*.lua"
"""
WEEKLY = """task "weekly" {
	accounts = { "app", "deploy*" },
	nodes = { "/" },
	exclude = { assets = { "web9" } },
	secret = random "plain",
	verify = { "login", "hash" },
	params = { shell = "/bin/bash", groups = { "a", "b" } },
	limits = { in_flight = 50, canary = "1%", stop_after = 5 },
	schedule = cron "0 3 * * sun",
	zone = "UTC",
	window = "02:00-05:00",
	jitter = "20m",
	max_age = "90d",
	comment = "SOX \\"4.2\\"",
}
"""
CREATE = [
    *("task", "create", "weekly", "--accounts", "app,deploy*", "--nodes", "/"),
    *("--exclude-assets", "web9", "--rule", "plain", "--verify", "login,hash"),
    *("--param", "shell=/bin/bash", "--param", "groups=a,b", "--in-flight", "50"),
    *("--canary", "1%", "--stop-after", "5", "--cron", "0 3 * * sun", "--zone", "UTC"),
    *("--window", "02:00-05:00", "--jitter", "20m", "--max-age", "90d"),
    *("--comment", 'SOX "4.2"'),
]

ops = None


def setup():
    global ops
    ops = Ops(None, rows=ROWS)
    for name in os.listdir(path("tasks")):
        os.unlink(path("tasks", name))
    ops.write("lockstep.lua", Ops.policy_text(more=MORE))


def path(*parts):
    return os.path.join(ops.dir, *parts)


def text(name):
    with open(path(name)) as file:
        return file.read()


def names():
    return sorted(t["name"] for t in ops.json("task", "list"))


def editor(name, script):
    """A program that edits as a person would."""
    program = os.path.join(WORK, name)
    with open(program, "w") as file:
        file.write("#!/bin/sh\n" + script)
    os.chmod(program, 0o755)
    return {"VISUAL": "", "EDITOR": program, "TMPDIR": WORK}


def test_create_writes_a_readable_file():
    printed = ops.run(*CREATE, "--print", expect=0)
    assert printed.stdout == WEEKLY and "weekly" not in names(), printed.stdout
    done = ops.run(*CREATE, expect=0)
    assert "tasks/weekly.lua  created: accounts 2, assets 1, next Sun " in done.stdout, done
    assert 'selects accounts that task "two" (lockstep.lua:' in done.stderr, done.stderr
    assert text("tasks/weekly.lua") == WEEKLY
    assert stat.S_IMODE(os.stat(path("tasks/weekly.lua")).st_mode) == 0o644
    shown = ops.json("task", "show", "weekly")
    assert (shown["accounts"], shown["limits"]["canary"]) == (2, "1%"), shown
    told = ops.json("task", "create", "keys", "--accounts", "app", "--assets", "web1",
        "--ssh-key", "ed25519", "--replace", "all", "--every", "7d", "--inactive")  # fmt: skip
    assert told["written"] and told["engine"] is None, told
    assert told["checked"]["secret"] == "ssh key ed25519, replaces all", told
    assert ops.json("task", "show", "keys")["active"] is False
    ops.run("check", expect=0)


def test_a_long_list_has_a_line_each():
    accounts = [f"account-number-{n}" for n in range(12)]
    more = [word for account in accounts for word in ("--accounts", account)]
    done = ops.run("task", "create", "long", *more, "--nodes", "/", "--print", expect=0)
    assert '\taccounts = {\n\t\t"account-number-0",\n' in done.stdout, done.stdout
    assert max(map(len, done.stdout.splitlines())) < 100


def test_what_does_not_load_is_not_written():
    before = sorted(os.listdir(path("tasks")))
    for args, words in (
        (("--accounts", "app"), "selects no asset"),
        (("--accounts", "app", "--nodes", "/", "--rule", "plan"), 'did you mean "plain"?'),
        (("--accounts", "app", "--nodes", "/", "--cron", "61 * * * *"), "cron"),
        (("--accounts", "app", "--nodes", "/", "--every", "1h", "--zone", "Mars/One"), "Mars"),
        (("--accounts", "app", "--nodes", "/", "--param", "shel=/bin/sh"), "shel"),
        (("--accounts", "app", "--nodes", "/", "--param", "=x"), "no NAME=VALUE"),
        (("--accounts", "app", "--nodes", "/", "--rule", "a", "--specified", "b"), "exclude one"),
        (("--accounts", "app", "--nodes", "/", "--at", "a", "--every", "b"), "exclude one"),
    ):
        done = ops.run("task", "create", "bad", *args, expect=2)
        assert words in done.stderr and "nothing was" in done.stderr, (args, done.stderr)
    done = ops.run("task", "create", "weekly", "--accounts", "app", "--nodes", "/", expect=2)
    assert "tasks/weekly.lua is there already" in done.stderr, done.stderr
    done = ops.run("task", "create", "two", "--accounts", "app", "--nodes", "/", expect=2)
    assert "is declared in" in done.stderr, done.stderr
    assert sorted(os.listdir(path("tasks"))) == before
    # A name that is no file's name, or one that would be hidden.
    for name, file in (("a/b c", "a-b-c"), (".x", "-x"), ("Ü", "--")):
        ops.run("task", "create", name, "--accounts", "app", "--nodes", "/", expect=0)
        assert f'task "{name}"' in text(f"tasks/{file}.lua")
        ops.run("task", "delete", name, "--yes", expect=0)


def test_a_policy_that_reads_no_tasks_says_how_to():
    ops.write("lockstep.lua", Ops.policy_text())
    try:
        done = ops.run("task", "create", "new", "--accounts", "app", "--nodes", "/", expect=2)
        assert 'include "tasks/*.lua"' in done.stderr, done.stderr
    finally:
        ops.write("lockstep.lua", Ops.policy_text(more=MORE))


def test_its_readers_are_those_of_the_directory():
    os.rename(path("tasks"), path("old"))
    os.chmod(ops.dir, 0o750)
    try:
        ops.run("task", "create", "new", "--accounts", "app", "--nodes", "/", expect=0)
        assert stat.S_IMODE(os.stat(path("tasks")).st_mode) == 0o750
        assert stat.S_IMODE(os.stat(path("tasks/new.lua")).st_mode) == 0o640
        os.unlink(path("tasks/new.lua"))
        # What comes to nothing leaves nothing.
        os.rmdir(path("tasks"))
        ops.run("task", "create", "new", "--accounts", "app", "--nodes", "/", "--print", expect=0)
        ops.run("task", "create", "new", expect=2)
        assert not os.path.exists(path("tasks"))
    finally:
        os.chmod(ops.dir, 0o755)
        os.rename(path("old"), path("tasks"))


def test_copy():
    ops.write("tasks/weekly.lua", "-- Ours.\n" + WEEKLY)
    ops.run("task", "copy", "weekly", "monthly", expect=0)
    copied = text("tasks/monthly.lua")
    assert copied == "-- Ours.\n" + WEEKLY.replace('"weekly"', '"monthly"'), copied
    # Of a file with others, the statement alone.
    ops.run("task", "copy", "two", "three", expect=0)
    assert text("tasks/three.lua") == (
        'task "three" { accounts = "deploy", nodes = "/",\n\tsecret = random "plain", '
        'schedule = every "1d" }\n'
    )
    done = ops.run("task", "copy", "loop-x", "four", expect=2)
    assert "change that file by hand" in done.stderr, done.stderr
    done = ops.run("task", "copy", "weakly", "four", expect=2)
    assert 'did you mean "weekly"?' in done.stderr, done.stderr


def test_edit():
    done = ops.run("task", "edit", "weekly", env=editor("same", "exit 0\n"), expect=0)
    assert "nothing was changed" in done.stderr, done.stderr
    done = ops.run(
        "task", "edit", "weekly", env=editor("jitter", "sed -i s/20m/30m/ $1\n"), expect=0
    )
    assert "tasks/weekly.lua  changed" in done.stdout, done.stdout
    assert ops.json("task", "show", "weekly")["jitter_ms"] == 30 * 60000
    # VISUAL comes first, and both may have options.
    env = dict(editor("fails", "exit 1\n"), VISUAL="sed -i -e s/30m/20m/")
    ops.run("task", "edit", "weekly", env=env, expect=0)
    assert ops.json("task", "show", "weekly")["jitter_ms"] == 20 * 60000
    done = ops.run("task", "edit", "weekly", env=editor("fails", "exit 1\n"), expect=2)
    assert "did not end well" in done.stderr, done.stderr


def kept(stderr):
    (line,) = [line for line in stderr.splitlines() if "your text is kept in" in line]
    return line.split()[-1]


def test_what_was_edited_badly_is_kept():
    before = text("tasks/weekly.lua")
    done = ops.run(
        "task", "edit", "weekly", env=editor("bad", "sed -i s/jitter/jiter/ $1\n"), expect=2
    )
    assert 'did you mean "jitter"?' in done.stderr, done.stderr
    assert text("tasks/weekly.lua") == before
    with open(kept(done.stderr)) as file:
        assert file.read() == before.replace("jitter", "jiter")
    assert stat.S_IMODE(os.stat(kept(done.stderr)).st_mode) == 0o600
    # Nor is what someone else wrote meanwhile written over.
    script = f"echo '-- theirs' >>{path('tasks/weekly.lua')}; sed -i s/20m/40m/ $1\n"
    done = ops.run("task", "edit", "weekly", env=editor("both", script), expect=2)
    assert "was changed by someone else meanwhile" in done.stderr, done.stderr
    assert text("tasks/weekly.lua") == before + "-- theirs\n"
    with open(kept(done.stderr)) as file:
        assert "40m" in file.read()
    ops.write("tasks/weekly.lua", before)


def test_on_a_terminal_it_asks_whether_to_edit_again():
    # Wrong once, right the second time.
    script = "if grep -q 20m $1; then sed -i s/20m/20x/ $1; else sed -i s/20x/25m/ $1; fi\n"
    env = dict(os.environ, **editor("twice", script))
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(LOCKSTEP, [LOCKSTEP, "-C", ops.dir, "task", "edit", "weekly"], env)
    seen = b""
    while b"Edit it again? [y/N]" not in seen:
        seen += os.read(terminal, 4096)
    os.write(terminal, b"y\n")
    try:
        while part := os.read(terminal, 4096):
            seen += part
    except OSError:
        pass
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, seen
    assert "25m" in text("tasks/weekly.lua"), seen


def test_a_policy_that_is_broken_can_be_mended():
    good = text("tasks/weekly.lua")
    ops.write("tasks/weekly.lua", good.replace("accounts", "acounts"))
    ops.run("check", expect=2)
    ops.run("task", "edit", "weekly", env=editor("mend", "sed -i s/acounts/accounts/ $1\n"),
        expect=0)  # fmt: skip
    assert text("tasks/weekly.lua") == good
    ops.run("check", expect=0)


def test_rename():
    ops.run("task", "pause", "weekly", "--why", "moving", expect=0)
    told = ops.json("task", "rename", "weekly", "sundays")
    assert told["written"] and told["moved"] and told["file"] == "tasks/sundays.lua", told
    assert not os.path.exists(path("tasks/weekly.lua"))
    assert 'task "sundays" {' in text("tasks/sundays.lua")
    assert ops.json("task", "show", "sundays")["paused"]["why"] == "moving"
    # Once more, and nothing is left to do.
    told = ops.json("task", "rename", "weekly", "sundays")
    assert not told["written"] and not told["moved"], told
    # A name that is taken.
    done = ops.run("task", "rename", "sundays", "monthly", expect=2)
    assert "is declared in" in done.stderr and "sundays" in names(), done.stderr
    ops.run("task", "pause", "monthly", expect=0)
    os.rename(path("tasks/sundays.lua"), path("tasks/gone.txt"))
    done = ops.run("task", "rename", "sundays", "monthly", expect=2)
    assert "has a pause or runs of its own" in done.stderr, done.stderr
    os.rename(path("tasks/gone.txt"), path("tasks/sundays.lua"))


def test_delete():
    done = ops.run("task", "delete", "monthly", expect=2)
    assert "--yes" in done.stderr and "monthly" in names(), done.stderr
    done = ops.run("task", "delete", "monthly", "--yes", expect=0)
    assert "deleted; its history stays" in done.stdout, done.stdout
    assert "monthly" not in names() and not os.path.exists(path("tasks/monthly.lua"))
    # What the rest of the policy needs is not taken away.
    ops.write("lockstep.lua", Ops.policy_text(more=MORE + 'include "tasks/three.lua"\n'))
    done = ops.run("task", "delete", "three", "--yes", expect=2)
    assert "there is no tasks/three.lua" in done.stderr and "three" in names(), done.stderr
    ops.write("lockstep.lua", Ops.policy_text(more=MORE))


def patched(*args):
    done = ops.run("task", *args, expect=1)
    assert "apply this patch" in done.stderr, done.stderr
    subprocess.run(
        ["patch", "-s", "-p1"], cwd=ops.dir, input=done.stdout, text=True, check=True
    )


def test_another_form_is_shown_as_a_patch():
    before = text("lockstep.lua")
    patched("rename", "two", "deux")
    assert text("lockstep.lua") == before.replace('"two"', '"deux"')
    told = ops.json("task", "delete", "deux", "--yes", expect=1)
    assert told["written"] is False and told["patch"].startswith("--- a/lockstep.lua"), told
    patched("delete", "deux", "--yes")
    assert "deux" not in names() and "-- beside others" in text("lockstep.lua")
    done = ops.run("task", "delete", "loop-y", "--yes", expect=2)
    assert "by hand" in done.stderr, done.stderr


def test_with_an_engine_it_says_what_to_do():
    daemon = ops.lockstepd()
    try:
        some = ("--accounts", "app", "--nodes", "/", "--every", "1h")
        done = ops.run("task", "create", "later", *some, expect=0)
        assert "lockstep reload" in done.stdout and "later" not in names(), done.stdout
        done = ops.run("task", "create", "now", *some, "--reload", expect=0)
        assert "reloaded: " in done.stdout and "now" in names(), done.stdout
        # Who is let in to the socket is not let in to the policy's files.
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(path("vault", "socket"))
            link.sendall(b"POST /v1/task.file.delete HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
            assert b" 404 " in link.recv(4096)
        ops.run("task", "pause", "now", "--why", "with the engine", expect=0)
        done = ops.run("task", "rename", "now", "then", expect=0)
        assert "reloaded: " in done.stdout, done.stdout
        assert ops.json("task", "show", "then")["paused"]["why"] == "with the engine"
        told = ops.json("task", "delete", "then", "--yes", "--reload")
        assert told["reload"]["ok"] and "then" not in names(), told
    finally:
        daemon.terminate()
        daemon.wait(timeout=30)
    done = ops.run("task", "delete", "later", "--yes", "--reload", expect=2)
    assert "no lockstepd runs" in done.stderr and "later" not in names(), done.stderr


if __name__ == "__main__":
    main()
