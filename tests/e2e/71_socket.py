#!/usr/bin/env python3
"""Commands beside a running engine: through its socket, with its caps, and never in its way."""
# time limit: 300

import json
import os
import resource
import signal
import socket
import subprocess
import threading
import time

from harness import PASSWORD, Fleet, Ops, main, never_answers, short_dir, wait_for

LASTS = 6  # seconds that a run lasts on an asset that never answers

fleet = ops = None
mutes = []
place = short_dir()
PATH = os.path.join(place, "engine")
QUIET = os.path.join(place, "quiet")
quiet = None  # a command that waits for an engine which only shows that it is alive


def start_quiet():
    server = socket.socket(socket.AF_UNIX)
    server.bind(QUIET)
    server.listen()

    def serve():
        link, _ = server.accept()
        link.recv(65536)
        link.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        for _ in range(7):
            time.sleep(10)
            link.sendall(b"\n")
        link.sendall(b'{"event": "end", "exit": 0, "result": []}\n')
        link.close()

    threading.Thread(target=serve, daemon=True).start()
    waits = Ops(fleet, "quiet", settings=f'socket = "{QUIET}",')
    return waits.start("execution", "list", "--json")


def setup():
    global fleet, ops, quiet
    os.chmod(place, 0o755)
    mutes.extend([never_answers(), never_answers()])
    fleet = Fleet("1-2")
    rows = [
        (f"mute{n}", "127.0.0.1", mute.getsockname()[1], "ops", "sudo", "app")
        for n, mute in enumerate(mutes)
    ]
    rows += [
        (f"asset{n}", a, p, "ops", "sudo", "app;deploy;svc")
        for n, (a, p, _) in sorted(fleet.assets.items())
    ]
    ops = Ops(
        fleet,
        rows=rows,
        retries=0,
        settings=f'connect_timeout = "1s", login_timeout = "{LASTS - 1}s", socket = "{PATH}",',
        more='task "slow" { accounts = { "app" }, assets = { "mute0" }, secret = random "plain",'
        ' verify = "login", limits = { retries = 0 } }\n'
        'task "first" { accounts = { "app" }, assets = { "asset1" }, secret = random "plain" }\n'
        'task "second" { accounts = { "app" }, assets = { "asset2" }, secret = random "plain" }\n',
    )
    ops.tell_all()
    quiet = start_quiet()


def start_slow():
    run = ops.start("run", "slow", "--json")
    wait_for(lambda: os.path.exists(PATH))
    return run


def end_slow(run, expect=1):
    out, err = run.communicate(timeout=60)
    assert run.returncode == expect, (run.returncode, out, err)
    assert not os.path.exists(PATH), "the socket stays behind"
    return json.loads(out) if expect in (0, 1) else err


def ask(request, seconds=60):
    """Sends bytes and returns the answer's status, its head and body."""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(seconds)
        link.connect(PATH)
        try:
            link.sendall(request)
        except BrokenPipeError:
            pass
        answer = b""
        while part := link.recv(65536):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), head.decode(), body.decode()


def post(method, params, *more):
    body = json.dumps(params).encode()
    lines = [f"POST /v1/{method} HTTP/1.1", f"Content-Length: {len(body)}", *more]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def test_every_command_beside_a_run():
    run = start_slow()
    before = time.monotonic()
    assert len(ops.json("asset", "list")) == 4
    assert ops.json("account", "show", "asset1", "app")["state"] == "current"
    running = [e for e in ops.json("execution", "list") if e["ended"] is None]
    assert [(e["task"], e["interrupted"]) for e in running] == [("slow", False)], running
    listed = ops.run("execution", "list", expect=0).stdout.splitlines()
    assert "slow" in listed[1] and listed[1].endswith("running"), listed
    shown = ops.run("execution", "show", running[0]["id"], expect=0).stdout
    assert "ended        still running" in shown, shown
    ops.tell(("asset1", "svc", PASSWORD))
    ops.run("secret", "set", "token", stdin="s3cret\n", expect=0)
    assert ops.reveal("asset1", "app")["secret"] == PASSWORD
    # What is being worked on elsewhere is no obstacle, what is worked on here is.
    told = ops.judged("run", "first", expect=0)
    assert told["success"] == 1, told
    busy = ops.json("run", "slow", expect=1)
    (record,) = ops.records(busy["execution"])
    assert record["reason"] == "busy", record
    assert run.poll() is None, "the run ended too early to show anything"
    assert time.monotonic() - before < LASTS
    told = end_slow(run)
    assert told["failed"] == 1, told
    # Once nobody holds the vault, commands do it themselves.
    assert ops.json("execution", "show", told["execution"])["ended"] is not None


def test_errors_are_the_same_through_the_socket():
    wrong = ["run no-such-task", "account show asset1 nobody", "record show !"]
    alone = [ops.run(*w.split()) for w in wrong]
    run = start_slow()
    beside = [ops.run(*w.split()) for w in wrong]
    assert run.poll() is None
    for a, b in zip(alone, beside):
        assert (a.returncode, a.stderr) == (b.returncode, b.stderr), (a, b)
        assert a.returncode == 2
    end_slow(run)


def test_many_at_the_same_instant():
    commands = [("run", "first"), ("run", "second"), ("asset", "ping", "asset1", "asset2")]
    commands += [("execution", "list"), ("account", "list"), ("record", "list")] * 3
    started = [ops.start(*c, "--json") for c in commands]
    for command, process in zip(commands, started):
        out, err = process.communicate(timeout=60)
        # A ping of an asset that a run is at says so.
        fine = (0, 1) if command[0] == "asset" else (0,)
        assert process.returncode in fine, (command, process.returncode, out, err)
        json.loads(out)
    ops.check_all_open(("app",), (1, 2))


def test_who_goes_away_takes_only_the_view():
    run = start_slow()
    view = ops.start("run", "second")
    wait_for(lambda: [e for e in ops.json("execution", "list") if e["task"] == "second"])
    view.kill()
    view.communicate()
    newest = [e for e in ops.json("execution", "list") if e["task"] == "second"][0]["id"]
    told = wait_for(
        lambda: (lambda e: e if e["ended"] else None)(ops.json("execution", "show", newest))
    )
    assert told["counts"]["success"] == 1, told
    end_slow(run)
    ops.check_all_open(("app",), (2,))


def test_who_began_waits_for_the_others():
    """The engine belongs to the first command; it ends after the last."""
    run = start_slow()
    time.sleep(LASTS / 2)
    (told,) = ops.json("asset", "ping", "mute1", expect=1)
    assert told["error"]["code"] == "timeout", told
    out, err = run.communicate(timeout=30)
    assert run.returncode == 1 and "other commands are carried out" in err, (run.returncode, err)
    assert json.loads(out)["failed"] == 1


def test_an_interrupt_ends_the_others_in_order():
    run = start_slow()
    beside = ops.start("run", "slow", "--json")
    other = ops.start("account", "verify", "mute1", "app", "--json")
    time.sleep(1)
    os.kill(run.pid, signal.SIGINT)
    for process in (run, beside, other):
        out, err = process.communicate(timeout=60)
        assert process.returncode in (0, 1), (process.returncode, out, err)
    assert not [e for e in ops.json("execution", "list") if e["ended"] is None]


def test_what_it_does_not_take():
    run = start_slow()
    try:
        status, head, body = ask(post("execution.list", {}))
        assert status == 200 and "Lockstep-Exit: 0" in head, head
        assert [e["task"] for e in json.loads(body)][0] == "slow"
        for limit in "1", 1:
            assert len(json.loads(ask(post("record.list", {"limit": limit}))[2])) == 1, limit
        assert ask(post("record.list", {"limit": 0}))[0] == 400
        assert ask(b"GET /v1/execution.list HTTP/1.1\r\n\r\n")[0] == 405
        assert ask(post("no.such", {}))[0] == 404
        assert ask(b"POST / HTTP/1.1\r\n\r\n")[0] == 404
        assert ask(b"POST /v1/run HTTP/1.1\r\nContent-Length: 2\r\n\r\n[]")[0] == 400
        assert ask(b"POST /v1/run HTTP/1.1\r\nContent-Length: 3\r\n\r\n{]}")[0] == 400
        assert ask(b"POST /v1/run HTTP/1.1\r\nContent-Length: 1\r\n\r\n{}")[0] == 400
        status, _, body = ask(b"POST /v1/\xff HTTP/1.1\r\n\r\n")
        assert status == 404 and "there is no" in json.loads(body)["error"], body
        bad = b'{"secret": "S3cret-A" "S3cret-B"}'
        head = f"POST /v1/secret.set HTTP/1.1\r\nContent-Length: {len(bad)}\r\n\r\n"
        status, _, body = ask(head.encode() + bad)
        assert status == 400 and "S3cret" not in body and "column" in body, body
        assert ask(b"POST /v1/run HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")[0] == 501
        assert ask(b"nonsense\r\n\r\n")[0] == 400
        assert ask(b"POST /v1/run HTTP/1.1\r\n" + b"A: b\r\n" * 4000)[0] == 431
        status, _, body = ask(post("run", {"task": "nope"}))
        told = json.loads(body)
        assert status == 400 and told["exit"] == 2 and "no task" in told["error"], body
        huge = b"POST /v1/account.import HTTP/1.1\r\nContent-Length: 104857600\r\n\r\n"
        assert ask(huge + b"x" * 104857600)[0] == 413
    finally:
        end_slow(run)


def test_a_stream_has_events_and_an_end():
    run = start_slow()
    status, head, body = ask(post("run", {"task": "second"}, "Accept: application/x-ndjson"))
    lines = [json.loads(line) for line in body.splitlines() if line]
    assert status == 200 and "application/x-ndjson" in head
    assert [e["event"] for e in lines][0] == "started"
    assert [e["record"]["status"] for e in lines if e["event"] == "record"] == ["success"], lines
    assert lines[-1]["event"] == "end" and lines[-1]["exit"] == 0
    assert lines[-1]["result"]["success"] == 1
    end_slow(run)


def test_slow_clients_are_sent_away():
    """One that trickles, beside quick ones."""
    pings = [start_slow()]
    answer = b""
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(PATH)
        link.settimeout(1)
        began = time.monotonic()
        while not answer and time.monotonic() - began < 40:
            link.send(b"P")
            # The engine has something to do for as long as this takes, on one asset or the other.
            if time.monotonic() - began > 4 * len(pings) - 1:
                pings.append(ops.start("asset", "ping", f"mute{len(pings) % 2}"))
                ops.run("execution", "list", expect=0)
            try:
                answer = link.recv(65536)
            except TimeoutError:
                pass
        took = time.monotonic() - began
    assert answer.startswith(b"HTTP/1.1 408") and 19 < took < 25, (took, answer)
    for ping in pings:
        ping.communicate(timeout=60)


def connect(count):
    links = [socket.socket(socket.AF_UNIX) for _ in range(count)]
    for link in links:
        link.setblocking(False)
        try:
            link.connect(PATH)
        except BlockingIOError:
            pass
    return links


def test_more_connections_than_are_taken():
    """Who comes then is put off, and not cut off as if the engine had died."""
    run = start_slow()
    links = connect(200)
    ops.run("execution", "list", expect=0)
    for link in links:
        link.close()
    end_slow(run)


def test_more_connections_than_files():
    run = start_slow()
    files = len(os.listdir(f"/proc/{run.pid}/fd"))
    resource.prlimit(run.pid, resource.RLIMIT_NOFILE, (files + 4, files + 4))
    links = connect(10)
    time.sleep(1)
    for link in links:
        link.close()
    ops.run("execution", "list", expect=0)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 1 and "accept" not in err, (run.returncode, err[:1000])


def test_only_the_owner_and_root_are_let_in():
    if os.getuid() != 0:
        return
    run = start_slow()
    os.chmod(PATH, 0o666)
    script = (
        "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
        "s.sendall(b'POST /v1/execution.list HTTP/1.1\\r\\n\\r\\n');"
        "sys.stdout.write(s.recv(65536).decode())"
    )
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        + ["python3", "-c", script, PATH],
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("HTTP/1.1 403"), done
    assert "user id 65534 is not let in" in done.stdout, done
    end_slow(run)


def test_an_impostor_gets_nothing():
    """What listens where the engine should, and is someone else's, is told no secret."""
    if os.getuid() != 0:
        return
    script = (
        "import socket,sys; s=socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen();"
        "print('there', flush=True); l,_=s.accept(); sys.stdout.write(repr(l.recv(65536)))"
    )
    os.chmod(place, 0o777)
    impostor = subprocess.Popen(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        + ["python3", "-c", script, PATH],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert impostor.stdout.readline() == "there\n"
    done = ops.run("account", "import", "-", stdin=f"asset,account,password\nasset1,svc,{PASSWORD}")
    assert done.returncode == 3 and "nothing was sent there" in done.stderr, done
    assert impostor.communicate(timeout=10)[0] == "b''"
    os.unlink(PATH)
    os.chmod(place, 0o755)


def test_two_vaults_at_one_socket():
    """What is asked of one never reaches the other, and none takes the other's socket away."""
    other = Ops(fleet, "other", settings=f'socket = "{PATH}",')
    other.tell(("asset2", "app", "Other-Pass.2"))
    run = start_slow()
    assert other.reveal("asset2", "app")["secret"] == "Other-Pass.2"
    assert other.json("execution", "list") == []
    told = other.run("asset", "ping", "asset2")
    assert "someone listens at socket" in told.stderr, told
    assert ops.json("execution", "list")[0]["task"] == "slow"
    assert run.poll() is None, "the run ended too early to show anything"
    end_slow(run)


def test_what_a_killed_engine_left_is_replaced():
    run = start_slow()
    # The socket is there before the run is planned.
    wait_for(lambda: ops.json("execution", "list")[0]["ended"] is None)
    run.kill()
    run.communicate()
    assert os.path.exists(PATH)
    assert ops.json("execution", "list")[0]["interrupted"] is True
    told = ops.judged("run", "first", expect=0)
    assert told["success"] == 1
    assert not os.path.exists(PATH)


def test_a_quiet_engine_is_waited_for():
    """For more than a minute, as long as there is a sign of life."""
    out, err = quiet.communicate(timeout=100)
    assert (quiet.returncode, out) == (0, "[]\n"), (quiet.returncode, out, err)


main()
