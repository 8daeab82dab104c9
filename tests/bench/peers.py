"""What others do with the same work: set a password, then log in with the new one. Each is given
the password in the way that costs it the least."""

import os
import shutil
import subprocess
import sys

from lab import FIRST_PASSWORD, WORK, cpu_of

# The one that distributions install modules for.
PYTHON = "/usr/bin/python3"
PLAIN = (
    "-F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
    " -o PubkeyAuthentication=no -o NumberOfPasswordPrompts=1 -o ControlMaster=no -o BatchMode=no"
)


class Peer:
    """What it is called, what it needs, and how many times our CPU it should take."""

    name = ""
    program = None
    module = None
    least = aim = None
    slow = False

    def is_there(self):
        if self.module:
            words = [PYTHON, "-c", f"import {self.module}"]
            return subprocess.run(words, stderr=subprocess.DEVNULL).returncode == 0
        return shutil.which(self.program) is not None and shutil.which("sshpass") is not None

    def cpu_ms(self, lab, count):
        """Of a host; None where it failed."""
        self.password = f"{self.__class__.__name__}-Pass.2"
        self.place = os.path.join(WORK, "peer")
        shutil.rmtree(self.place, ignore_errors=True)
        os.makedirs(self.place)
        self.hosts = [lab.many.address(n) for n in range(1, count + 1)]
        self.port = lab.many.ports[0]
        before = lab.many.stats()
        try:
            used = self.work()
        except RuntimeError as why:
            print(f"bench: {self.name}: {str(why)[-500:]}", file=sys.stderr)
            return None
        after = lab.many.stats()
        done = all(after[what] - before[what] >= count for what in ("changes", "logins"))
        return used * 1000 / count if done else None

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

    SCRIPT = """
import asyncio, asyncssh, sys
port, password, first = int(sys.argv[1]), sys.argv[2], sys.argv[3]
async def one(host, gate):
    async with gate:
        more = {"port": port, "known_hosts": None, "config": None, "client_keys": None}
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
        script = self.file("peer.py", self.SCRIPT)
        words = [PYTHON, script, str(self.port), self.password, FIRST_PASSWORD]
        return cpu_of([*words, *self.hosts]).cpu_s


class Xargs(Peer):
    name = "ssh under xargs"
    program = "xargs"
    least, aim = 25, 40

    def work(self):
        script = self.file(
            "one",
            f"""#!/bin/sh
export SSHPASS={FIRST_PASSWORD}
echo 'app:{self.password}' | sshpass -e ssh {PLAIN} -p {self.port} ops@$1 sudo chpasswd || exit 1
export SSHPASS={self.password}
exec sshpass -e ssh {PLAIN} -p {self.port} app@$1 true
""",
            0o700,
        )
        hosts = self.file("hosts", "\n".join(self.hosts) + "\n")
        return cpu_of(["xargs", "-a", hosts, "-P", "50", "-n", "1", script]).cpu_s


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

    def work(self):
        hosts = self.file("hosts", "\n".join(f"{host}:{self.port}" for host in self.hosts) + "\n")
        line = f"app:{self.password}"

        def command(user, what):
            feed = f"echo '{line}' | " if user == "ops" else ""
            plain = f"parallel-ssh -I -p 50 -l {user} -h {hosts} '{what}'"
            return ["sh", "-c", feed + plain]

        return self.twice(command)


class Ansible(Peer):
    """By `raw`, the least that it can do; a second one logs in."""

    program = "ansible"
    forks = 50
    least, aim = 80, 120

    @property
    def name(self):
        return f"Ansible, {self.forks} forks"

    def work(self):
        lines = [
            f"{host} ansible_port={self.port}" for host in self.hosts
        ]
        inventory = self.file("inventory", "\n".join(lines) + "\n")
        env = dict(
            os.environ,
            ANSIBLE_HOST_KEY_CHECKING="False",
            ANSIBLE_SSH_ARGS=PLAIN,
            ANSIBLE_LOCAL_TEMP=self.place,
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
    slow = True


def installed(long):
    peers = [Asyncssh(), Xargs(), Clush(), Pssh(), Ansible(), AnsibleFew()]
    return [peer for peer in peers if (long or not peer.slow) and peer.is_there()]
