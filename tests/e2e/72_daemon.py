#!/usr/bin/env python3
"""lockstepd: its signals, its reloads, and what it does with doubts."""
# time limit: 240

import json
import os
import shutil
import signal
import socket
import subprocess
import time

from harness import (
    CRASH,
    LOCKSTEP,
    LOG,
    WORK,
    Fleet,
    Ops,
    children,
    main,
    never_answers,
    short_dir,
    wait_for,
)

LASTS = 5  # seconds that a run lasts on an asset that never answers
BIN = os.path.dirname(os.path.dirname(LOCKSTEP))
CRASHING = os.path.join(CRASH, "lockstepd")

MORE = """
task "slow" {{ accounts = {{ "app" }}, assets = {{ "mute*" }}, secret = random "plain",
	limits = {{ in_flight = 1, retries = 0 }} }}
task "both" {{ accounts = {{ "app" }}, assets = {{ "mute*" }}, secret = random "plain",
	limits = {{ retries = 0 }} }}
task "first" {{ accounts = {{ "app" }}, assets = {{ "asset1" }}, secret = random "plain" }}
task "second" {{ accounts = {{ "app" }}, assets = {{ "asset2" }}, secret = random "plain" }}
{0}
"""

fleet = ops = None
mutes = []
place = short_dir()


def rows(count=2):
    found = [
        (f"mute{n}", "127.0.0.1", mute.getsockname()[1], "ops", "sudo", "app")
        for n, mute in enumerate(mutes)
    ]
    found += [
        (f"asset{n}", a, p, "ops", "sudo", "app;deploy;svc")
        for n, (a, p, _) in sorted(fleet.assets.items())
    ]
    return found[: len(mutes) + count]


def policy(more="", settings="", patience=1):
    """Writes a policy over the one that is there; patience: how long an asset may take, in seconds
    to connect, and in what a run lasts at most on one that never answers."""
    text = Ops.policy_text(
        deadline="1s",
        retries=0,
        settings=f'connect_timeout = "{patience}s", login_timeout = "{patience * (LASTS - 1)}s",'
        + settings,
        more=MORE.format(more),
    )
    ops.write("lockstep.lua", text)


def setup():
    global fleet, ops
    mutes.extend([never_answers(), never_answers()])
    fleet = Fleet("1-2")
    ops = Ops(fleet, rows=rows())
    policy()
    ops.tell_all()


class Daemon:
    def __init__(self, *args, program=None, env=None):
        self.log = LOG
        self.file = open(self.log, "a+")
        self.process = subprocess.Popen(
            [program or os.path.join(BIN, "sbin", "lockstepd"), "-C", ops.dir, *args],
            stdin=subprocess.DEVNULL,
            stderr=self.file,
            start_new_session=True,
            env=dict(os.environ, **(env or {})),
        )

    def __enter__(self):
        try:
            wait_for(lambda: self.status()["running"] or self.process.poll() is not None)
        except AssertionError:
            self.process.kill()
            raise
        return self

    def __exit__(self, kind, *_):
        if kind:
            print("its log ends with:", self.said()[-3000:], sep="\n")
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            if kind:
                self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)

    def status(self):
        return json.loads(ops.run("status", "--json").stdout)

    def signal(self, number):
        self.process.send_signal(number)

    def wires(self):
        """The processes of its wires."""
        return sorted(children(self.process.pid))

    def said(self):
        with open(self.log) as file:
            return file.read()

    def end(self, expect=0, seconds=60):
        code = self.process.wait(timeout=seconds)
        assert code == expect, (code, self.said()[-2000:])


def newest(task):
    return [e for e in ops.json("execution", "list") if e["task"] == task][0]


def begin(task):
    """Starts a run through the daemon; returns once it is there."""
    before = len(ops.json("execution", "list"))
    run = ops.start("run", task, "--json")
    wait_for(lambda: len(ops.json("execution", "list")) > before)
    return run


def test_none_runs():
    done = ops.run("status", expect=1)
    assert "none runs" in done.stdout, done.stdout
    assert ops.json("status", expect=1)["running"] is False
    done = ops.run("reload", expect=2)
    assert "no lockstepd runs" in done.stderr


def test_it_serves():
    policy('task "late" { accounts = "svc", assets = "asset1", secret = specified "none" }')
    ops.inventory(rows() + [("new", "192.0.2.1", 22, "ops", "sudo", "app;deploy")])
    alone = ops.json("check")
    with Daemon() as daemon:
        # What the vault lacks is seen beside it, too.
        beside = ops.json("check")
        assert beside["unmanaged"] == alone["unmanaged"] == 3, (alone, beside)
        assert beside["warnings"] == alone["warnings"] and len(beside["warnings"]) >= 2, beside
    ops.inventory(rows())
    policy()
    with Daemon() as daemon:
        status = daemon.status()
        assert status["pid"] == daemon.process.pid and status["purpose"] == "lockstepd"
        assert status["secure_mode"] and status["executions"] == [] and status["doubts"] == 0
        shown = ops.run("status", expect=0).stdout
        assert str(daemon.process.pid) in shown and "secure mode on" in shown, shown
        assert ops.judged("run", "first", expect=0)["success"] == 1
        ops.run("check", expect=0)
        # It is the one engine of this vault.
        second = subprocess.run(
            [daemon.process.args[0], "-C", ops.dir], capture_output=True, text=True, timeout=30
        )
        assert second.returncode == 3 and "lockstepd" in second.stderr, second
        assert ops.judged("run", "second", expect=0)["success"] == 1
    ops.check_all_open(("app",))
    assert daemon.process.returncode == 0


def ask(method, params):
    """Sends a request, and returns the connection."""
    link = socket.socket(socket.AF_UNIX)
    link.settimeout(60)
    link.connect(os.path.join(ops.dir, "vault", "socket"))
    body = json.dumps(params).encode()
    head = f"POST /v1/{method} HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
    link.sendall(head.encode() + body)
    return link


def answer(link):
    with link:
        text = b""
        while part := link.recv(65536):
            text += part
    return json.loads(text.partition(b"\r\n\r\n")[2])


def test_a_ping_and_a_run_at_once():
    """Both in one turn of the loop, the run being planned when the ping goes to its asset."""
    with Daemon() as daemon:
        daemon.signal(signal.SIGSTOP)
        ping = ask("asset.ping", {"assets": ["asset1"]})
        run = ask("run", {"task": "first"})
        daemon.signal(signal.SIGCONT)
        (pinged,) = answer(ping)
        assert pinged["status"] == "ok" or pinged["error"]["code"] == "busy", pinged
        assert answer(run)["success"] == 1
        wait_for(lambda: daemon.status()["in_flight"] == 0, seconds=5)


def test_it_tells_who_supervises_it():
    path = os.path.join(place, "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(path)
        notify.settimeout(20)
        env = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "400000"}
        with Daemon("--log", "journal", env=env) as daemon:
            told = [notify.recv(4096).decode() for _ in range(4)]
            assert told[0] == "WATCHDOG=1" and told[1] == "READY=1", told
            assert told[2:] == ["WATCHDOG=1"] * 2, told
            daemon.signal(signal.SIGHUP)
            while not told[-1].startswith("RELOADING=1\nMONOTONIC_USEC="):
                told.append(notify.recv(4096).decode())
            assert notify.recv(4096).decode().startswith("READY=1")
        while not told[-1].startswith("STOPPING=1"):
            told.append(notify.recv(4096).decode())
    assert "<6>level=info event=ready" in daemon.said()


def heeds(process, signo):
    with open(f"/proc/{process.pid}/status") as file:
        (caught,) = [line for line in file if line.startswith("SigCgt:")]
    return int(caught.split()[1], 16) >> (signo - 1) & 1


def test_signals_that_come_early():
    """It waits for a run that has the vault: what it is told meanwhile is done afterwards."""
    policy()
    run = begin("both")
    daemon = Daemon()
    ready, reloads = daemon.said().count("event=ready"), daemon.said().count("event=reloaded")
    try:
        wait_for(lambda: heeds(daemon.process, signal.SIGHUP), seconds=LASTS)
    except AssertionError:
        daemon.process.kill()
        raise
    daemon.signal(signal.SIGHUP)
    daemon.signal(signal.SIGUSR1)
    assert run.poll() is None, "it was not held up"
    with daemon:
        wait_for(lambda: daemon.said().count("event=ready") > ready)
        wait_for(lambda: daemon.said().count("event=reloaded") > reloads)
    daemon.end()
    run.communicate(timeout=60)


def test_a_reload_takes_the_new_policy():
    with Daemon() as daemon:
        wires = daemon.wires()
        assert wires
        policy('task "third" { accounts = { "deploy" }, assets = { "asset1" },'
               ' secret = random "plain" }')  # fmt: skip
        assert ops.run("run", "third").returncode == 2
        done = ops.run("reload", expect=0)
        assert "tasks 6" in done.stdout, done.stdout
        assert ops.judged("run", "third", expect=0)["success"] == 1
        # By a signal as well.
        policy()
        daemon.signal(signal.SIGHUP)
        wait_for(lambda: daemon.status()["policy"]["tasks"] == 5)
        assert ops.run("run", "third").returncode == 2
        assert daemon.status()["reload"]["ok"] is True
        assert daemon.wires() == wires, "a process was started anew"


def test_a_bad_policy_is_refused():
    with Daemon() as daemon:
        loaded = daemon.status()["policy"]["loaded"]
        policy('task "broken" { accounts = { "app" }, assets = { "asset1" }, sekret = 1 }')
        checked = ops.run("check", expect=2)
        done = ops.run("reload", expect=2)
        assert done.stderr == checked.stderr, (done.stderr, checked.stderr)
        daemon.signal(signal.SIGHUP)
        wait_for(lambda: daemon.said().count("event=reload_refused") == 2)
        status = daemon.status()
        assert status["reload"]["ok"] is False and status["policy"]["loaded"] == loaded
        (error,) = [e for e in status["reload"]["errors"] if "sekret" in e["text"]]
        assert error["file"] == "lockstep.lua" and error["line"] > 0, error
        assert "lockstep.lua:" in daemon.said() and "sekret" in ops.run("status").stdout
        assert ops.judged("run", "first", expect=0)["success"] == 1
        # Even where it is no Lua any more, the engine is found.
        ops.write("lockstep.lua", "settings {")
        assert daemon.status()["running"] and ops.run("reload").returncode == 2
        policy()
        ops.run("reload", expect=0)
        assert daemon.status()["reload"]["ok"] is True


def test_diff_tells_what_a_reload_would_change():
    with Daemon() as daemon:
        done = ops.run("diff", expect=0)
        assert done.stdout.startswith("nothing differs from what was loaded"), done
        loaded = daemon.status()["policy"]["loaded"]
        policy('task "third" { accounts = "deploy", assets = "asset*", secret = random "plain" }')
        text = open(os.path.join(ops.dir, "lockstep.lua")).read()
        text = text.replace('assets = { "asset2" }', 'assets = { "asset1" }, comment = "x"')
        text = text.replace("length = 20", "length = 20, exclude = 'Q'")
        ops.write("lockstep.lua", text.replace("settings {", "settings { in_flight = 7,"))
        ops.inventory(rows()[1:])
        told = ops.json("diff", expect=1)
        assert told["settings"] == [{"field": "in_flight", "was": 2000, "is": 7}], told
        assert told["assets"]["lost"] == {"count": 1, "examples": ["mute0"]}, told
        assert told["platforms"]["changed"]["count"] == 0, told
        tasks = {t["name"]: t for t in told["tasks"]}
        assert tasks["third"]["change"] == "gained" and tasks["third"]["gained"]["count"] == 2
        assert tasks["slow"]["lost"]["examples"] == [{"asset": "mute0", "account": "app"}], told
        second = tasks["second"]
        assert {"field": "comment", "was": None, "is": "x"} in second["fields"], second
        assert (second["gained"]["count"], second["lost"]["count"]) == (1, 1), second
        # A rule that differs in what no word tells.
        assert [f["field"] for f in tasks["first"]["fields"]] == ["rule"], tasks["first"]
        text = ops.run("diff", expect=1).stdout
        assert "  in_flight: 2000 → 7\n" in text and "  - 1 accounts: app on mute0\n" in text, text
        # It changed nothing.
        assert daemon.status()["policy"]["loaded"] == loaded
        ops.write("lockstep.lua", "settings {")
        assert "lockstep.lua:1" in ops.run("diff", expect=2).stderr
        ops.inventory(rows())
        policy()
    done = ops.run("diff", expect=2)
    assert "no lockstepd runs" in done.stderr, done.stderr


def test_reloads_at_once_are_all_answered():
    with Daemon() as daemon:
        both = [ops.start("reload", "--json") for _ in range(8)] + [ops.start("diff", "--json")]
        for _ in range(20):
            daemon.signal(signal.SIGHUP)
        policy('task "third" { accounts = "deploy", assets = "asset1", secret = random "plain" }')
        last = ops.json("reload")
        # Whatever was under way when it was asked for: it is of the files as they were then.
        assert last["tasks"] == 6, last
        for one in both:
            out, err = one.communicate(timeout=60)
            assert one.returncode in (0, 1), (out, err)
        assert daemon.status()["policy"]["tasks"] == 6
        # One that is under way when it is told to end is answered, too.
        daemon.signal(signal.SIGSTOP)
        late = [ask("reload", {}), ask("diff", {})]
        daemon.signal(signal.SIGTERM)
        daemon.signal(signal.SIGCONT)
        for link in late:
            told = answer(link)
            assert told.get("ok") or told.get("same") or told.get("exit") in (2, 3), told
    policy()


def test_what_is_in_flight_ends_by_its_own_policy():
    # Longer than all that is done meanwhile.
    text = open(os.path.join(ops.dir, "lockstep.lua")).read()
    text = text.replace(f'login_timeout = "{LASTS - 1}s"', f'login_timeout = "{3 * LASTS}s"')
    ops.write("own.lua", 'platform "own" { extends = "linux" }\n')
    ops.write("lockstep.lua", text + 'include "own.lua"\n')
    with open(os.path.join(ops.dir, "inventory/assets.csv")) as file:
        lines = file.read().splitlines(keepends=True)
    lines[1] = lines[1].replace(",linux,", ",own,")
    ops.write("inventory/assets.csv", "".join(lines))
    with Daemon() as daemon:
        slow = begin("both")
        try:
            # The assets that it works on leave, and so do its task and the platform of one.
            ops.inventory(rows()[2:])
            text = text.replace('task "both"', 'task "other"')
            ops.write("lockstep.lua", text)
            # As often as one likes, but wires keep the platforms of eight loads.
            for n in range(8):
                assert answer(ask("reload", {}))["ok"]
            ops.write("lockstep.lua", text + 'include "own.lua"\n')
            for n in range(8):
                ops.write("own.lua", f'platform "own" {{ extends = "linux" }} -- {n}\n')
                told = answer(ask("reload", {}))
                assert told.get("exit") == 3 if n >= 6 else told.get("ok"), (n, slow.poll(), told)
            assert len(ops.json("asset", "list")) == 2
            assert ops.run("run", "both").returncode == 2
            assert slow.poll() is None
            assert ops.run("run", "first", expect=0)
            told = json.loads(slow.communicate(timeout=60)[0])
            assert told["failed"] == 2 and told["total"] == 2, told
        finally:
            ops.inventory(rows())
            policy()
        # Nothing holds the earlier ones any more.
        wait_for(lambda: ops.run("reload").returncode == 0)
        assert daemon.status()["policy"]["assets"] == 4


def test_secure_mode_stays_on():
    with Daemon() as daemon:
        policy(settings="secure_mode = false,")
        done = ops.run("reload", expect=0)
        assert "secure_mode stays on" in done.stderr, done.stderr
        assert daemon.status()["secure_mode"] is True
        policy()
        ops.run("reload", expect=0)


def test_told_to_end_it_lets_what_is_in_flight_end():
    with Daemon() as daemon:
        slow = begin("slow")
        time.sleep(1)
        began = time.monotonic()
        daemon.signal(signal.SIGTERM)
        wait_for(lambda: daemon.status()["stopping"])
        refused = ops.run("run", "first")
        assert refused.returncode == 3 and "told to end" in refused.stderr, refused
        out, err = slow.communicate(timeout=60)
        daemon.end()
        assert 1 < time.monotonic() - began < 3 * LASTS
        told = json.loads(out)
        assert told["failed"] == 1 and told["skipped"] == 1, (told, err)
        reasons = {r["status"]: r["reason"] for r in ops.records(told["execution"])}
        assert reasons["skipped"] == "stopped", reasons


def test_told_twice_it_ends_at_once():
    with Daemon() as daemon:
        slow = begin("slow")
        daemon.signal(signal.SIGTERM)
        wait_for(lambda: daemon.status()["stopping"])
        began = time.monotonic()
        daemon.signal(signal.SIGTERM)
        daemon.end()
        assert time.monotonic() - began < 2
        assert slow.wait(timeout=30) == 3
    assert newest("slow")["ended"] is None
    with Daemon():
        left = newest("slow")
        assert left["interrupted"] and left["ended"], left


def test_the_drain_has_a_limit():
    policy(settings='drain = "1s",')
    with Daemon() as daemon:
        slow = begin("slow")
        began = time.monotonic()
        daemon.signal(signal.SIGTERM)
        daemon.end()
        assert 0.9 < time.monotonic() - began < LASTS - 1
        assert slow.wait(timeout=30) == 3
    policy()


def test_killed_it_is_started_again_and_settles():
    # A machine that is busy with other tests may be slow, and is tried again after long pauses.
    policy(patience=8)
    for point in ("core.staged", "wire.sent"):
        killed = Daemon(program=CRASHING, env={"LOCKSTEP_CRASH": point})
        wait_for(lambda k=killed: k.status()["running"])
        run = ops.run("run", "first")
        if point.startswith("core"):
            assert run.returncode == 3 and "is gone" in run.stderr, run
            killed.end(-signal.SIGKILL)
        else:
            killed.process.kill()
            killed.process.wait()
        with Daemon() as daemon:
            told = wait_for(
                lambda: (lambda s: s if s["doubts"] == 0 else None)(daemon.status()), seconds=90
            )
            assert told["executions"] == [], told
            assert not ops.reveal("asset1", "app")["in_doubt"]
    ops.check_all_open(("app",), (1,))
    policy()


def test_an_interrupted_command_only_looks_away():
    with Daemon():
        run = begin("slow")
        run.send_signal(signal.SIGINT)
        _, err = run.communicate(timeout=10)
        assert run.returncode == -signal.SIGINT and "goes on in the engine" in err, err
        told = newest("slow")
        assert told["ended"] is None and told["counts"]["planned"] > 0, told
        told = wait_for(
            lambda: (lambda e: e if e["ended"] else None)(newest("slow")), seconds=4 * LASTS
        )
        assert told["counts"]["failed"] == 2, told


def test_the_log_is_reopened():
    log = os.path.join(WORK, "own.log")
    with Daemon("--log", log, "--log-level", "debug") as daemon:
        os.rename(log, log + ".1")
        daemon.signal(signal.SIGUSR1)
        wait_for(lambda: os.path.exists(log))
        ops.run("execution", "list", expect=0)
        with open(log) as file:
            wait_for(lambda: f"method=execution.list uid={os.getuid()}" in file.read())
    with open(log + ".1") as file:
        assert "event=ready" in file.read()


def test_the_unit_keeps_from_it_what_it_does_not_need():
    unit = os.path.join(BIN, "lib", "systemd", "system", "lockstepd.service")
    with open(unit) as file:
        assert f"ExecStart={BIN}/sbin/lockstepd" in file.read()
    if not shutil.which("systemd-analyze"):
        return
    # The exposure in tenths: below 2.0.
    subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", unit],
        check=True,
        stdout=subprocess.DEVNULL,
    )


main()
