#!/usr/bin/env python3
"""What people look at after a run: the bar, the table of what failed, lists with their filters as
pages, tables and CSV, logs and histories, and trying again what a filter chooses."""

import csv
import html.parser
import io
import os
import pty
import re
import select
import subprocess
import time

from harness import PASSWORD, WORK, Fleet, Ops, main

fleet = ops = None
first = None  # the execution in which the third asset could not be reached


def rows(third_port):
    listed = []
    for n, (address, port, _) in sorted(fleet.assets.items()):
        port = third_port if n == 3 and third_port else port
        listed.append((f"web{n}", address, port, "ops", "sudo", "app;deploy"))
    return listed


def setup():
    global fleet, ops
    fleet = Fleet("1-3")
    ops = Ops(fleet, rows=rows(2999), retries=0, settings='connect_timeout = "3s"')
    ops.tell_all(("ops", "app", "deploy"))


def in_terminal(*args, lines=24, columns=80, env=None):
    """What a command prints on a terminal of this size."""
    import fcntl
    import struct
    import termios

    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        command = [ops.lockstep, "-C", ops.dir, *args]
        os.execvpe(command[0], command, dict(ops.env, TERM="dumb", **(env or {})))
    seen, end = b"", time.monotonic() + 60
    while time.monotonic() < end:
        ready, _, _ = select.select([terminal], [], [], 1)
        if not ready:
            continue
        try:
            part = os.read(terminal, 65536)
        except OSError:
            break
        if not part:
            break
        seen += part
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), seen.decode()


def table(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


def names(records):
    return sorted((r["asset"], r["account"]) for r in records)


# ── A run ─────────────────────────────────────────────────────────────────────────────────────


def test_a_run_on_a_terminal():
    global first
    status, seen = in_terminal("run", "rotate")
    assert status == 1, seen
    assert re.search(r"━.* %   \d+/6   in flight \d", seen), seen
    for part in re.split(r"[\r\n]|\x1b\[1A", seen):
        part = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", part)
        if "━" in part or "in flight" in part:
            assert len(part) <= 80, part
    end = seen[seen.rindex("done in") :]
    assert "4 changed and seen to work, 2 failed, 0 unverified, 0 skipped" in end, end
    assert end.count("\x1b[31m  FAILED") == 2 and "web3" in end, end
    assert "→ lockstep asset ping web3; when it answers, lockstep record retry " in end, end
    first = ops.json("execution", "list")[0]
    assert f"lockstep record retry --execution {first['short']}" in end, end
    assert len(first["short"]) < 26 and first["counts"]["failed"] == 2, first


def test_nothing_is_coloured_where_that_is_asked():
    _, seen = in_terminal("record", "list", env={"NO_COLOR": "1"})
    assert "\x1b[" not in seen and "web3" in seen, seen
    done = ops.run("run", "rotate", expect=1)
    assert "\x1b[" not in done.stdout + done.stderr, done
    assert "  FAILED      web3" in done.stdout, done
    quiet = ops.run("-q", "run", "rotate", expect=1)
    assert quiet.stderr == "" and "FAILED" in quiet.stdout, quiet


# ── Lists ─────────────────────────────────────────────────────────────────────────────────────


def test_record_list_filters():
    def found(*args):
        return names(ops.json("record", "list", "--execution", first["short"], *args))

    assert len(found()) == 6
    assert found("--status", "failed") == [("web3", "app"), ("web3", "deploy")]
    assert found("--asset", "web*", "--account", "app", "--status", "success") == [
        ("web1", "app"),
        ("web2", "app"),
    ]
    assert found("--reason", "connect") == [("web3", "app"), ("web3", "deploy")]
    assert found("--task", "other") == []
    assert found("--asset", "/") == found()
    assert len(ops.json("record", "list", "--since", "1h")) == 18
    assert ops.json("record", "list", "--since", "2200-01-01") == []
    done = ops.run("record", "list", "--since", "yesterday", expect=2)
    assert "is no time" in done.stderr, done


def test_csv_is_what_json_is():
    args = ("record", "list", "--execution", first["id"])
    listed = ops.json(*args)
    text = ops.run(*args, "--csv", expect=0, text=False, stdin=b"").stdout.decode()
    assert text.endswith("\r\n") and text.count("\r\n") == len(listed) + 1, text
    for record, row in zip(listed, table(text)):
        assert row["id"] == record["id"] and row["status"] == record["status"], row
        assert row["error.code"] == (record["error"] or {}).get("code", ""), row
        assert row["ended"] == record["ended"], row
    for noun in ("asset", "account", "execution"):
        rows_of = table(ops.run(noun, "list", "--csv", expect=0).stdout)
        assert len(rows_of) == len(ops.json(noun, "list")) > 0, noun
    done = ops.run("asset", "list", "--csv", "--json", expect=2)
    assert "give one of them" in done.stderr, done


def test_account_list_filters():
    told = [("web3", "app"), ("web3", "deploy"), ("web3", "ops")]
    proofs = {(a["asset"], a["account"]): a["proof"] for a in ops.json("account", "list")}
    assert sorted(k for k, proof in proofs.items() if proof == "told") == told, proofs
    assert ops.json("account", "list", "--older", "1h") == []
    assert len(ops.json("account", "list", "--older", "1ms")) == 9
    assert ops.json("account", "list", "--in-doubt", "--mismatch", "--unmanaged") == []
    ops.inventory(rows(2999)[1:])
    orphans = ops.json("account", "list", "--orphaned")
    assert names(orphans) == [("web1", "app"), ("web1", "deploy"), ("web1", "ops")], orphans
    assert ops.json("account", "list", "--orphaned", "--older", "1h") == []
    ops.inventory(rows(2999))


def test_log_is_in_order():
    log = ops.json("execution", "log", first["id"])
    steps = log["steps"]
    assert log["execution"]["id"] == first["id"]
    assert [s["time"] for s in steps] == sorted(s["time"] for s in steps)
    own = [s["step"] for s in steps if (s["asset"], s["account"]) == ("web1", "app")]
    assert own == ["planned", "staged", "sent", "proved", "ended"], own
    failed = [s for s in steps if (s["asset"], s["account"]) == ("web3", "app")]
    assert [s["step"] for s in failed] == ["planned", "ended"], failed
    assert failed[1]["error"]["code"] == "connect" and failed[1]["sends"] == 0, failed
    some = ops.json("execution", "log", first["id"], "--asset", "web3")["steps"]
    assert {s["asset"] for s in some} == {"web3"} and len(some) == 4, some
    shown = ops.run("execution", "log", first["short"], expect=0).stdout
    assert "seen to work by login" in shown and "failed: connect" in shown, shown
    assert table(ops.run("execution", "log", first["id"], "--csv").stdout)[0]["step"] == "planned"


def test_history():
    told = ops.json("account", "history", "web1", "app")
    versions = told["versions"]
    assert [v["number"] for v in versions] == [4, 3, 2, 1], versions
    assert versions[3]["made_by"] is None and versions[3]["proof"] == "told", versions
    maker = versions[2]["made_by"]
    assert (maker["task"], maker["trigger"], maker["status"]) == ("rotate", "manual", "success")
    assert maker["execution"] == first["id"], maker
    shown = ops.run("account", "history", "web1", "app", expect=0).stdout
    assert "task rotate (manual)" in shown and "a newer one works" in shown, shown


# ── The overview ──────────────────────────────────────────────────────────────────────────────


def test_overview():
    told = ops.json("overview")
    executions = ops.json("execution", "list")
    assert told["days"] == 7 and len(told["records"]) == 7, told
    assert told["executions"]["total"] == told["executions"]["with_failures"], told
    assert told["executions"]["total"] == len(executions) == 3, told
    for status in ("success", "failed", "unverified", "skipped"):
        ended = sum(day[status] for day in told["records"])
        assert ended == sum(e["counts"][status] for e in executions), (status, told)
    states = {"current": 9, "in_doubt": 0, "mismatch": 0, "unmanaged": 0}
    assert told["accounts"] == states, told
    assert [age["accounts"] for age in told["ages"]] == [9, 0, 0, 0], told
    assert told["failing"]["total"] == 2, told
    newest = ops.json("record", "list", "--execution", executions[0]["id"], "--status", "failed")
    assert names(told["failing"]["records"]) == names(newest), told
    assert {r["id"] for r in told["failing"]["records"]} == {r["id"] for r in newest}, told
    assert len(ops.json("overview", "--days", "30")["records"]) == 30
    done = ops.run("overview", "--days", "2", expect=2)
    assert "give 1, 7 or 30" in done.stderr, done


def test_overview_for_people():
    plain = ops.run("overview", expect=0).stdout
    assert "executions  3 in 7 days: 0 succeeded, 3 with failures, 0 running" in plain, plain
    assert "accounts    9 current, 0 in doubt, 0 mismatch, 0 unmanaged" in plain, plain
    assert plain.count("  FAILED      web3") == 2, plain
    assert "→ lockstep asset ping web3; when it answers, lockstep record retry " in plain, plain
    assert "█" not in plain and "\x1b" not in plain, plain
    _, seen = in_terminal("overview", "--days", "1")
    assert re.search(r"  \x1b\[32m█+\x1b\[0m\x1b\[31m▓+\x1b\[0m", seen), seen
    _, seen = in_terminal("overview", env={"NO_COLOR": "1"})
    assert re.search(r"  █+▓+\r", seen) and "\x1b[" not in seen, seen


# ── Reports ───────────────────────────────────────────────────────────────────────────────────


class Page(html.parser.HTMLParser):
    """The elements of a page and the text of its cells; fails for what does not nest."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], ""
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, (tag, self.open)

    def handle_data(self, data):
        self.text += data


def test_report():
    told = ops.json("execution", "report", first["short"])
    assert told["execution"]["id"] == first["id"], told
    assert told["causes"] == [{"status": "failed", "cause": "connect", "count": 2}], told
    assert told["problems"]["total"] == 2, told
    failed = ops.json("record", "list", "--execution", first["id"], "--status", "failed")
    assert told["problems"]["records"] == failed, told
    text = ops.run("execution", "report", first["id"], expect=0).stdout
    assert "accounts   6\n  success    4\n  failed     2\n" in text, text
    assert "  failed     connect: 2\n" in text and "  failed  app of web3\n" in text, text
    assert "→ lockstep asset ping web3; when it answers, lockstep record retry " in text, text


def test_report_as_a_page():
    out = os.path.join(WORK, "report.html")
    with open(out, "w") as file:
        file.write("what was there before")
    ops.run("execution", "report", first["id"], "--html", "--output", out, expect=0)
    with open(out) as file:
        text = file.read()
    assert text == ops.run("execution", "report", first["id"], "--html", expect=0).stdout
    page = Page(text)
    bars = [attrs for tag, attrs in page.tags if tag == "rect"]
    assert [float(b["width"]) for b in bars] == [480.0, 240.0], bars
    for word in ("rotate", first["id"], "web3", "app", "deploy", "lockstep asset ping web3"):
        assert word in page.text, (word, page.text)
    # Nothing is loaded, and nothing may be.
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "img", "iframe", "a"})
    assert not any(k in ("src", "href") for _, attrs in page.tags for k in attrs), text
    assert "default-src 'none'" in text and "http" not in text.replace("http-equiv", ""), text
    where = os.path.join(WORK, "no", "such", "place")
    done = ops.run("execution", "report", first["id"], "--output", where, expect=2)
    assert where in done.stderr, done
    done = ops.run("execution", "report", first["id"], "--json", "--html", expect=2)
    assert "neither --html nor --output" in done.stderr, done


# ── Ignoring ──────────────────────────────────────────────────────────────────────────────────


def test_ignore():
    record = ops.json("overview")["failing"]["records"][0]
    execution = ("--execution", record["execution"])
    done = ops.run("record", "ignore", record["short"], expect=2)
    assert "give the reason with --why" in done.stderr, done
    done = ops.run("record", "ignore", record["short"], "--why", "w" * 256, expect=2)
    assert "at most 255 bytes" in done.stderr, done
    done = ops.json("record", "ignore", record["short"], "--why", "gone =\x1b[31m")
    me = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    assert done == {"records": 1, "why": "gone =\\x1b[31m", "by": me}, done
    assert ops.json("overview")["failing"]["total"] == 1
    failed = ops.json("record", "list", *execution, "--status", "failed")
    assert len(failed) == 1 and failed[0]["id"] != record["id"], failed
    assert len(ops.json("record", "list", *execution, "--status", "failed", "--ignored")) == 2
    assert len(ops.json("record", "list", *execution)) == 6
    shown = ops.run("record", "show", record["id"], expect=0).stdout
    assert f"ignored      by {me} at 20" in shown and ": gone =\\x1b[31m\n" in shown, shown
    # Those that are left, by a filter; what succeeded is none of them.
    done = ops.run("record", "ignore", *execution, "--why", "gone too", expect=0)
    assert "records that are ignored now: 1" in done.stdout, done
    assert "no account fails" in ops.run("overview", expect=0).stdout
    done = ops.run("record", "ignore", *execution, "--why", "and again", expect=2)
    assert "no record that is meant failed" in done.stderr, done
    good = ops.json("record", "list", "--status", "success", "--limit", "1")[0]["short"]
    done = ops.run("record", "ignore", good, "--why", "it worked", expect=2)
    assert "neither failed nor is in doubt" in done.stderr, done
    assert ops.json("record", "unignore", *execution)["records"] == 2
    done = ops.run("record", "unignore", record["short"], expect=2)
    assert "is not ignored" in done.stderr, done
    assert ops.json("overview")["failing"]["total"] == 2
    assert "which records: give" in ops.run("record", "unignore", expect=2).stderr
    assert ops.json("record", "show", record["id"])["ignored"] is None


# ── The pager ─────────────────────────────────────────────────────────────────────────────────


def test_pager():
    mark = {"PAGER": "sed 's/^/paged: /'"}
    _, seen = in_terminal("record", "list", lines=10, env=mark)
    assert seen.count("paged: ") == 19, seen
    _, seen = in_terminal("record", "list", lines=40, env=mark)
    assert "paged: " not in seen and "web3" in seen, seen
    for none in ("", "cat", "no-such-program-here"):
        _, seen = in_terminal("record", "list", lines=10, env={"PAGER": none})
        assert seen.count("web3") == 6, (none, seen)
    _, seen = in_terminal("record", "list", lines=10, env={"PAGER": "head -n 1"})
    assert "asset" in seen and "web3" not in seen, seen
    done = ops.run("record", "list", env=mark, expect=0)
    assert "paged: " not in done.stdout, done


def test_the_vault_is_free_while_someone_reads():
    out = os.path.join(WORK, "beside")
    pager = f"{ops.lockstep} -C {ops.dir} account list --json >{out}; cat"
    status, seen = in_terminal("record", "list", lines=10, env={"PAGER": pager})
    assert status == 0 and "web3" in seen, seen
    assert os.path.getsize(out) > 100, "the second command did not get the vault"


# ── Trying again ──────────────────────────────────────────────────────────────────────────────


def test_retry_by_filter():
    ops.inventory(rows(None))
    versions = {n: ops.reveal(n, "app")["version"] for n in ("web1", "web2")}
    done = ops.json(
        "record", "retry", "--execution", first["short"], "--status", "failed", "--asset", "web*"
    )
    assert done["total"] == done["success"] == 2, done
    assert names(ops.records(done["execution"])) == [("web3", "app"), ("web3", "deploy")]
    assert ops.json("execution", "show", done["execution"])["trigger"] == "retry"
    for name, version in versions.items():
        assert ops.reveal(name, "app")["version"] == version, "what worked was left alone"
    for n in (1, 2, 3):
        told = ops.reveal(f"web{n}", "app")
        assert fleet.holds(n, "app", told["secret"]), n


def test_what_was_changed_since_is_not_tried_again():
    done = ops.run("record", "retry", "--execution", first["short"], expect=2)
    assert "nothing to retry" in done.stderr, done
    record = ops.json("record", "list", "--execution", first["id"], "--status", "failed")[0]
    done = ops.json("record", "retry", record["short"])
    assert done["total"] == done["success"] == 1, done


def test_retry_leaves_out_what_the_task_does_not_select_any_more():
    ops.inventory(rows(2999))
    ops.run("run", "rotate", expect=1)
    listed = rows(None)
    listed[2] = (*listed[2][:5], "app")
    ops.inventory(listed)
    done = ops.run("record", "retry", "--status", "failed", "--since", "1h", expect=0)
    assert "1 account is left out" in done.stderr and "1 changed" in done.stdout, done
    assert PASSWORD not in done.stdout + done.stderr


# ── Retention ─────────────────────────────────────────────────────────────────────────────────


def test_retention():
    other = Ops(fleet, name="old", rows=rows(None), settings='retention = { records = "20d" }')
    other.tell_all(("ops", "app"))
    fill = os.path.join(os.environ["BUILD"], "tests/bench/history")
    subprocess.run([fill, other.dir, "10", "500", "10", "300"], check=True)
    assert len(other.json("execution", "list")) == 10
    told = other.json("run", "rotate")
    # Only the last record of each account is left of what is older.
    executions = other.json("execution", "list")
    assert [e["total"] for e in executions] == [told["total"], 10], executions
    left = names(other.json("record", "list", "--execution", executions[1]["id"]))
    assert left == sorted((f"host{n}", a) for n in range(5) for a in ("app", "deploy")), left
    kept = other.json("overview", "--days", "30")
    assert sum(day["success"] for day in kept["records"]) == told["success"], kept


# ── The reference ─────────────────────────────────────────────────────────────────────────────


def documented(title, seen=()):
    """The words in `…` of a part of docs/json.md, and those of the parts that it refers to."""
    with open(os.path.join(os.environ["SRC"], "docs/json.md")) as file:
        parts = file.read().split("\n## ")
    titles = {t.strip(): p for p in parts for t in p.splitlines()[0].split(",")}
    words = set(re.findall(r"`([^`]+)`", titles[title]))
    for other in words & set(titles) - {title, *seen}:
        words = words | documented(other, (title, *seen))
    return words


def keys_of(value):
    """Every key of a document, but those that are names of someone's own."""
    if isinstance(value, list):
        return set().union(*map(keys_of, value)) if value else set()
    if not isinstance(value, dict):
        return set()
    return set(value) | set().union(
        *(keys_of(v) for k, v in value.items() if k not in ("labels", "counts")), set()
    )


def test_every_key_is_documented():
    record = ops.json("record", "list")[0]["id"]
    ops.run("secret", "set", "smtp", stdin="x\n", expect=0)
    shapes = {
        "check": ("check",),
        "asset list": ("asset", "list"),
        "asset ping": ("asset", "ping", "*"),
        "account list": ("account", "list"),
        "account show": ("account", "show", "web1", "app"),
        "account history": ("account", "history", "web1", "app"),
        "account reveal": ("account", "reveal", "web1", "app"),
        "overview": ("overview",),
        "execution list": ("execution", "list"),
        "execution show": ("execution", "show", first["id"]),
        "execution log": ("execution", "log", first["id"]),
        "execution report": ("execution", "report", first["id"]),
        "record list": ("record", "list"),
        "record show": ("record", "show", record),
        "run": ("run", "rotate"),
        "account verify": ("account", "verify", "web1", "app"),
        "secret list": ("secret", "list"),
        "task list": ("task", "list"),
        "task show": ("task", "show", "rotate"),
    }
    for title, command in shapes.items():
        missing = keys_of(ops.json(*command)) - documented(title)
        assert not missing, f"docs/json.md, {title}: no {', '.join(sorted(missing))}"


def test_a_verify_is_no_task_s():
    fleet.sh(1, "chpasswd", stdin="app:by-Hand.1\n")
    done = ops.run("account", "verify", "web1", "app", expect=1)
    assert "FAILED" in done.stdout and "lockstep account add web1 app" in done.stdout, done
    assert "record retry" not in done.stdout, done
    record = ops.json("record", "list", "--limit", "1")[0]
    assert record["task"] == "" and record["asset"] == "web1", record
    failing = ops.json("overview")["failing"]["records"]
    assert record["id"] in [r["id"] for r in failing], failing
    done = ops.run("record", "retry", record["short"], expect=2)
    assert "lockstep account verify web1 app" in done.stderr, done


def test_help_names_every_option():
    shown = subprocess.run(
        [ops.lockstep, "record", "retry", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for option in ("--execution", "--status", "--task", "--asset", "--reason", "--since"):
        assert option in shown, shown


main()
