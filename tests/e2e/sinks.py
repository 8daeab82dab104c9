"""Servers that take what Lockstep tells to others: mail by SMTP, and webhooks. Each can misbehave.

They speak only as much as a client of these protocols needs, and keep what they took.
"""

import base64
import email
import email.policy
import hashlib
import hmac
import json
import os
import socket
import ssl
import subprocess
import threading
import time


def certificate(place, name="127.0.0.1"):
    """Makes a key and a certificate for an address: paths."""
    key, cert = os.path.join(place, "key.pem"), os.path.join(place, "cert.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        + ["-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=sink"]
        + ["-addext", f"subjectAltName=IP:{name}"],
        check=True,
        capture_output=True,
    )
    return key, cert


def tls_context(key, cert):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


class Sink:
    """Listens at a port of 127.0.0.1, a thread a connection; serve() is the subclass's."""

    def __init__(self, port=0):
        self.server = socket.create_server(("127.0.0.1", port))
        self.port = self.server.getsockname()[1]
        self.connections = 0
        self.lock = threading.Lock()
        self.open = True
        threading.Thread(target=self.take, daemon=True).start()

    def take(self):
        while True:
            try:
                link, _ = self.server.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
            threading.Thread(target=self.guard, args=(link,), daemon=True).start()

    def guard(self, link):
        try:
            link.settimeout(60)
            self.serve(link)
        except (OSError, EOFError):
            pass
        finally:
            link.close()

    def close(self):
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()


class Smtp(Sink):
    """
    `tls` is a context. `mode`: "starttls" offers it, "plain" does not, "smtps" begins with it.
    `login` (user, password) is asked for. `fault` is what it does wrong: "hang" says nothing,
    "greeting" refuses everyone, "drop" cuts the link in the middle of a message, "recipient"
    refuses recipients for good, "data" refuses each message, and may take it later, "slow" takes
    its time with the last answer, and with QUIT.
    """

    def __init__(self, mode="starttls", tls=None, login=None, fault=None, port=0):
        self.mode, self.tls, self.login, self.fault = mode, tls, login, fault
        self.mails = []
        self.logins = []
        super().__init__(port)

    def serve(self, link):
        if self.mode == "smtps":
            link = self.tls.wrap_socket(link, server_side=True)
        if self.fault == "hang":
            link.recv(1)
            threading.Event().wait(30)
            return
        Talk(self, link).run()

    def messages(self):
        with self.lock:
            return list(self.mails)


class Mail:
    def __init__(self, sender, recipients, raw, secure):
        self.sender, self.recipients, self.raw, self.secure = sender, recipients, raw, secure
        self.message = email.message_from_bytes(raw, policy=email.policy.default)

    def part(self, kind):
        return self.message.get_body((kind,)).get_content()


class Talk:
    """One conversation."""

    def __init__(self, sink, link):
        self.sink, self.link, self.file = sink, link, link.makefile("rb")
        self.secure, self.known = sink.mode == "smtps", False
        self.sender, self.recipients = None, []

    def say(self, *lines):
        self.link.sendall("".join(f"{line}\r\n" for line in lines).encode())

    def take_time(self):
        if self.sink.fault == "slow":
            time.sleep(4)

    def read(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError
        return line[:-2].decode()

    def run(self):
        if self.sink.fault == "greeting":
            self.say("554 sink.example nobody is let in")
            return
        self.say("220 sink.example ESMTP")
        while True:
            line = self.read()
            word = line.split()[0].upper() if line.split() else ""
            if word == "QUIT":
                self.take_time()
                self.say("221 bye")
                return
            handler = getattr(self, "on_" + word.lower(), None)
            if handler is None:
                self.say("502 not here")
            else:
                handler(line)

    def on_ehlo(self, _):
        offers = ["sink.example", "8BITMIME"]
        if self.sink.mode == "starttls" and not self.secure:
            offers.append("STARTTLS")
        if self.sink.login:
            offers.append("AUTH PLAIN LOGIN")
        self.say(*[f"250-{o}" for o in offers[:-1]], f"250 {offers[-1]}")

    def on_starttls(self, _):
        self.say("220 go on")
        self.link = self.sink.tls.wrap_socket(self.link, server_side=True)
        self.file = self.link.makefile("rb")
        self.secure = True

    def on_auth(self, line):
        words = line.split()
        if words[1].upper() == "PLAIN":
            if len(words) < 3:
                self.say("334 ")
                words.append(self.read())
            _, user, password = base64.b64decode(words[2]).decode().split("\0")
        else:
            self.say("334 VXNlcm5hbWU6")
            user = base64.b64decode(self.read()).decode()
            self.say("334 UGFzc3dvcmQ6")
            password = base64.b64decode(self.read()).decode()
        with self.sink.lock:
            self.sink.logins.append((user, password, self.secure))
        self.known = (user, password) == self.sink.login
        # It says again what it was told, as some do.
        self.say("235 ok" if self.known else f"535 5.7.8 {password} is wrong")

    def on_mail(self, line):
        if self.sink.login and not self.known:
            self.say("530 5.7.0 log in first")
            return
        self.sender = line.split(":", 1)[1].split()[0]
        self.say("250 ok")

    def on_rcpt(self, line):
        if self.sink.fault == "recipient":
            self.say("550 5.1.1 nobody of that name")
            return
        self.recipients.append(line.split(":", 1)[1].split()[0])
        self.say("250 ok")

    def on_data(self, _):
        self.say("354 go on")
        if self.sink.fault == "drop":
            self.file.readline()
            self.link.close()
            raise EOFError
        lines = []
        while True:
            line = self.file.readline()
            if line in (b".\r\n", b""):
                break
            assert line.endswith(b"\r\n") and len(line) <= 1000, line
            lines.append(line[1:] if line.startswith(b".") else line)
        self.take_time()
        if self.sink.fault == "data":
            self.say("451 4.3.0 not now")
            return
        mail = Mail(self.sender, self.recipients, b"".join(lines), self.secure)
        with self.sink.lock:
            self.sink.mails.append(mail)
        self.sender, self.recipients = None, []
        self.say("250 taken")


class Hook(Sink):
    """
    A receiver of webhooks. `status` is what it answers; `fault`: "hang" says nothing, "drop" cuts
    the link, "flood" answers without end.
    """

    def __init__(self, tls=None, status=200, fault=None, port=0):
        self.tls, self.status, self.fault = tls, status, fault
        self.posts = []
        super().__init__(port)

    def serve(self, link):
        if self.tls:
            link = self.tls.wrap_socket(link, server_side=True)
        head, body = self.read(link)
        if self.fault == "hang":
            threading.Event().wait(30)
        if self.fault in ("hang", "drop"):
            return
        with self.lock:
            self.posts.append(Post(head, body, self.status))
        length = "" if self.fault == "flood" else "Content-Length: 2\r\n"
        where = f"Location: http://127.0.0.1:{self.port}/else\r\n" if self.status == 302 else ""
        link.sendall(f"HTTP/1.1 {self.status} Word\r\n{where}{length}\r\nok".encode())
        while self.fault == "flood":
            link.sendall(b"x" * 65536)

    @staticmethod
    def read(link):
        data = b""
        while b"\r\n\r\n" not in data:
            part = link.recv(65536)
            if not part:
                raise EOFError
            data += part
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        fields = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        while len(body) < int(fields["content-length"]):
            body += link.recv(65536)
        return (first, fields), body

    def taken(self):
        """What it said yes to."""
        with self.lock:
            return [p for p in self.posts if 200 <= p.status < 300]


class Post:
    def __init__(self, head, body, status):
        (self.first, self.fields), self.body, self.status = head, body, status
        self.json = json.loads(body)

    def signed_by(self, secret):
        """As docs/notifications.md tells receivers to look: whether it is, and how old it is."""
        parts = dict(p.split("=") for p in self.fields["lockstep-signature"].split(","))
        whole = parts["t"].encode() + b"." + self.body
        mac = hmac.new(secret.encode(), whole, hashlib.sha256).hexdigest()
        return hmac.compare_digest(mac, parts["v1"]) and time.time() - int(parts["t"]) < 300
