"""What the end-to-end tests share: a fleet of real servers, a policy directory, and judges that ask
the servers themselves.

A test is a script of functions that start with test_; main() runs them in order and says which
failed.
"""

import base64
import crypt
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import traceback

FLEET = os.environ["FLEET"]
LOCKSTEP = os.environ["LOCKSTEP"]
WORK = os.environ["WORK"]
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

    def holds(self, number, account, secret):
        """Whether the account's entry in the asset's own shadow file is this secret's."""
        entry = self.sh(number, "getent", "shadow", account).split(":")[1]
        return crypt.crypt(secret, entry) == entry


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
        if sandbox is None:
            sandbox = os.environ.get("LOCKSTEP_SANDBOX", "true")
        shutil.rmtree(self.dir, ignore_errors=True)
        self.run("init", self.dir, at=False, expect=0)
        for sub in ("rules", "tasks", "inventory"):
            for file in os.listdir(os.path.join(self.dir, sub)):
                os.remove(os.path.join(self.dir, sub, file))
        self.write(
            "lockstep.lua",
            POLICY.format(
                deadline=deadline,
                limit=limit,
                retries=retries,
                verify=verify,
                sandbox=sandbox,
                settings=settings,
                more=more,
            ),
        )
        self.inventory(rows)

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

    def reveal(self, asset, account):
        return self.json("account", "reveal", asset, account)

    def records(self, execution):
        return self.json("record", "list", "--execution", execution)

    def record(self, execution, asset, account):
        found = [
            r for r in self.records(execution) if (r["asset"], r["account"]) == (asset, account)
        ]
        assert len(found) == 1, found
        return found[0]

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
