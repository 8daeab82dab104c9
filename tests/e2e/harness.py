"""What the end-to-end tests share: a fleet of real servers, a policy directory, and judges that ask
the servers themselves.

A test is a script of functions that start with test_; main() runs them in order and says which
failed.
"""

import atexit
import base64
import crypt
import faulthandler
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

FLEET = os.environ["FLEET"]
LOCKSTEP = os.environ["LOCKSTEP"]
WORK = os.environ["WORK"]
LOG = os.path.join(WORK, "lockstepd.log")
#: The programs that are built with --enable-crash-points.
CRASH = os.path.join(os.path.dirname(os.environ["BUILD"]), "crash")
PASSWORD = "First-Pass.1"

POLICY = """
settings {{ change_deadline = "{deadline}", sandbox = {sandbox}, {settings} }}
rule "plain" {{ length = 20, lower = 2, upper = 2, digit = 2,
	symbol = {{ min = 1, set = "-_.+=" }} }}
inventory "inventory/assets.csv"
node "/" {{ lockout = {{ limit = {limit}, window = "1m" }} }}
task "rotate" {{ accounts = {{ "app", "deploy", "svc" }}, nodes = {{ "/" }},
	secret = random "plain", verify = "{verify}", limits = {{ retries = {retries} }} }}
{more}
"""


class Skip(Exception):
    """Raised where a test cannot run here; says why."""


def need_fleet():
    can = subprocess.run([FLEET, "can"], capture_output=True, text=True)
    if can.returncode != 0:
        raise Skip(can.stderr.strip() or can.stdout.strip())


class Fleet:
    """Assets 1..N of one network."""

    def __init__(self, *specs, net="lo", name="fleet", prefix=None):
        need_fleet()
        self.env = dict(os.environ, FLEET_NET=net, FLEET_DIR=os.environ["FLEET_DIR"])
        if prefix:
            self.env["FLEET_PREFIX"] = prefix
        subprocess.run([FLEET, "start", *specs], env=self.env, check=True)
        self.assets = {}
        for line in self._out("list").splitlines():
            number, address, port, fingerprint = line.split()
            self.assets[int(number)] = (address, int(port), fingerprint)

    def _out(self, *args):
        return subprocess.run(
            [FLEET, *args], env=self.env, check=True, text=True, stdout=subprocess.PIPE
        ).stdout

    def sh(self, number, *command, stdin=None):
        return subprocess.run(
            [FLEET, "sh", str(number), *command],
            env=self.env,
            text=True,
            errors="replace",
            input=stdin,
            stdout=subprocess.PIPE,
            check=True,
        ).stdout

    def do(self, *args):
        subprocess.run([FLEET, *[str(a) for a in args]], env=self.env, check=True)

    def start(self, *specs):
        self.do("start", *specs)

    def stop(self):
        subprocess.run([FLEET, "stop"], env=self.env, check=True)

    def shadow(self, number):
        """The asset's own shadow file: each account's entry."""
        lines = self.sh(number, "cat", "/etc/shadow").splitlines()
        return dict(line.split(":")[:2] for line in lines)

    def holds(self, number, account, secret):
        """Whether the account's entry in the asset's own shadow file is this secret's."""
        return opens(self.shadow(number)[account], secret)


def opens(entry, secret):
    """Whether a shadow file's entry is this secret's."""
    return crypt.crypt(secret, entry) == entry


class Page:
    """Keeps the error texts that a test sees, for tests/golden/errors, in the file ERRORS."""

    VOLATILE = (
        (r"/[\w./-]+/lockstep-socket\.\w+", "DIR"),
        (r"SHA256:[A-Za-z0-9+/]{43}", "FINGERPRINT"),
        (r"\b01[0-9A-HJKMNP-TV-Z]{3,24}\b", "ID"),
        (r"\b(127|10)\.\d+\.\d+\.\d+(:\d+)?\b|(?<![\w:])::1\b", "ADDRESS"),
        (r"\basset\d+\b", "ASSET"),
        (r"\b\d+-?\d\d-?\d\d(T[\d:.]+Z| [\d:]+)", "TIME"),
        (r"\b\d+(\.\d+)?\b", "N"),
    )

    def __init__(self):
        self.file = os.environ.get("ERRORS")
        self.test = os.path.basename(sys.argv[0])
        self.seen = set()

    def mask(self, text, names=()):
        text = text.replace(WORK, "DIR").replace(os.path.realpath(WORK), "DIR")
        for name, word in names:
            text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", word, text)
        # What an asset said, and not a name.
        text = re.sub(r'"((?:[^"\\]|\\.)*)"', self.quoted, text)
        for pattern, word in self.VOLATILE:
            text = re.sub(pattern, word, text)
        return text

    @staticmethod
    def quoted(match):
        return match[0] if re.fullmatch(r"[\w./@*-]+", match[1]) else '"…"'

    def keep(self, section, text):
        if (section, text) not in self.seen:
            self.seen.add((section, text))
            with open(self.file, "a") as file:
                file.write(f"{self.test}\t{section}\t{text}\n")

    def command(self, done):
        """What a command that could not be carried out said."""
        if self.file and done.returncode in (2, 3):
            lines = str(done.stderr).splitlines()
            for line, following in zip(lines, [*lines[1:], ""]):
                if line.startswith("lockstep: "):
                    self.keep("commands", self.mask(line))
                elif re.match(r"lockstep [a-z ]+: ", line):
                    self.keep("commands", self.mask(f"{line} {following}"))

    def record(self, ops, record):
        """A record that did not succeed, as `record show` tells of it."""
        if not self.file or record["status"] in ("success", "planned", "staged"):
            return
        names = ((record["account"], "ACCOUNT"), (record["asset"], "ASSET"))
        word = record["reason"] or (record["error"] or {}).get("code")
        said = (record["error"] or {}).get("message") or record["detail"] or ""
        known = record["status"], word, self.mask(said, names)
        if known in self.seen:
            return
        self.seen.add(known)
        shown = ops.run("record", "show", record["id"], expect=0).stdout
        told = dict(line.split(None, 1) for line in shown.splitlines() if " " in line.strip())
        parts = f"{record['status']} {word}", told.get("what", ""), told.get("next", "")
        self.keep("records", " | ".join(self.mask(part, names).strip() for part in parts))


page = Page()


class Ops:
    """A policy directory with its vault, made by `init`."""

    def __init__(
        self,
        fleet,
        name="ops",
        deadline="1s",
        limit=1000,
        retries=2,
        verify="login",
        sandbox=None,
        settings="",
        more="",
        rows=None,
        lockstep=LOCKSTEP,
        env=None,
    ):
        self.dir = os.path.join(WORK, name)
        self.fleet = fleet
        self.lockstep = lockstep
        self.env = dict(os.environ, **(env or {}))
        shutil.rmtree(self.dir, ignore_errors=True)
        self.run("init", self.dir, at=False, expect=0)
        for sub in ("rules", "tasks", "inventory"):
            for file in os.listdir(os.path.join(self.dir, sub)):
                os.remove(os.path.join(self.dir, sub, file))
        text = self.policy_text(deadline, limit, retries, verify, sandbox, settings, more)
        self.write("lockstep.lua", text)
        self.inventory(rows)

    @staticmethod
    def policy_text(
        deadline="1s",
        limit=1000,
        retries=2,
        verify="login",
        sandbox=None,
        settings="",
        more="",
    ):
        if sandbox is None:
            sandbox = os.environ.get("LOCKSTEP_SANDBOX", "true")
        return POLICY.format(
            deadline=deadline,
            limit=limit,
            retries=retries,
            verify=verify,
            sandbox=sandbox,
            settings=settings,
            more=more,
        )

    def write(self, name, text):
        with open(os.path.join(self.dir, name), "w") as file:
            file.write(text)

    def inventory(self, rows=None):
        """Rows of name, address, port, admin, become, accounts; by default the whole fleet."""
        if rows is None:
            rows = [
                (f"asset{n}", a, p, "ops", "sudo", "app;deploy;svc")
                for n, (a, p, _) in sorted(self.fleet.assets.items())
            ]
        lines = ["name,address,port,platform,admin,become,accounts"]
        lines += [",".join([r[0], r[1], str(r[2]), "linux", *r[3:]]) for r in rows]
        self.write("inventory/assets.csv", "\n".join(lines) + "\n")

    def run(self, *args, at=True, expect=None, stdin="", timeout=110, env=None, text=True):
        command = [self.lockstep] + (["-C", self.dir] if at else []) + [str(a) for a in args]
        done = subprocess.run(
            command,
            input=stdin,
            text=text,
            capture_output=True,
            timeout=timeout,
            env=dict(self.env, **(env or {})),
        )
        page.command(done)
        if expect is not None and done.returncode != expect:
            raise AssertionError(
                f"{' '.join(command)}: exit {done.returncode}, not {expect}\n"
                f"{done.stdout}{done.stderr}"
            )
        return done

    def start(self, *args, env=None, **more):
        """Starts a command in a session of its own, to be killed."""
        return subprocess.Popen(
            [self.lockstep, "-C", self.dir, *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=dict(self.env, **(env or {})),
            **more,
        )

    def lockstepd(self, crash=None):
        """Starts it; returns its process once it answers, or has ended. (A socket's file tells
        nothing: one that was killed leaves its own.) crash: the CRASH_POINT that kills it."""
        top = os.path.dirname(os.path.dirname(LOCKSTEP))
        program, env = os.path.join(top, "sbin", "lockstepd"), dict(self.env)
        if crash:
            program, env["LOCKSTEP_CRASH"] = os.path.join(CRASH, "lockstepd"), crash
        with open(LOG, "a") as log:
            daemon = subprocess.Popen(
                [program, "-C", self.dir],
                stdin=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
                env=env,
            )
        wait_for(lambda: self.run("status").returncode == 0 or daemon.poll() is not None)
        return daemon

    def json(self, *args, expect=0, **more):
        done = self.run(*args, "--json", expect=expect, **more)
        return json.loads(done.stdout)

    def tell(self, *rows):
        """Imports asset, account, password rows from stdin."""
        text = "asset,account,password\n"
        text += "".join(",".join(quoted(f) for f in row) + "\n" for row in rows)
        self.run("account", "import", "-", stdin=text, expect=0)

    def tell_all(self, accounts=("ops", "app", "deploy", "svc")):
        self.tell(*[("*", account, PASSWORD) for account in accounts])

    def reveal(self, asset, account, *more):
        return self.json("account", "reveal", asset, account, *more)

    def records(self, execution):
        found = self.json("record", "list", "--execution", execution)
        for record in found:
            page.record(self, record)
        return found

    def record(self, execution, asset, account):
        found = [
            r for r in self.records(execution) if (r["asset"], r["account"]) == (asset, account)
        ]
        assert len(found) == 1, found
        return found[0]

    def number_of(self, asset):
        """The fleet's number of an asset of the policy."""
        (told,) = [a for a in self.json("asset", "list") if a["name"] == asset]
        found = [
            n
            for n, (address, port, _) in self.fleet.assets.items()
            if port == told["port"] and told["address"] in (address, "localhost")
        ]
        return found[0] if found else int(asset.removeprefix("asset"))

    def shadows(self):
        return {n: self.fleet.shadow(n) for n in self.fleet.assets}

    def judged(self, *command, expect=None, **more):
        """Runs a command that rotates, and judges its records: not one status may be untrue."""
        before = self.shadows()
        done = self.run(*command, "--json", **more)
        assert done.returncode in (0, 1) if expect is None else done.returncode == expect, (
            done.returncode,
            done.stdout,
            done.stderr,
        )
        told = json.loads(done.stdout)
        self.judge(told["execution"], before)
        return told

    def judge(self, execution, before=None):
        """
        Holds each record of passwords against the asset's own shadow file. `before` is what
        shadows() said before the execution: without it, a skipped account's entry is not compared.
        """
        after = self.shadows()
        numbers = {}
        for record in self.records(execution):
            asset, account = record["asset"], record["account"]
            if record["kind"] != "password":
                continue
            if asset not in numbers:
                numbers[asset] = self.number_of(asset)
            entry = after[numbers[asset]].get(account)
            old = before and before[numbers[asset]].get(account)
            self._judge(record, entry, old)

    def _judge(self, record, entry, old):
        status = record["status"]
        assert status in ("success", "failed", "unverified", "skipped"), record
        if status == "skipped" and record["reason"] != "in_doubt":
            assert old is None or entry == old, ("skipped, and its entry changed", record)
            return
        if entry is None:
            assert status == "failed", ("there is no such account", record)
            return
        if status == "failed":
            if old is not None and entry != old:
                # What was put back has another salt.
                told = self.reveal(record["asset"], record["account"])
                assert opens(entry, told["secret"]), ("failed, and its entry changed", record)
            if record["sends"]:
                self._judge_refused(record, entry)
            return
        told = self.reveal(record["asset"], record["account"])
        if status == "success":
            assert record["new_version"] == told["version"] and not told["in_doubt"], (record, told)
            assert opens(entry, told["secret"]), ("success, and it does not open", record)
        elif record["reason"] in ("accepted_does_not_open", "refused_neither_opens"):
            assert not any(opens(entry, c["secret"]) for c in told["candidates"]), (
                "one of ours opens it",
                record,
            )
        else:
            assert entry == old or any(opens(entry, c["secret"]) for c in told["candidates"]), (
                "unverified, and no candidate opens it",
                record,
            )

    def _judge_refused(self, record, entry):
        account = record["asset"], record["account"]
        sent = self.reveal(*account, "--version", record["new_version"])
        assert not sent["in_doubt"], ("failed, and still in doubt", record)
        assert not opens(entry, sent["secret"]), ("failed, and the new one opens it", record)
        if record["old_version"]:
            old = self.reveal(*account)
            assert opens(entry, old["secret"]), ("failed, and the old one is lost", record)

    def check_all_open(self, accounts=("app", "deploy", "svc"), numbers=None):
        """Every account's current secret, as the vault has it, is what its asset holds."""
        for number in numbers or sorted(self.fleet.assets):
            for account in accounts:
                told = self.reveal(f"asset{number}", account)
                assert not told["in_doubt"], f"asset{number} {account} is in doubt"
                assert self.fleet.holds(
                    number, account, told["secret"]
                ), f"asset{number} {account}: the vault's secret is not the asset's"


def quoted(field):
    return '"' + field.replace('"', '""') + '"'


def ssh_opens(address, port, user, password, command="echo in"):
    """A login by plain ssh; the password goes through a pipe."""
    reader, writer = os.pipe()
    os.write(writer, password.encode() + b"\n")
    os.close(writer)
    done = subprocess.run(
        [
            "sshpass",
            f"-d{reader}",
            "ssh",
            "-F",
            "none",
            "-p",
            str(port),
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-o",
            "PubkeyAuthentication=no",
            "-o",
            "LogLevel=ERROR",
            "-o",
            "NumberOfPasswordPrompts=1",
            "-o",
            "ConnectTimeout=5",
            f"{user}@{address}",
            command,
        ],
        pass_fds=[reader],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    os.close(reader)
    return done.returncode == 0 and "in" in done.stdout


def short_dir():
    """Its name leaves room for a socket's, which may have 107 bytes. It goes with the test."""
    place = tempfile.mkdtemp(prefix="lockstep-socket.")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return place


def children(pid):
    """The processes that it started and has not waited for: an engine's are its wires."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(child) for child in file.read().split()]
    except OSError:
        return []


def ask(link, method, params, head=""):
    """Asks by a connection, with more lines of the head: the answer's status and what it holds."""
    body = json.dumps(params)
    request = f"POST /v1/{method} HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n{body}"
    answer = b""
    link.sendall(request.encode())
    while part := link.recv(65536):
        answer += part
    head, _, body = answer.decode().partition("\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def connected_as(path, uid):
    """A connection to the socket of that user, whom the kernel names as of the moment of
    connecting. In a process of its own: other threads of this one stay who they are."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        child = os.fork()
        if child == 0:
            try:
                os.seteuid(uid)
                link = socket.socket(socket.AF_UNIX)
                link.connect(path)
                socket.send_fds(theirs, [b"."], [link.fileno()])
            finally:
                os._exit(0)
        theirs.close()
        _, links, _, _ = socket.recv_fds(ours, 1, 1)
        os.waitpid(child, 0)
    if not links:
        raise ConnectionRefusedError(path)
    return socket.socket(fileno=links[0])


def ask_as(path, uid, method, **params):
    """Asks at the socket as that user."""
    with connected_as(path, uid) as link:
        link.settimeout(60)
        return ask(link, method, params)


def code_of(secret, ago=0):
    """The code of a second factor, so many seconds ago, as oathtool makes it: not ours."""
    at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(time.time() - ago))
    done = subprocess.run(
        ["oathtool", "--totp", "-b", "-N", at, "-"],
        input=secret,
        text=True,
        capture_output=True,
        check=True,
    )
    return done.stdout.strip()


def never_answers():
    """An asset that takes connections and says nothing."""
    server = socket.create_server(("127.0.0.1", 0))
    held = []

    def take():
        while True:
            held.append(server.accept())

    threading.Thread(target=take, daemon=True).start()
    return server


def fingerprint(blob):
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def wait_for(what, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = what()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError("waited in vain")


def main():
    module = sys.modules["__main__"]
    tests = [f for name, f in vars(module).items() if name.startswith("test_")]
    wanted = sys.argv[1:]
    failed = 0
    # A test that takes too long is ended by its caller: it says where it was.
    faulthandler.register(signal.SIGTERM, chain=True)
    try:
        if hasattr(module, "setup"):
            module.setup()
        for test in tests:
            if wanted and test.__name__ not in wanted:
                continue
            start = time.monotonic()
            try:
                test()
                print(f"ok    {test.__name__}  {time.monotonic() - start:.1f} s", flush=True)
            except Exception:
                failed += 1
                print(f"FAIL  {test.__name__}", flush=True)
                traceback.print_exc()
    except Skip as why:
        print(f"skipped: {why}")
        sys.exit(77)
    sys.exit(1 if failed else 0)
