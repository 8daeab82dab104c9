#!/usr/bin/env python3
"""Every login shell, as the privileged account's and as the rotated account's; start-up files that
print, sleep and exit; commands that are forced, banners that look like prompts, passwords that must
be changed at the next login; names, IPv4 and IPv6. Each record is held against the asset's own
shadow file: not one status may be untrue."""
# time limit: 200

import os

from harness import WORK, Fleet, Ops, main

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
# What each shell reads before it runs a command that sshd hands it, in a language of its own.
RC = (".bashrc", ".zshenv", ".cshrc", ".tcshrc", ".profile", ".mkshrc", ".config/fish/config.fish")
SETUP = """
ln -s /bin/busybox /bin/ash
echo /bin/ash >>/etc/shells
mkdir -p /etc/fish
for home in /home/* /root; do
	mkdir -p $home/.config/fish
	for file in %s; do
		printf '%%s\\n' %s >$home/$file
	done
done
%s
"""
PRINTS = "'echo Password:' 'echo -n \"[sudo] password for ops: \"' 'echo'"
SLEEPS = "'sleep 0.4'"
EXITS = "'exit 0'"

fleet = ops = None
names = {}


def script(name, rc, more=""):
    path = os.path.join(WORK, name + ".sh")
    with open(path, "w") as file:
        file.write(SETUP % (" ".join(RC), rc, more))
    return path


def account(shell):
    return f"u-{shell}"


def setup():
    global fleet, ops
    accounts = "+".join(account(s) for s in SHELLS)
    shells = "+".join(f"{account(s)}:{path}" for s, path in SHELLS.items())
    prints, sleeps = script("prints", PRINTS), script("sleeps", PRINTS + " " + SLEEPS)
    specs = []
    # One asset for each shell of the admin; every account on it has another shell, in turn.
    for n, (name, path) in enumerate(SHELLS.items(), 1):
        mine = list(SHELLS)[n % len(SHELLS)]
        own = f"{account(mine)}:{SHELLS[mine]}"
        rc = sleeps if n % 3 == 0 else prints
        nopasswd = ",nopasswd" if n % 4 == 0 else ""
        keyboard = ",keyboard" if n % 5 == 0 else ""
        specs.append(
            f"{n}:accounts={account(mine)},shell=ops:{path}+{own},setup={rc}{nopasswd}{keyboard}"
        )
        names[f"asset{n}"] = (n, account(mine))
    specs.append(f"11:accounts={accounts},shell={shells},setup={prints}")
    specs.append("12:at=::1")
    specs.append("13:at=127.0.0.1,keyboard")
    odd = script("odd", PRINTS, ODD)
    specs.append(f"14-19:accounts=app+deploy,setup={odd}")
    fleet = Fleet(*specs)
    ops = Ops(fleet, rows=[], deadline="1s", retries=0)


ODD = r"""
case $1 in
14) printf 'exit 0\n' >/home/ops/.bashrc ;;
15) printf 'echo gone; exit 3\n' >/home/app/.bashrc; usermod -s /usr/sbin/nologin deploy ;;
16) printf 'Match User ops\n\tForceCommand /bin/echo password:\n' >>/etc/ssh/sshd_config ;;
17) printf 'Match User app\n\tForceCommand /bin/echo password:\n' >>/etc/ssh/sshd_config ;;
18)
	printf 'ops@asset18 password: \n[sudo] password for ops: ' >/etc/issue.net
	cp /etc/issue.net /etc/motd
	sed -i '1i Banner /etc/issue.net\nPrintMotd yes' /etc/ssh/sshd_config
	chage -d 0 app
	;;
19) chage -d 0 ops ;;
esac
"""


def rotate(rows, verify="login", tell=True):
    """Rotates what the rows say, and judges it; the records by asset and account."""
    ops.inventory(rows)
    listed = sorted({a for r in rows for a in r[5].split(";")})
    wanted = ", ".join(f'"{a}"' for a in listed)
    ops.write(
        "lockstep.lua",
        f"""
settings {{ change_deadline = "500ms", sandbox = {os.environ.get("LOCKSTEP_SANDBOX", "true")} }}
rule "plain" {{ length = 20, lower = 2, upper = 2, digit = 2,
	symbol = {{ min = 1, set = "-_.+=" }} }}
inventory "inventory/assets.csv"
task "rotate" {{ accounts = {{ {wanted} }}, nodes = {{ "/" }}, secret = random "plain",
	verify = "{verify}", limits = {{ retries = 0 }} }}
""",
    )
    if tell:
        ops.tell_all(("ops", *listed))
    done = ops.judged("run", "rotate")
    return {(r["asset"], r["account"]): r for r in ops.records(done["execution"])}


def row(n, accounts, name=None, address=None):
    there, port, _ = fleet.assets[n]
    return (name or f"asset{n}", address or there, port, "ops", "sudo", accounts)


def succeeded(records):
    for record in records.values():
        assert record["status"] == "success", record


def test_the_admins_shell():
    succeeded(rotate([row(n, mine) for n, mine in names.values()]))


def test_the_accounts_shell():
    every = ";".join(account(s) for s in SHELLS)
    succeeded(rotate([row(11, every)]))
    succeeded(rotate([row(11, every)], verify="hash", tell=False))


def test_names_and_families():
    rows = [row(12, "app;svc"), row(13, "app;svc", address="localhost")]
    succeeded(rotate(rows))


def status_of(record):
    return record["status"], record["reason"] or (record["error"] or {}).get("code")


def test_the_admin_is_not_given_a_shell():
    found = rotate([row(14, "app"), row(16, "app"), row(19, "app")])
    assert status_of(found["asset14", "app"]) == ("failed", "no_shell"), found
    assert status_of(found["asset16", "app"]) == ("failed", "no_shell"), found
    assert status_of(found["asset19", "app"]) == ("failed", "expired"), found


def test_the_account_is_not_given_a_shell():
    """A login that is let in and does nothing proves nothing; the hash does."""
    rows = [row(15, "app;deploy"), row(17, "app;deploy")]
    succeeded(rotate(rows, verify="hash"))
    found = rotate(rows, tell=False)
    assert status_of(found["asset15", "app"]) == ("unverified", "no_shell"), found
    assert status_of(found["asset15", "deploy"]) == ("skipped", "no_proof"), found
    assert status_of(found["asset17", "app"]) == ("skipped", "no_proof"), found
    assert status_of(found["asset17", "deploy"]) == ("success", None), found
    succeeded(rotate(rows, verify="hash", tell=False))


def test_banners_and_forced_changes():
    found = rotate([row(18, "app;deploy")])
    assert status_of(found["asset18", "app"]) == ("skipped", "expired"), found
    assert status_of(found["asset18", "deploy"]) == ("success", None), found
    succeeded(rotate([row(18, "app;deploy")], verify="hash", tell=False))


main()
