#!/usr/bin/env python3
"""The same API over TLS: its listener, who is let in, and what comes from a hostile network."""
# time limit: 120

import json
import os
import re
import socket
import ssl
import subprocess
import time

from harness import Fleet, Ops, main, short_dir, wait_for

PEOPLE = """
role "seer" { "view", "reveal" }
role "runner" { "view", "run", nodes = "/prod" }
user "ann" { role = "admin" }
user "run" { role = "runner" }
user "see" { role = "seer" }
"""

place = short_dir()
PATH = os.path.join(place, "engine")
LOG = os.path.join(place, "log")
ADDRESS = os.environ["FLEET_PREFIX"] + ".1"
PORT = 8443
ops = daemon = None


# ── Certificates ──────────────────────────────────────────────────────────────────────────────


def openssl(*args):
    subprocess.run(["openssl", *args], check=True, capture_output=True)


def file(name):
    return os.path.join(place, name)


def make_ca(name):
    openssl(
        *["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
        *["-keyout", file(f"{name}.key"), "-out", file(f"{name}.pem"), "-days", "2"],
        *["-subj", f"/CN={name}"],
    )


def make_certificate(name, ca, subject=None):
    with open(file(f"{name}.ext"), "w") as out:
        out.write(f"subjectAltName=IP:{ADDRESS}\n")
    openssl(
        *["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
        *["-keyout", file(f"{name}.key"), "-out", file(f"{name}.csr")],
        *["-subj", f"/CN={subject or name}"],
    )
    openssl(
        *["x509", "-req", "-in", file(f"{name}.csr"), "-CA", file(f"{ca}.pem")],
        *["-CAkey", file(f"{ca}.key"), "-CAcreateserial", "-days", "2"],
        *["-extfile", file(f"{name}.ext"), "-out", file(f"{name}.pem")],
    )


def listen(**more):
    fields = {"address": f"{ADDRESS}:{PORT}", "client_ca": file("people.pem")}
    fields.update(certificate=file("own.pem"), key=file("own.key"))
    fields.update(more)
    return ", ".join(f'{name} = "{value}"' for name, value in fields.items() if value)


def policy(**more):
    text = f'socket = "{PATH}", mfa_ttl = 0, listen = {{ {listen(**more)} }},'
    ops.write("lockstep.lua", ops.policy_text(settings=text, more=PEOPLE))


def start():
    global daemon
    daemon = subprocess.Popen(
        [ops.lockstep.replace("/bin/lockstep", "/sbin/lockstepd"), "-C", ops.dir],
        stderr=open(LOG, "a"),
    )
    wait_for(lambda: os.path.exists(PATH))


def log():
    with open(LOG) as told:
        return told.read()


def setup():
    global ops
    os.chmod(place, 0o755)
    for name in ("home", "people", "strange"):
        make_ca(name)
    make_certificate("own", "home")
    make_certificate("next", "home", "next")
    fleet = Fleet("1")
    ops = Ops(fleet)
    policy()
    ops.tell_all(("ops", "app"))
    start()
    wait_for(lambda: "event=listening" in log())


# ── A client that is not ours ─────────────────────────────────────────────────────────────────


def context(certificate=None, **more):
    made = ssl.create_default_context(cafile=file("home.pem"))
    for name, value in more.items():
        setattr(made, name, value)
    if certificate:
        made.load_cert_chain(file(f"{certificate}.pem"), file(f"{certificate}.key"))
    return made


def connect(certificate=None, timeout=30, **more):
    link = socket.create_connection((ADDRESS, PORT), timeout=timeout)
    return context(certificate, **more).wrap_socket(link, server_hostname=ADDRESS)


def read_answer(link):
    answer = b""
    while part := link.recv(65536):
        answer += part
    head, _, body = answer.decode().partition("\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def post(method, params=None, token=None, certificate=None, head=""):
    body = json.dumps(params or {})
    if token is not None:
        head += f"Authorization: Bearer {token}\r\n"
    head += f"Content-Length: {len(body)}\r\n"
    with connect(certificate) as link:
        link.sendall(f"POST /v1/{method} HTTP/1.1\r\n{head}\r\n{body}".encode())
        return read_answer(link)


def local(method="whoami"):
    """At the socket, as the vault's owner: seconds that it took."""
    begun = time.monotonic()
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(30)
        link.connect(PATH)
        link.sendall(f"POST /v1/{method} HTTP/1.1\r\nContent-Length: 0\r\n\r\n".encode())
        assert read_answer(link)[0] == 200
    return time.monotonic() - begun


# ── The listener ──────────────────────────────────────────────────────────────────────────────


def test_nobody_is_let_in_unknown():
    status, answer = post("whoami")
    assert status == 401 and answer["exit"] == 3, answer
    status, answer = post("no.such.method")
    assert status == 401, answer
    assert ops.json("status")["listen"] == f"{ADDRESS}:{PORT}"


def test_only_todays_tls():
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with connect(minimum_version=version, maximum_version=version) as link:
            assert link.version() == version.name.replace("_", ".")
    for version in ("-tls1", "-tls1_1"):
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"{ADDRESS}:{PORT}", version]
            + ["-cipher", "ALL:@SECLEVEL=0"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert "Cipher is (NONE)" in done.stdout, (version, done.stdout)
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"{ADDRESS}:{PORT}", "-tls1_2"]
        + ["-cipher", "AES128-SHA:AES256-SHA:ECDHE-ECDSA-AES128-SHA"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert "Cipher is (NONE)" in done.stdout, done.stdout


def test_plain_http_is_cut_off():
    with socket.create_connection((ADDRESS, PORT), timeout=20) as link:
        link.sendall(b"POST /v1/whoami HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
        try:
            said = link.recv(1000)
        except ConnectionResetError:
            said = b""
        assert not said.startswith(b"HTTP"), said


def test_a_certificate_of_another_ca():
    make_certificate("stranger", "strange")
    try:
        with connect("stranger") as link:
            link.sendall(b"POST /v1/whoami HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
            said = link.recv(1000)
        assert said == b"", said
    except (ssl.SSLError, ConnectionError):
        pass
    assert local() < 5


def test_large_heads_and_bodies():
    for head, expect in (
        ("X: " + "y" * 9000 + "\r\n", 431),
        ("X: y\r\n" * 2000, 431),
        (f"Content-Length: {100 << 20}\r\n", 413),
        ("Transfer-Encoding: chunked\r\n", 501),
    ):
        with connect() as link:
            link.sendall(f"POST /v1/whoami HTTP/1.1\r\n{head}\r\n".encode())
            status, answer = read_answer(link)
        assert status == expect, (head[:30], answer)
    # What keeps coming is not taken: the connection ends soon.
    begun = time.monotonic()
    try:
        with connect() as link:
            head = f"POST /v1/whoami HTTP/1.1\r\nContent-Length: {100 << 20}\r\n\r\n"
            link.sendall(head.encode())
            for _ in range(100 * 16):
                link.sendall(b"x" * 65536)
    except OSError:
        pass
    assert time.monotonic() - begun < 20
    assert int(re.search(r"VmHWM:\s+(\d+)", open(f"/proc/{daemon.pid}/status").read())[1]) < 400000


def test_a_flood_shuts_nobody_out_here():
    """Handshakes that never end from several addresses: they go after 5 s, and the oldest first."""
    held = []
    for number in range(2, 7):
        for _ in range(20):
            link = socket.socket()
            link.settimeout(20)
            link.bind((os.environ["FLEET_PREFIX"] + f".{number}", 0))
            link.connect((ADDRESS, PORT))
            held.append(link)
    assert local() < 1, "the socket waits for a flood"
    # Someone who is quick gets in all the same.
    status, _ = post("whoami")
    assert status == 401
    begun = time.monotonic()
    for link in held:
        try:
            assert link.recv(1) == b""
        except ConnectionResetError:
            pass
        link.close()
    assert time.monotonic() - begun < 10, "handshakes that never end are kept"


def test_a_slow_request_ends():
    with connect() as link:
        link.sendall(b"POST /v1/whoami HTTP/1.1\r\n")
        status, answer = read_answer(link)
    assert status == 408, answer


# ── Reloading ─────────────────────────────────────────────────────────────────────────────────


def shown():
    with connect() as link:
        return dict(pair[0] for pair in link.getpeercert()["subject"])["commonName"]


def refused(*words):
    done = ops.run("reload")
    assert done.returncode in (2, 3), done
    assert all(word in done.stderr for word in words), (words, done.stderr)
    assert shown() == "next" and local() < 5


def test_a_reload_takes_a_new_certificate():
    assert shown() == "own"
    policy(certificate=file("next.pem"), key=file("next.key"))
    told = ops.json("diff", expect=None)
    fields = {field["field"] for field in told["settings"]}
    assert {"listen.certificate", "listen.key"} <= fields, told
    daemon.send_signal(1)
    wait_for(lambda: shown() == "next")


def test_what_is_wrong_with_a_certificate_changes_nothing():
    good = {"certificate": file("next.pem"), "key": file("next.key")}
    with open(file("broken.pem"), "w") as out:
        out.write("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    policy(**dict(good, certificate=file("broken.pem")))
    refused("broken.pem", "certificate")
    policy(**dict(good, certificate=file("none.pem")))
    refused("none.pem", "No such file")
    policy(**dict(good, key=file("own.key")))
    refused("own.key", "not that of the certificate")
    policy(**dict(good, client_ca=file("broken.pem")))
    refused("broken.pem", "client_ca")
    os.chmod(file("next.key"), 0o640)
    policy(**good)
    refused("next.key", "open to others", "chmod 400")
    os.chmod(file("next.key"), 0o400)
    with socket.create_server((ADDRESS, PORT + 1)):
        policy(**dict(good, address=f"{ADDRESS}:{PORT + 1}"))
        refused(f"{ADDRESS}:{PORT + 1}", "in use")
    assert "event=reload_refused" in log()
    policy(**good)
    ops.run("reload", expect=0)
    assert shown() == "next"


def test_no_listener_and_another_one():
    global PORT
    ops.write("lockstep.lua", ops.policy_text(settings=f'socket = "{PATH}",', more=PEOPLE))
    ops.run("reload", expect=0)
    try:
        connect()
        raise AssertionError("it listens still")
    except ConnectionRefusedError:
        pass
    assert ops.json("status")["listen"] is None
    PORT += 2
    policy()
    ops.run("reload", expect=0)
    assert shown() == "own"


def test_a_start_without_a_certificate_goes_on():
    daemon.terminate()
    assert daemon.wait(timeout=60) == 0
    policy(certificate=file("broken.pem"))
    start()
    assert local() < 5 and ops.json("status")["listen"] is None
    assert "event=not_listening" in log()
    policy()
    ops.run("reload", expect=0)
    assert shown() == "own"


def test_the_end():
    daemon.terminate()
    assert daemon.wait(timeout=60) == 0


main()
