settings {
	change_deadline = "5s", secure_mode = false, gateway_in_flight = 1,
	retention = { versions = 4 },
}

include "platforms/*.lua"

rule "plain" { length = 16, lower = 1, upper = 1, digit = 1, symbol = 0 }

-- Entered as root.
asset "alpha" {
	address = "192.0.2.1", platform = "linux", admin = "root",
	accounts = { "app", "svc" }, lockout = { limit = 2 },
}
-- By an account that becomes root by sudo with its own password.
asset "beta" {
	address = "192.0.2.2", platform = "linux", admin = "ops", become = "sudo",
	accounts = { "app" }, lockout = { limit = 6 },
}
-- By one that becomes root by su; `db` and `root` may not log in.
asset "gamma" {
	address = "192.0.2.3", platform = "linux", admin = "ops", become = "su",
	accounts = { "app", "db", "svc" },
}
-- sudo for single commands only.
asset "targeted" {
	address = "192.0.2.4", platform = "linux", admin = "ops", become = "sudo",
	accounts = { "app" },
}
-- Entered by a key; sudo asks for no password until someone has it ask.
asset "keyed" {
	address = "192.0.2.20", platform = "linux", admin = "ops", become = "sudo",
	accounts = { "app" }, lockout = { limit = 2 },
}
-- Behind another, and one behind that.
asset "inner" {
	address = "192.0.2.5", platform = "linux", admin = "root", gateway = "alpha",
	accounts = { "app" },
}
asset "beside" {
	address = "192.0.2.6", platform = "linux", admin = "root", gateway = "alpha",
	lockout = { limit = 2 },
	accounts = { "app" },
}
asset "innermost" {
	address = "192.0.2.7", platform = "linux", admin = "root", gateway = "inner",
	accounts = { "app" },
}
-- It counts refused logins by where they came from, whosever they are.
asset "sourced" {
	address = "192.0.2.8", platform = "linux", admin = "root",
	accounts = { "app", "svc" }, lockout = { limit = 4, by = "source" },
}
asset "early" {
	address = "192.0.2.9", platform = "early", admin = "root", accounts = { "app", "svc" },
}

task "login" { accounts = "*", nodes = { "/" }, secret = random "plain", verify = "login" }
task "hash" { accounts = "*", nodes = { "/" }, secret = random "plain", verify = "hash" }
task "ordered" {
	accounts = "*", nodes = { "/" }, secret = random "plain",
	verify = { "login", "su", "hash" },
}
task "entries" {
	accounts = { "root", "ops" }, nodes = { "/" }, secret = random "plain",
	verify = { "login", "su" },
}
task "keys" { accounts = { "app", "svc" }, nodes = { "/" }, secret = ssh_key {} }
-- Little at once, and not much when it goes wrong.
task "careful" {
	accounts = "*", nodes = { "/" }, secret = random "plain", verify = "login",
	limits = { canary = 1, stop_after = 2, per_second = 3, per_node = 1, per_gateway = 1 },
}
task "entry_keys" { accounts = { "root", "ops" }, nodes = { "/" }, secret = ssh_key {} }
task "unproved" { accounts = "app", nodes = { "/" }, secret = random "plain", verify = false }

-- Begun by themselves, where a history follows schedules; it begins at 08:00.
task "often" {
	accounts = { "app", "svc" }, nodes = { "/" }, secret = random "plain", verify = "login",
	schedule = every "2m", jitter = "20s", catch_up = false,
}
task "windowed" {
	accounts = "*", nodes = { "/" }, secret = random "plain", verify = { "login", "su" },
	schedule = cron "* * * * *", window = "08:02-08:06",
	limits = { per_second = 1, retries = 6 },
}
task "once" {
	accounts = { "root", "ops" }, nodes = { "/" }, secret = random "plain",
	verify = { "login", "su" }, schedule = at "2027-01-15 08:07",
}
task "heartbeat" {
	kind = "verify", accounts = "*", nodes = { "/" }, schedule = every "7m", catch_up = "1h",
}
