"""What others do with the same work: set a password, then log in with the new one. Each is given
the password in the way that costs it the least, and asks for no host key. No session is kept for
another command (ControlMaster), as there is but one for each user. The algorithms are those that
it chooses itself, but for those who are told the quickest. Whether the work was done is asked of
the fleet."""

import math
import os
import shutil
import subprocess

from lab import FIRST_PASSWORD, WORK, cpu_of, median, slope

# The one that distributions install modules for.
PYTHON = "/usr/bin/python3"
PLAIN = (
    "-F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
    " -o PubkeyAuthentication=no -o NumberOfPasswordPrompts=1 -o ControlMaster=no -o BatchMode=no"
)


class NotDone(Exception):
    """What was to be measured did not do its work."""


class Peer:
    """What it is called, what it needs, and how many times our CPU it should take."""

    name = ""
    program = None
    module = None
    least = aim = None
    # What one more host costs is told by two sizes, so that no start counts.
    few, many = 20, 120
    runs = 1

    def is_there(self):
        if self.module:
            words = [PYTHON, "-c", f"import {self.module}"]
            return subprocess.run(words, stderr=subprocess.DEVNULL).returncode == 0
        return all(shutil.which(program) for program in (self.program, "ssh", "sshpass"))

    def version(self):
        return said([self.program, "--version"])

    def cost_ms(self, lab):
        """CPU of one more host."""
        self.port = lab.many.ports[0]
        costs = []
        for run in range(self.runs):
            used = [(count, self._used_s(lab, count, run)) for count in (self.few, self.many)]
            costs.append(slope(used) * 1000)
        return median(costs)

    def _used_s(self, lab, count, run):
        """Raises where an account does not hold the password, or was not logged in to with it."""
        self.password = f"{type(self).__name__}-Pass.{count}-{run}"
        self.place = os.path.join(WORK, "peer")
        shutil.rmtree(self.place, ignore_errors=True)
        os.makedirs(self.place)
        self.hosts = [lab.many.address(n) for n in range(1, count + 1)]
        words = ""
        try:
            used_s = self.work()
        except RuntimeError as why:
            used_s, words = math.nan, f": {str(why)[-400:]}"
        held = lab.many.judge()
        done = [self._is_done(held.get((n, "app"))) for n in range(1, count + 1)]
        if words or not all(done):
            raise NotDone(f"{sum(done)} of {count} hosts were set and logged in to{words}")
        return used_s

    def _is_done(self, held):
        return held is not None and held.password == self.password and held.proven

    def file(self, name, text, mode=0o600):
        path = os.path.join(self.place, name)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def environment(self, password):
        """In which `ssh` is one that is told the password."""
        bin_dir = os.path.join(self.place, "bin")
        os.makedirs(bin_dir, exist_ok=True)
        self.file("bin/ssh", f'#!/bin/sh\nexec sshpass -e /usr/bin/ssh {PLAIN} "$@"\n', 0o700)
        return dict(os.environ, PATH=f"{bin_dir}:{os.environ['PATH']}", SSHPASS=password)

    def twice(self, command_of):
        """One command sets it, the other logs in."""
        first = cpu_of(command_of("ops", "sudo chpasswd"), env=self.environment(FIRST_PASSWORD))
        second = cpu_of(command_of("app", "true"), env=self.environment(self.password))
        return first.cpu_s + second.cpu_s


class Asyncssh(Peer):
    name = "asyncssh"
    module = "asyncssh"
    least, aim = 8, 12
    few, many = 100, 600
    runs = 3
    algorithms = ""

    SCRIPT = """
import asyncio, asyncssh, sys
port, password, first = int(sys.argv[1]), sys.argv[2], sys.argv[3]
async def one(host, gate):
    async with gate:
        more = {"port": port, "known_hosts": None, "config": None, "client_keys": None,
                "agent_path": None, ALGORITHMS}
        async with asyncssh.connect(host, username="ops", password=first, **more) as link:
            await link.run("sudo chpasswd", input=f"app:{password}\\n", check=True)
        async with asyncssh.connect(host, username="app", password=password, **more):
            pass
async def main():
    gate = asyncio.Semaphore(100)
    await asyncio.gather(*[one(host, gate) for host in sys.argv[4:]])
asyncio.run(main())
"""

    def work(self):
        script = self.file("peer.py", self.SCRIPT.replace("ALGORITHMS", self.algorithms))
        words = [PYTHON, script, str(self.port), self.password, FIRST_PASSWORD]
        return cpu_of([*words, *self.hosts]).cpu_s

    def version(self):
        return "asyncssh " + said(
            [PYTHON, "-W", "ignore", "-c", "import asyncssh; print(asyncssh.__version__)"]
        )


class AsyncsshQuick(Asyncssh):
    name = "asyncssh, quickest algorithms"
    least = aim = None
    algorithms = (
        '"encryption_algs": "aes128-gcm@openssh.com", "kex_algs": "ecdh-sha2-nistp256"'
    )


class Xargs(Peer):
    name = "ssh under xargs"
    program = "xargs"
    least, aim = 25, 40
    runs = 3
    algorithms = ""

    def version(self):
        return said(["ssh", "-V"]).split(",")[0]

    def work(self):
        ssh = f"sshpass -e ssh {PLAIN} {self.algorithms} -p {self.port}"
        script = self.file(
            "one",
            f"""#!/bin/sh
export SSHPASS={FIRST_PASSWORD}
echo 'app:{self.password}' | {ssh} ops@$1 sudo chpasswd || exit 1
export SSHPASS={self.password}
exec {ssh} app@$1 true
""",
            0o700,
        )
        hosts = self.file("hosts", "\n".join(self.hosts) + "\n")
        return cpu_of(["xargs", "-a", hosts, "-P", "50", "-n", "1", script]).cpu_s


class XargsQuick(Xargs):
    name = "ssh under xargs, quickest algorithms"
    least = aim = None
    algorithms = "-o KexAlgorithms=ecdh-sha2-nistp256 -c aes128-gcm@openssh.com"


class Clush(Peer):
    name = "clush"
    program = "clush"

    def work(self):
        hosts = ",".join(self.hosts)
        line = f"app:{self.password}"

        def command(user, what):
            feed = f"echo '{line}' | " if user == "ops" else ""
            plain = f"clush -q -S -f 50 -l {user} -o '-p {self.port}' -w {hosts} '{what}'"
            return ["sh", "-c", feed + plain]

        return self.twice(command)


class Pssh(Peer):
    name = "parallel-ssh"
    program = "parallel-ssh"

    def version(self):
        return "parallel-ssh " + super().version()

    def work(self):
        hosts = self.file("hosts", "\n".join(f"{host}:{self.port}" for host in self.hosts) + "\n")
        line = f"app:{self.password}"

        def command(user, what):
            feed = f"echo '{line}' | " if user == "ops" else ""
            plain = f"parallel-ssh -I -p 50 -l {user} -h {hosts} '{what}'"
            return ["sh", "-c", feed + plain]

        return self.twice(command)


class Ansible(Peer):
    """By `raw`, the least that it can do: one runs the change, a second one logs in."""

    program = "ansible"
    forks = 50
    least, aim = 80, 120
    runs = 3

    @property
    def name(self):
        return f"Ansible, {self.forks} forks"

    def work(self):
        lines = [f"{host} ansible_port={self.port}" for host in self.hosts]
        inventory = self.file("inventory", "\n".join(lines) + "\n")
        env = dict(
            os.environ,
            ANSIBLE_CONFIG=self.file("ansible.cfg", ""),
            ANSIBLE_HOST_KEY_CHECKING="False",
            ANSIBLE_LOCAL_TEMP=self.place,
            ANSIBLE_NOCOLOR="1",
            ANSIBLE_PIPELINING="True",
            ANSIBLE_SSH_ARGS=PLAIN,
            LC_ALL="C.UTF-8",
        )
        used = 0
        for user, password, what in (
            ("ops", FIRST_PASSWORD, f"echo app:{self.password} | sudo chpasswd"),
            ("app", self.password, "true"),
        ):
            words = ["ansible", "all", "-i", inventory, "-f", str(self.forks), "-u", user]
            words += ["-m", "raw", "-a", what, "-e", f"ansible_password={password}"]
            used += cpu_of(words, env=env).cpu_s
        return used


class AnsibleFew(Ansible):
    forks = 5
    least = aim = None
    runs = 1


PEERS = (
    Asyncssh(),
    AsyncsshQuick(),
    Xargs(),
    XargsQuick(),
    Clush(),
    Pssh(),
    Ansible(),
    AnsibleFew(),
)


def said(command):
    """The first line that it says about itself."""
    run = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return (run.stdout.splitlines() or [""])[0].strip()
