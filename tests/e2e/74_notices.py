#!/usr/bin/env python3
"""What lockstepd tells to others: mail, webhooks and metrics, whatever the other side does."""
# time limit: 240

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time

from harness import CRASH, LOCKSTEP, LOG, WORK, Fleet, Ops, main, wait_for
from sinks import Hook, Smtp, certificate, tls_context

BIN = os.path.dirname(os.path.dirname(LOCKSTEP))
CRASHING = os.path.join(CRASH, "lockstepd")
PASSWORD = "smtp-Secret.1"
HOOK_SECRET = "hook-Secret.1"

MORE = """
task "good" { accounts = { "app" }, assets = { "asset1" }, secret = random "plain",
	recipients = { "ops@example.com", "audit@example.com" } }
task "mute" { accounts = { "app" }, assets = { "mute" }, secret = random "plain",
	limits = { retries = 0 }, recipients = { "ops@example.com" } }
task "many" { accounts = { "app" }, assets = { "mute", "asset1" }, secret = random "plain",
	limits = { retries = 0, stop_after = 1 }, recipients = { "ops@example.com" } }
task "Grüße" { accounts = { "deploy" }, assets = { "asset1" }, secret = random "plain" }
"""

fleet = ops = key = cert = None


def policy(
    server=None, mail="", notify='first_pause = "200ms", timeout = "2s"', more="", settings=""
):
    if server:
        settings += f'mail = {{ server = "{server}", from = "lockstep@example.com", {mail} }},'
    settings += f"notify = {{ {notify} }},"
    text = Ops.policy_text(deadline="4s", retries=0, settings=settings, more=MORE + more)
    ops.write("lockstep.lua", text)


def setup():
    global fleet, ops, key, cert
    key, cert = certificate(WORK)
    closed = socket.create_server(("127.0.0.1", 0))
    closed_port = closed.getsockname()[1]
    closed.close()
    fleet = Fleet("1")
    address, port, _ = fleet.assets[1]
    rows = [
        ("asset1", address, port, "ops", "sudo", "app;deploy;svc"),
        ("mute", "127.0.0.1", closed_port, "ops", "sudo", "app"),
    ]
    ops = Ops(fleet, rows=rows)
    policy()
    ops.tell_all(("ops", "app"))
    ops.tell(("asset1", "deploy", "First-Pass.1"))
    ops.run("secret", "set", "smtp", stdin=PASSWORD, expect=0)
    ops.run("secret", "set", "hook", stdin=HOOK_SECRET, expect=0)


def hooks(**urls):
    """Settings with webhooks: each an url, or a list of its fields."""
    each = [
        f'{name} = {{ url = "{url}", secret = secret "hook", ca = "{cert}" }}'
        if isinstance(url, str)
        else f"{name} = {{ {url[0]} }}"
        for name, url in urls.items()
    ]
    return f"webhooks = {{ {', '.join(each)} }},"


class Daemon:
    def __init__(self, fresh=True, crash=None):
        if fresh:
            quiet()
        program = CRASHING if crash else os.path.join(BIN, "sbin", "lockstepd")
        self.log = open(LOG, "a+")
        self.process = subprocess.Popen(
            [program, "-C", ops.dir, "--log-level", "debug"],
            stdin=subprocess.DEVNULL,
            stderr=self.log,
            start_new_session=True,
            env=dict(os.environ, **({"LOCKSTEP_CRASH": crash} if crash else {})),
        )

    def __enter__(self):
        wait_for(lambda: json.loads(ops.run("status", "--json").stdout)["running"])
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=60) == 0 or self.killed

    killed = False

    def kill(self):
        self.killed = True
        self.process.kill()
        self.process.wait()

    def said(self):
        with open(self.log.name) as file:
            return file.read()


def queue():
    return ops.json("notice", "list")


def empty_queue():
    wait_for(lambda: not queue())


def quiet():
    """Whatever an earlier test left is dropped."""
    ops.run("notice", "drop", "--all", "--yes", expect=0)


def test_an_end_is_mailed():
    """By STARTTLS and a login, to each recipient, in text and HTML."""
    sink = Smtp("starttls", tls_context(key, cert), ("ops", PASSWORD))
    policy(
        f"smtp://127.0.0.1:{sink.port}",
        f'user = "ops", password = secret "smtp", ca = "{cert}"',
    )
    shown = ops.json("task", "show", "good")
    assert shown["recipients"] == "ops@example.com, audit@example.com", shown
    with Daemon():
        ran = ops.json("run", "good")
        mails = wait_for(lambda: len(sink.messages()) == 2 and sink.messages())
        empty_queue()
    assert sink.logins == [("ops", PASSWORD, True)] * 2, sink.logins
    assert sorted(m.recipients[0] for m in mails) == ["<audit@example.com>", "<ops@example.com>"]
    for mail in mails:
        assert mail.secure and mail.sender == "<lockstep@example.com>", mail.sender
        message = mail.message
        assert message["Subject"] == "[Lockstep] good: 1 succeeded", message["Subject"]
        assert message["From"] == "Lockstep <lockstep@example.com>"
        assert f"<{message['To']}>" == mail.recipients[0]
        assert message["Auto-Submitted"] == "auto-generated" and message["Date"].datetime
        assert re.fullmatch(r"<01\w{24}\.lockstep@example\.com>", message["Message-ID"])
        assert message.get_content_type() == "multipart/alternative" and not message.defects
        assert [p.get_content_type() for p in message.iter_parts()] == ["text/plain", "text/html"]
        assert ran["execution"] in mail.part("plain") and "success    1" in mail.part("plain")
        assert ran["execution"] in mail.part("html") and "</html>" in mail.part("html")
        assert message["MIME-Version"] == "1.0"
    assert len({m.message["Message-ID"] for m in mails}) == 2
    sink.close()


def test_failures_have_their_reasons():
    """By TLS from the first byte; with the words that the asset said escaped, and no secret."""
    sink = Smtp("smtps", tls_context(key, cert))
    policy(f"smtps://127.0.0.1:{sink.port}", f'ca = "{cert}"')
    with Daemon():
        ran = ops.json("run", "mute", expect=1)
        (mail,) = wait_for(sink.messages)
        empty_queue()
    assert mail.message["Subject"] == "[Lockstep] mute: 1 FAILED", mail.message["Subject"]
    (record,) = ops.records(ran["execution"])
    for part in ("plain", "html"):
        words = mail.part(part)
        assert "app" in words and "mute" in words and "lockstep asset ping mute" in words, words
        assert record["short"] in words and "1 s" not in mail.message["Subject"]
    sink.close()


def test_a_name_that_is_not_ascii():
    sink = Smtp("plain")
    policy(f"smtp://127.0.0.1:{sink.port}", 'tls = false, recipients = "fallback@example.com"')
    with Daemon():
        ops.run("run", "Grüße", expect=0)
        (mail,) = wait_for(sink.messages)
    assert mail.message["Subject"] == "[Lockstep] Grüße: 1 succeeded", mail.raw
    assert mail.recipients == ["<fallback@example.com>"] and not mail.secure
    assert max(mail.raw) < 128, "it is not of seven bits"
    sink.close()


def test_no_tls_no_mail():
    """A server without STARTTLS gets nothing, and neither does one with a foreign certificate."""
    plain, foreign = Smtp("plain"), Smtp("starttls", tls_context(key, cert))
    for sink, why in ((plain, "STARTTLS"), (foreign, "certificate")):
        policy(f"smtp://127.0.0.1:{sink.port}")
        with Daemon():
            ops.run("run", "mute", expect=1)
            (waits,) = wait_for(lambda: [n for n in queue() if n["tries"] > 0])
            assert why in waits["why"], waits
            assert not sink.messages() and not sink.logins
        sink.close()


def test_a_wrong_password():
    """Nothing of it is in the list or the log, though the server says it again."""
    sink = Smtp("starttls", tls_context(key, cert), ("ops", "another"))
    policy(
        f"smtp://127.0.0.1:{sink.port}",
        f'user = "ops", password = secret "smtp", ca = "{cert}"',
    )
    with Daemon() as daemon:
        ops.run("run", "mute", expect=1)
        (waits,) = wait_for(lambda: [n for n in queue() if n["tries"] > 1])
        assert "refused the login (535)" in waits["why"], waits
        assert waits["state"] == "waiting" and waits["next"], waits
        assert PASSWORD not in daemon.said() and sink.logins
    sink.close()


def test_servers_that_fail():
    """The queue keeps it, and it arrives once the server is well."""
    for fault, why in (
        ("hang", "[Tt]ime"),
        ("greeting", "554"),
        ("drop", "."),
        ("data", "451 4.3.0"),
    ):
        sink = Smtp("plain", fault=fault)
        policy(
            f"smtp://127.0.0.1:{sink.port}",
            "tls = false",
            notify='first_pause = "200ms", timeout = "1s"',
        )
        with Daemon():
            begun = time.monotonic()
            ops.run("run", "mute", expect=1)
            (waits,) = wait_for(lambda: [n for n in queue() if n["tries"] > 0])
            assert re.search(why, waits["why"]) and waits["tried"], (fault, waits)
            # The loop was never held up.
            ops.run("status", expect=0)
            assert time.monotonic() - begun < 15
            sink.fault = None
            (mail,) = wait_for(sink.messages)
            empty_queue()
        assert mail.message["Subject"] == "[Lockstep] mute: 1 FAILED"
        sink.close()


def test_a_server_that_takes_its_time():
    """With its last answer, and with QUIT: nobody else waits for it."""
    sink = Smtp("plain", fault="slow")
    policy(f"smtp://127.0.0.1:{sink.port}", "tls = false", notify='timeout = "20s"')
    with Daemon():
        ops.run("run", "mute", expect=1)
        wait_for(lambda: sink.connections)
        wait_for(sink.messages)
        wait_for(lambda: not queue(), seconds=30)
        samples = parse(get(by_socket())[2])
        assert samples["lockstep_loop_lag_seconds", None] < 2, samples
    sink.close()


def test_nobody_listens_and_the_daemon_is_killed():
    """What was queued arrives after a kill, by whichever daemon comes next."""
    sink = Smtp("plain")
    port = sink.port
    sink.close()
    policy(f"smtp://127.0.0.1:{port}", "tls = false")
    with Daemon() as daemon:
        ops.run("run", "mute", expect=1)
        wait_for(lambda: [n for n in queue() if n["tries"] > 0])
        daemon.kill()
    # Without a daemon it waits; what a command's own engine ends is queued too.
    assert [n["state"] for n in queue()] == ["waiting"]
    ops.run("run", "mute", expect=1)
    assert len(queue()) == 2
    sink = Smtp("plain", port=port)
    with Daemon(fresh=False):
        wait_for(lambda: len(sink.messages()) == 2)
        empty_queue()
    sink.close()


def test_a_recipient_that_is_refused():
    """It is given up at once, told of, and may be tried again or dropped."""
    sink = Smtp("plain", fault="recipient")
    policy(f"smtp://127.0.0.1:{sink.port}", "tls = false")
    with Daemon() as daemon:
        ops.run("run", "mute", expect=1)
        (left,) = wait_for(lambda: [n for n in queue() if n["state"] == "given_up"])
        assert "550 5.1.1" in left["why"] and left["tries"] == 1, left
        assert "event=notice_given_up" in daemon.said()
        assert "given up" in ops.run("notice", "list", expect=0).stdout
        sink.fault = None
        assert ops.json("notice", "retry", left["short"]) == {"notices": 1}
        wait_for(sink.messages)
        empty_queue()
        sink.fault = "recipient"
        told = ops.json("notice", "test", "ops@example.com", expect=1)
        assert told["state"] == "given_up" and "550" in told["why"], told
        (left,) = wait_for(lambda: [n for n in queue() if n["state"] == "given_up"])
        assert ops.json("notice", "drop", left["id"]) == {"notices": 1} and not queue()
        told = ops.json("audit", "list", "--what", "notice")
        done = [(e["object"], e["detail"]) for e in told]
        assert done[0] == ("drop", "1 of them") and ("retry", "1 of them") in done, told
    sink.close()


def test_it_is_given_up_in_the_end():
    sink = Smtp("plain", fault="data")
    policy(
        f"smtp://127.0.0.1:{sink.port}",
        "tls = false",
        notify='first_pause = "200ms", give_up = "2s", timeout = "1s"',
    )
    with Daemon():
        ops.run("run", "mute", expect=1)
        (left,) = wait_for(lambda: [n for n in queue() if n["state"] == "given_up"])
        assert left["tries"] > 2 and "451" in left["why"], left
        connections = sink.connections
        time.sleep(1)
        assert sink.connections == connections
    sink.close()


def test_a_stop_and_a_refused_policy():
    sink = Smtp("plain")
    server = f"smtp://127.0.0.1:{sink.port}"
    policy(server, 'tls = false, recipients = { "admin@example.com" }')
    with Daemon():
        told = ops.run("notice", "test", "someone@example.com", expect=0)
        assert told.stdout == "sent to someone@example.com\n", told.stdout
        (mail,) = wait_for(sink.messages)
        assert mail.message["Subject"] == "[Lockstep] a test"
        assert "arrives here" in mail.part("plain") and "arrives here" in mail.part("html")
        ops.run("run", "many", expect=1)
        subjects = wait_for(
            lambda: len(sink.messages()) == 3 and [m.message["Subject"] for m in sink.messages()]
        )
        assert "[Lockstep] many: STOPPED (stop_after)" in subjects, subjects
        policy(server, "tls = false", more="-- a secret stands here\ntask {")
        ops.run("reload", expect=2)
        mail = wait_for(lambda: len(sink.messages()) == 4 and sink.messages()[3])
        assert mail.message["Subject"] == "[Lockstep] the new policy was REFUSED"
        assert mail.recipients == ["<admin@example.com>"]
        assert "lockstep.lua:" in mail.part("plain") and "a secret" not in mail.part("plain")
        policy(server, 'tls = false, events = { "failed" }')
        differs = {f["field"]: f for f in ops.json("diff", expect=1)["settings"]}
        assert set(differs) == {"mail.events", "mail.recipients"}, differs
        ops.run("reload", expect=0)
        ops.run("run", "good", expect=0)
        ops.run("run", "mute", expect=1)
        mail = wait_for(lambda: len(sink.messages()) == 5 and sink.messages()[4])
        assert mail.message["Subject"] == "[Lockstep] mute: 1 FAILED"
        assert not queue()
    sink.close()


def test_a_killed_run_and_its_doubt():
    """The next daemon tells that it was killed, and then that its doubt is settled."""
    sink = Smtp("plain")
    policy(f"smtp://127.0.0.1:{sink.port}", 'tls = false, recipients = "admin@example.com"')
    with Daemon(crash="core.staged") as daemon:
        ops.run("run", "Grüße", expect=3)
        daemon.process.wait(timeout=30)
        daemon.killed = True
    with Daemon(fresh=False):
        first, last = wait_for(
            lambda: len(sink.messages()) == 2 and [m.message for m in sink.messages()], seconds=60
        )
        assert first["Subject"] == "[Lockstep] Grüße: 1 in doubt (its engine was killed)", first
        assert last["Subject"] == "[Lockstep] Grüße: 1 doubt is settled", last
        words = sink.messages()[1].part("plain")
        assert re.search(r"success  deploy of asset1|failed  deploy of asset1", words), words
        empty_queue()
    sink.close()


def test_webhooks():
    """Signed, once to each that asks for the event, and no secret in it."""
    plain, secure = Hook(), Hook(tls_context(key, cert))
    only = f'url = "http://127.0.0.1:{plain.port}/x", secret = secret "hook",'
    only += ' events = { "stopped" }'
    policy(
        settings=hooks(
            a=f"http://127.0.0.1:{plain.port}/hook?x=1",
            b=f"https://127.0.0.1:{secure.port}/hook",
            c=[only],
        )
    )
    with Daemon():
        ran = ops.json("run", "mute", expect=1)
        (post,) = wait_for(plain.taken)
        (other,) = wait_for(secure.taken)
        assert post.first == "POST /hook?x=1 HTTP/1.1" and post.signed_by(HOOK_SECRET)
        assert other.signed_by(HOOK_SECRET) and not other.signed_by("another")
        told = post.json
        assert told["event"] == post.fields["lockstep-event"] == "failed", told
        assert told["id"] == post.fields["lockstep-delivery"] != other.json["id"], told
        assert told["execution"]["id"] == ran["execution"] and told["task"] == "mute", told
        assert told["execution"]["counts"]["failed"] == 1 and told["records"] == [], told
        ops.run("run", "many", expect=1)
        posts = wait_for(lambda: len(plain.taken()) == 4 and plain.taken())
        events = sorted(p.json["event"] for p in posts)
        assert events == ["failed", "failed", "stopped", "stopped"], events
        assert ops.json("notice", "test", "b")["state"] == "sent"
        wait_for(lambda: any(p.json["event"] == "test" for p in secure.taken()))
        empty_queue()
    assert ran["execution"] not in [p.json["id"] for p in posts]
    plain.close()
    secure.close()


def test_receivers_that_fail():
    """Tried again until it says yes; a redirect is not followed, an answer without end cut off."""
    hook = Hook(status=500)
    policy(
        settings=hooks(a=f"http://127.0.0.1:{hook.port}/"),
        notify='first_pause = "200ms", timeout = "1s"',
    )
    with Daemon():
        ops.run("run", "mute", expect=1)
        for status, fault, why in (
            (500, None, "answered 500"),
            (302, None, "answered 302"),
            (200, "hang", "[Tt]ime"),
            (200, "drop", "."),
            (200, "flood", "."),
        ):
            hook.status, hook.fault = status, fault
            before = queue()[0]["tries"]
            ops.run("notice", "retry", "--all", expect=0)
            wait_for(lambda n=before: queue()[0]["tries"] > n + 1)
            (waits,) = wait_for(lambda w=why: [n for n in queue() if re.search(w, n["why"] or "")])
            assert waits["state"] in ("waiting", "sending"), waits
            ops.run("status", expect=0)
        hook.status, hook.fault = 204, None
        empty_queue()
        last = hook.taken()[-1]
        assert last.status == 204 and last.json["id"] == waits["id"] and last.signed_by(HOOK_SECRET)
        assert all("/else" not in p.first for p in hook.posts)
    hook.close()


def test_a_webhook_that_is_gone():
    """Nothing is sent to a receiver that the policy names no more."""
    hook = Hook(status=500)
    policy(settings=hooks(a=f"http://127.0.0.1:{hook.port}/"))
    with Daemon():
        ops.run("run", "mute", expect=1)
        wait_for(lambda: queue()[0]["tries"] > 0)
        policy()
        differs = {f["field"]: f for f in ops.json("diff", expect=1)["settings"]}
        assert "webhooks.a.url" in differs and differs["webhooks.a.url"]["is"] is None, differs
        ops.run("reload", expect=0)
        (left,) = wait_for(lambda: [n for n in queue() if n["state"] == "given_up"])
        assert "no webhook of that name" in left["why"], left
    hook.close()


SAMPLE = re.compile(r'([a-z_:][a-z0-9_:]*)(\{[a-z_]+="(?:[^"\\\n]|\\["\\n])*"\})? (\d+(?:\.\d+)?)')


def parse(text):
    """Checks the text format, and what Prometheus asks of names: samples by name and label."""
    assert text.endswith("\n")
    kinds, samples, current = {}, {}, None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            current, words = line[7:].split(" ", 1)
            assert current not in kinds and words.endswith((".", "1.")), line
        elif line.startswith("# TYPE "):
            name, kinds[current] = line[7:].split(" ")
            assert name == current and kinds[name] in ("counter", "gauge"), line
        else:
            name, label, value = SAMPLE.fullmatch(line).groups()
            assert name == current, (line, "stands apart from its type")
            assert (name, label) not in samples, line
            assert name.endswith("_total") == (kinds[name] == "counter"), line
            assert not name.endswith(("_ms", "_milliseconds", "_kb")), line
            samples[name, label] = float(value)
    return samples


def get(connection, path="/metrics"):
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.getheader("Content-Type"), answer.read().decode()


def by_socket():
    connection = http.client.HTTPConnection("localhost", timeout=10)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(os.path.join(ops.dir, "vault", "socket"))
    return connection


def test_metrics():
    free = socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    policy(settings=f'metrics = "127.0.0.1:{port}",', more='task "odd \\"\\\\" {'
           ' accounts = { "svc" }, assets = { "asset1" }, secret = random "plain" }')  # fmt: skip
    with Daemon():
        before = time.time()
        ops.run("run", "good", expect=0)
        ops.run("run", "mute", expect=1)
        status, kind, text = get(http.client.HTTPConnection("127.0.0.1", port, timeout=10))
        assert status == 200 and kind == "text/plain; version=0.0.4; charset=utf-8", (status, kind)
        samples = parse(text)
        ended = "lockstep_records_ended_total"
        assert samples[ended, '{status="success"}'] == samples[ended, '{status="failed"}'] == 1
        assert samples["lockstep_executions_ended_total", '{outcome="failed"}'] == 1
        assert samples["lockstep_executions_running", None] == 0
        assert samples["lockstep_wires", None] >= 1 and samples["lockstep_assets", None] == 2
        assert samples["lockstep_secrets", '{state="in_doubt"}'] == 0
        assert samples["lockstep_vault_size_bytes", None] > 4096
        assert samples["lockstep_vault_commits_total", None] > 3
        assert samples["lockstep_policy_last_reload_successful", None] == 1
        when = samples["lockstep_task_last_success_timestamp_seconds", '{task="good"}']
        assert before < when < time.time() and "task=\"mute\"" not in text
        for path, expected in (("/", 405), ("/metrics/x", 405), ("/v1/status", 405)):
            link = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            assert get(link, path)[0] == expected
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        link.request("POST", "/v1/status", "{}")
        assert link.getresponse().status == 404
        # A caller that says nothing holds up nobody.
        idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
        status, _, text = get(by_socket())
        assert status == 200 and parse(text).keys() == samples.keys()
        for link in idle:
            link.close()
        policy(more="task {")
        ops.run("reload", expect=2)
        assert parse(get(by_socket())[2])["lockstep_policy_last_reload_successful", None] == 0
        policy()
        ops.run("reload", expect=0)
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5)
            raise AssertionError("it listens still")
        except ConnectionRefusedError:
            pass


def test_bad_input():
    policy()
    done = ops.run("notice", "test", "ops@example.com", expect=2)
    assert "says nothing of mail" in done.stderr
    policy("smtp://127.0.0.1:25", "tls = false")
    done = ops.run("notice", "test", "ops@example.com", expect=1)
    assert "none runs with this vault" in done.stdout
    for words, why in (
        (("test", "ops"), 'no webhook "ops"'),
        (("test", "ops@"), "no mail address"),
        (("retry",), "give ids, or --all"),
        (("drop", "01ZZZZZZZZ"), "no notice"),
        (("drop", "--all"), "--yes"),
    ):
        done = ops.run("notice", *words, expect=2)
        assert why in done.stderr, (words, done.stderr)
    done = ops.run("secret", "delete", "smtp", "--yes", expect=0)
    policy("smtp://127.0.0.1:25", 'user = "ops", password = secret "smtp"')
    assert 'settings.mail.password names secret "smtp"' in ops.run("check", expect=0).stderr
    (listed,) = [s for s in ops.json("secret", "list") if s["name"] == "smtp"]
    assert listed["used_by"][0]["name"] == "mail" and not listed["set"]
    ops.run("secret", "set", "smtp", stdin=PASSWORD, expect=0)
    done = ops.run("secret", "delete", "smtp", "--yes", expect=2)
    assert "settings.mail" in done.stderr


main()
