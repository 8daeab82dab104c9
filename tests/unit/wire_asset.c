#include "wire_asset.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

/* $1 the directory, then the five ports. */
static const char script[] =
    "set -e\n"
    "d=$1; export PATH=/usr/sbin:/usr/bin:/sbin:/bin\n"
    "mount --make-rprivate /\n"
    "hash=$(openssl passwd -6 " ASSET_PASSWORD ")\n"
    "cp -a /etc $d/etc\n"
    "rhash=$(openssl passwd -6 " ROOT_PASSWORD ")\n"
    "sed -i \"s|^root:[^:]*:|root:$rhash:|\" $d/etc/shadow\n"
    "n=47000\n"
    "for u in admin free plain old none term ptys other some brief few noisy mirror; do\n"
    "  sed -i \"/^$u:/d\" $d/etc/passwd $d/etc/shadow $d/etc/group; n=$((n + 1))\n"
    "  sh=/bin/sh; day=19000; case $u in old) day=0;; none) sh=/usr/sbin/nologin;;\n"
    "  noisy | mirror) sh=$d/$u;; esac\n"
    "  echo \"$u:x:$n:$n::/:$sh\" >>$d/etc/passwd; echo \"$u:x:$n:\" >>$d/etc/group\n"
    "  echo \"$u:$hash:$day:0:99999:7:::\" >>$d/etc/shadow\n"
    "done\n"
    "printf '#!/bin/sh\\nprintf \"Password: \"; exec sh \"$@\"\\n' >$d/noisy\n"
    "printf '#!/bin/sh\\nprintf \"you say %%s\\\\n\" \"$2\"\\n' >$d/mirror\n"
    "chmod 755 $d/noisy $d/mirror\n"
    "cat >$d/etc/sudoers <<C\n"
    "Defaults logfile=$d/sudo.log, lecture=always\n"
    "Defaults:term requiretty\nDefaults:ptys use_pty\nDefaults:other rootpw\n"
    "Defaults:some use_pty\nDefaults:brief timestamp_timeout=0\n"
    "admin,term,ptys,other ALL=(ALL:ALL) ALL\nfree ALL=(ALL:ALL) NOPASSWD: ALL\n"
    "some,brief ALL=(root) /usr/bin/id, /usr/bin/cat\n"
    "few ALL=(root) NOPASSWD: /usr/bin/id, /usr/bin/cat\n"
    "C\n"
    "printf '%s\\n' 'permit admin as root' 'permit nopass free as root' >$d/etc/doas.conf\n"
    "chmod 440 $d/etc/sudoers; chmod 600 $d/etc/doas.conf\n"
    "mount --bind $d/etc /etc\n"
    "mount -t tmpfs -o mode=755 run /run; mkdir /run/sshd\n"
    "ssh-keygen -q -t ed25519 -N '' -f $d/host\n"
    "ssh-keygen -q -t ecdsa -N '' -f $d/host_ecdsa; ssh-keygen -q -t ed25519 -N '' -f $d/key\n"
    "ssh-keygen -q -t ecdsa -N '' -f $d/key_ecdsa\n"
    "cat $d/key.pub $d/key_ecdsa.pub >$d/authorized; chmod 711 $d; chmod 644 $d/authorized\n"
    "cat >$d/config <<C\n"
    "ListenAddress 127.0.0.1:$2\nListenAddress 127.0.0.1:$3\n"
    "ListenAddress 127.0.0.1:$4\nListenAddress 127.0.0.1:$5\n"
    "HostKey $d/host\nHostKey $d/host_ecdsa\nPidFile none\nUsePAM yes\nStrictModes "
    "no\nPermitRootLogin yes\n"
    "AuthorizedKeysFile $d/authorized\nMaxStartups 100\nUseDNS no\n"
    "KbdInteractiveAuthentication yes\nPasswordAuthentication yes\n"
    "C\n"
    "(grep -v ListenAddress $d/config; echo \"ListenAddress 127.0.0.1:$6\";\n"
    " echo 'KexAlgorithms diffie-hellman-group-exchange-sha256,diffie-hellman-group14-sha256') "
    ">$d/config_old\n"
    "cat >>$d/config <<C\n"
    "Match LocalPort $3\n  PasswordAuthentication no\n  MaxAuthTries 1\n"
    "Match LocalPort $4\n  PasswordAuthentication no\n  KbdInteractiveAuthentication no\n"
    "Match User none\n  AllowTcpForwarding no\n"
    "Match LocalPort $5\n  AuthenticationMethods password,keyboard-interactive\n"
    "C\n"
    "/usr/sbin/sshd -D -e -f $d/config_old 2>$d/log_old &\n"
    "exec /usr/sbin/sshd -D -e -f $d/config 2>$d/log\n";

/* Below those that the kernel gives to others meanwhile; each process of the tests looks elsewhere.
 */
static uint16_t port_free(void)
{
	static unsigned tried;
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	bool bound = false;

	while (!bound) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		at.sin_port = htons((uint16_t)(10000 + ((unsigned)getpid() * 8 + tried++) % 20000));
		bound = bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0;
		close(fd);
	}
	return ntohs(at.sin_port);
}

static int local_connect(uint16_t port)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	    .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
		return fd;
	close(fd);
	return -1;
}

static bool port_answers(uint16_t port)
{
	int fd = local_connect(port);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static char *file_text(const char *dir, const char *name)
{
	char *path = xasprintf("%s/%s", dir, name);
	char *text = xcalloc(1, 8192);
	FILE *file = fopen(path, "r");

	if (file == NULL || fread(text, 1, 8191, file) == 0)
		abort();
	fclose(file);
	free(path);
	return text;
}

/* A child that does not outlive a test which dies. */
static pid_t fork_bound(void)
{
	pid_t pid = fork();

	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

static void asset_run(const struct asset *asset)
{
	char ports[5][8];

	snprintf(ports[0], 8, "%u", asset->port);
	snprintf(ports[1], 8, "%u", asset->prompt_port);
	snprintf(ports[2], 8, "%u", asset->key_port);
	snprintf(ports[3], 8, "%u", asset->two_port);
	snprintf(ports[4], 8, "%u", asset->old_port);
	execlp("unshare", "unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c",
	    script, "sh", asset->dir, ports[0], ports[1], ports[2], ports[3], ports[4],
	    (char *)NULL);
	_exit(127);
}

bool asset_start(struct asset *asset)
{
	*asset = (struct asset){.dir = "/tmp/asset-XXXXXX"};
	if (geteuid() != 0 || access("/usr/sbin/sshd", X_OK) != 0 || mkdtemp(asset->dir) == NULL)
		return false;
	asset->port = port_free();
	asset->prompt_port = port_free();
	asset->key_port = port_free();
	asset->two_port = port_free();
	asset->old_port = port_free();
	asset->pid = fork_bound();
	if (asset->pid == 0)
		asset_run(asset);
	for (int i = 0; i < 200; i++) {
		if (port_answers(asset->two_port) && port_answers(asset->old_port)) {
			asset->key = file_text(asset->dir, "key");
			asset->key_ecdsa = file_text(asset->dir, "key_ecdsa");
			return true;
		}
		if (waitpid(asset->pid, NULL, WNOHANG) == asset->pid)
			break;
		usleep(50 * 1000);
	}
	return false;
}

void asset_stop(struct asset *asset)
{
	char *command = xasprintf("rm -rf %s", asset->dir);

	if (asset->pid > 0) {
		kill(asset->pid, SIGKILL);
		waitpid(asset->pid, NULL, 0);
	}
	if (system(command) != 0)
		fprintf(stderr, "cannot remove %s\n", asset->dir);
	free(command);
	free(asset->key);
	free(asset->key_ecdsa);
}

/* ── Servers that misbehave ──────────────────────────────────────────────────────────────── */

static const char banner[] = "SSH-2.0-Test\r\n";

static bool put(int fd, const void *bytes, size_t len)
{
	return send(fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static size_t put_list(uint8_t *at, const char *names)
{
	uint32_t len = htonl((uint32_t)strlen(names));

	memcpy(at, &len, 4);
	memcpy(at + 4, names, strlen(names));
	return 4 + strlen(names);
}

static void rogue_odd(int fd)
{
	static const char *const lists[10] = {"ecdh-sha2-nistp256", "ssh-ed25519", "odd-cipher",
	    "odd-cipher", "hmac-sha2-256", "hmac-sha2-256", "none", "none", "", ""};
	uint8_t packet[1024] = {0};
	size_t len = 6 + 16;
	uint32_t total;

	packet[5] = 20;
	for (int i = 0; i < 10; i++)
		len += put_list(packet + len, lists[i]);
	len += 5;
	packet[4] = (uint8_t)(16 - len % 8);
	len += packet[4];
	total = htonl((uint32_t)(len - 4));
	memcpy(packet, &total, 4);
	(void)put(fd, banner, strlen(banner));
	(void)put(fd, packet, len);
	pause();
}

static void rogue_flood(int fd, const void *first, const void *bytes, size_t len)
{
	(void)put(fd, first, strlen(first));
	while (put(fd, bytes, len)) {
	}
}

/* Length 28, padding 10, SSH_MSG_DISCONNECT, too many connections, "busy", no language. */
static const uint8_t busy[32] = {
    0, 0, 0, 28, 10, 1, 0, 0, 0, 12, 0, 0, 0, 4, 'b', 'u', 's', 'y', 0, 0, 0, 0};

/* More than the banner has come. */
static void rogue_leave(int fd, bool says_so)
{
	char bytes[4096];
	ssize_t got;
	size_t all = 0;

	(void)put(fd, banner, strlen(banner));
	while (all < 512 && (got = recv(fd, bytes, sizeof(bytes), 0)) > 0)
		all += (size_t)got;
	if (says_so)
		(void)put(fd, busy, sizeof(busy));
}

static void rogue_serve(int fd, enum rogue kind)
{
	/* Length 28, padding 4, SSH_MSG_IGNORE with 18 bytes. */
	uint8_t ignore[32] = {0, 0, 0, 28, 4, 2, 0, 0, 0, 18};
	uint8_t noise[256];

	memset(noise, 0x5a, sizeof(noise));
	switch (kind) {
	case ROGUE_SILENT: pause(); break;
	case ROGUE_BANNER: rogue_flood(fd, "", "welcome, welcome\r\n", 18); break;
	case ROGUE_IGNORE: rogue_flood(fd, banner, ignore, sizeof(ignore)); break;
	case ROGUE_GARBAGE: rogue_flood(fd, banner, noise, sizeof(noise)); break;
	case ROGUE_HTTP: (void)put(fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28); break;
	case ROGUE_CLOSE: break;
	case ROGUE_LEAVE: rogue_leave(fd, false); break;
	case ROGUE_PART: rogue_leave(fd, true); break;
	case ROGUE_ODD: rogue_odd(fd); break;
	}
}

static int local_listen(uint16_t *port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(fd, (struct sockaddr *)&at, len) != 0 || listen(fd, 8) != 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &len) != 0)
		abort();
	*port = ntohs(at.sin_port);
	return fd;
}

void rogue_start(struct rogue_server *server, enum rogue kind)
{
	int fd = local_listen(&server->port);

	server->pid = fork_bound();
	if (server->pid == 0) {
		for (;;) {
			int peer = accept(fd, NULL, NULL);

			rogue_serve(peer, kind);
			/* What the client says is read, so that the close is no reset. */
			shutdown(peer, SHUT_WR);
			usleep(50 * 1000);
			close(peer);
		}
	}
	close(fd);
}

static bool relay_slowly(int from, int to)
{
	char bytes[16];
	ssize_t got = recv(from, bytes, sizeof(bytes), 0);

	/* So that the other side most likely sees each piece alone. */
	usleep(300);
	return got > 0 && put(to, bytes, (size_t)got);
}

static bool relay_whole(int from, int to)
{
	char bytes[4096];
	ssize_t got = recv(from, bytes, sizeof(bytes), 0);

	return got > 0 && put(to, bytes, (size_t)got);
}

static void relay(int client, int server)
{
	struct pollfd fds[2] = {{client, POLLIN, 0}, {server, POLLIN, 0}};
	int one = 1;

	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	while (poll(fds, 2, -1) > 0) {
		if (fds[0].revents != 0 && !relay_whole(client, server))
			return;
		if (fds[1].revents != 0 && !relay_slowly(server, client))
			return;
	}
}

void rogue_relay(struct rogue_server *server, uint16_t to)
{
	int fd = local_listen(&server->port);

	server->pid = fork_bound();
	if (server->pid == 0) {
		for (;;) {
			int client = accept(fd, NULL, NULL);
			int back = local_connect(to);

			relay(client, back);
			close(client);
			close(back);
		}
	}
	close(fd);
}

void rogue_stop(struct rogue_server *server)
{
	kill(server->pid, SIGKILL);
	waitpid(server->pid, NULL, 0);
}
