#!/usr/bin/env python3
"""bash, zsh and fish complete lockstep's words with what `make install` put where they look."""

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
SHARE = os.path.join(os.path.dirname(os.path.dirname(LOCKSTEP)), "share")
BASH = os.path.join(SHARE, "bash-completion/completions/lockstep")
ZSH = os.path.join(SHARE, "zsh/site-functions/_lockstep")
FISH = os.path.join(SHARE, "fish/vendor_completions.d/lockstep.fish")

ops = None


def setup():
    global ops
    ops = Ops(None, rows=ROWS)


def env():
    path = os.path.dirname(LOCKSTEP) + ":" + os.environ["PATH"]
    return dict(os.environ, PATH=path, LOCKSTEP_DIR=ops.dir, HOME=WORK, TERM="dumb")


def words(*line):
    """What may stand in place of the last word."""
    done = subprocess.run(
        [LOCKSTEP, "--complete", *line], capture_output=True, text=True, env=env(), check=True
    )
    return [found.split("\t")[0] for found in done.stdout.splitlines()]


def test_words():
    assert {"run", "asset", "record", "completion"} <= set(words(""))
    assert words("asse") == ["asset"]
    assert words("asset", "pi") == ["ping"]
    assert words("account", "show", "w") == ["web1", "web2"]
    assert words("account", "show", "web1", "") == ["app", "deploy", "ops"]
    assert words("run", "") == ["rotate"]
    assert words("record", "list", "--sta") == ["--status="]
    assert words("record", "list", "--status", "un") == ["unverified"]
    assert words("record", "list", "--status=un") == ["--status=unverified"]
    assert words("record", "list", "--status", "=", "un") == ["unverified"]
    assert words("record", "list", "--asset", "web2") == ["web2"]
    assert words("overview", "--days", "") == ["1", "7", "30"]
    assert words("completion", "z") == ["zsh"]
    assert words("-C", "") == [":files"]
    assert words("-C", ops.dir, "run", "") == ["rotate"]
    assert words("-C", "/nowhere", "run", "") == []
    assert words("account", "import", "") == [":files"]
    assert words("check", "x") == []
    assert words("nonsense", "x") == []
    assert words("--he") == ["--help"]


def test_it_never_waits_for_the_vault():
    with open(os.path.join(ops.dir, "vault", "lock"), "a") as lock:
        import fcntl

        fcntl.flock(lock, fcntl.LOCK_EX)
        assert words("account", "show", "w") == ["web1", "web2"]


def test_unknown_shell():
    done = ops.run("completion", "tcsh", expect=2)
    assert "give bash, zsh or fish" in done.stderr, done


def test_bash():
    def reply(*line):
        quoted = " ".join(f"'{word}'" for word in line)
        script = (
            f"source '{BASH}'; compopt() {{ :; }}; COMP_WORDS=({quoted}); "
            f"COMP_CWORD={len(line) - 1}; _lockstep; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        )
        done = subprocess.run(
            ["bash", "--norc", "-euc", script], capture_output=True, text=True, env=env()
        )
        assert done.returncode == 0 and done.stderr == "", done
        return done.stdout.split()

    assert reply("lockstep", "acc") == ["account"]
    assert reply("lockstep", "account", "show", "web") == ["web1", "web2"]
    assert reply("lockstep", "record", "list", "--status", "=", "fa") == ["failed"]
    assert reply("lockstep", "nonsense", "") == []
    checked = subprocess.run(["shellcheck", "-s", "bash", BASH], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def test_fish():
    if shutil.which("fish") is None:
        print("      not tried: there is no fish")
        return

    def reply(line):
        done = subprocess.run(
            ["fish", "-N", "-c", f"source {FISH}; complete -C '{line}'"],
            capture_output=True,
            text=True,
            env=env(),
        )
        assert done.returncode == 0 and done.stderr == "", done
        return [found.split("\t")[0] for found in done.stdout.splitlines()]

    assert reply("lockstep acc") == ["account"]
    assert reply("lockstep account show web") == ["web1", "web2"]
    assert reply("lockstep record list --status=fa") == ["--status=failed"]


def test_zsh():
    """What a person would see: a line, a tab, the rest of the word."""
    if shutil.which("zsh") is None:
        print("      not tried: there is no zsh")
        return
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe("zsh", ["zsh", "-f", "-i"], dict(env(), PS1="% "))
    seen = ""

    def until(text, seconds=20):
        nonlocal seen
        end = time.monotonic() + seconds
        while text not in seen:
            ready, _, _ = select.select([terminal], [], [], max(0, end - time.monotonic()))
            assert ready, f"no {text!r} in {seen!r}"
            seen += os.read(terminal, 4096).decode(errors="replace")

    try:
        os.write(terminal, b"unsetopt zle_bracketed_paste prompt_sp; autoload -Uz compinit\n")
        os.write(terminal, f"compinit -D -u; source {ZSH}; echo rea''dy\n".encode())
        until("ready")
        seen = ""
        os.write(terminal, b"lockstep comple\tfis\t")
        until(" fish")
        os.write(terminal, b"\x15lockstep account show web1 dep\t")
        until("deploy")
    finally:
        os.write(terminal, b"\x15exit\n")
        os.close(terminal)
        os.waitpid(pid, 0)


main()
