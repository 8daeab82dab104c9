#!/usr/bin/env python3
"""su and single commands where the privileged account, root and the rotated account have every
login shell there is, each with start-up files that print what looks like a prompt."""

import os

from harness import PASSWORD, WORK, Fleet, Ops, main

ROOT_PASSWORD = "Root-Pass.2"
SHELLS = {
    "dash": "/bin/dash",
    "bash": "/bin/bash",
    "zsh": "/bin/zsh",
    "ksh": "/bin/ksh93",
    "mksh": "/bin/mksh",
    "fish": "/usr/bin/fish",
    "tcsh": "/bin/tcsh",
    "csh": "/bin/csh",
    "rbash": "/bin/rbash",
    "ash": "/bin/ash",
}
RC = ".bashrc .zshenv .cshrc .tcshrc .profile .mkshrc .config/fish/config.fish"
SETUP = f"""
ln -s /bin/busybox /bin/ash
echo /bin/ash >>/etc/shells
for home in /home/* /root; do
	mkdir -p $home/.config/fish
	for file in {RC}; do
		printf '%s\\n' 'echo "Password: "' 'echo -n "Password: "' >$home/$file
	done
	chown -R $(stat -c %u:%g $home) $home
done
echo 'root:{ROOT_PASSWORD}' | chpasswd
case $1 in
1?) echo 'ops ALL=(root) /usr/sbin/chpasswd, /usr/bin/getent shadow *' >/etc/sudoers.d/fleet;;
*) rm /etc/sudoers.d/fleet;;
esac
"""

BY_SU = """
task "by-su" { accounts = "app", nodes = { "/" }, secret = random "plain", verify = "su" }
"""

fleet = ops = None


def setup():
    global fleet, ops
    script = os.path.join(WORK, "setup.sh")
    with open(script, "w") as file:
        file.write(SETUP)
    specs = []
    for n, path in enumerate(SHELLS.values()):
        more = f":accounts=app,setup={script},shell=ops:{path}+app:{path}"
        specs += [f"{n}{more}+root:{path}" if n else f"20{more}+root:{path}", f"{n + 10}{more}"]
    fleet = Fleet(*specs)
    rows = [
        (f"asset{n}", a, p, "ops", "sudo" if 10 <= n < 20 else "su", "app")
        for n, (a, p, _) in sorted(fleet.assets.items())
    ]
    ops = Ops(fleet, rows=rows, more=BY_SU)
    ops.tell(("*", "ops", PASSWORD), ("*", "app", PASSWORD))
    ops.tell(*[(row[0], "root", ROOT_PASSWORD) for row in rows if row[4] == "su"])


def expect_success(task, proof):
    told = ops.json("run", task, expect=None)
    for record in ops.records(told["execution"]):
        assert (record["status"], record["proof"]) == ("success", proof), record
    assert told["total"] == 20, told
    ops.check_all_open(("app",))


def test_every_login_shell():
    expect_success("rotate", "login")


def test_su_proves_it_in_every_login_shell():
    expect_success("by-su", "su")


main()
