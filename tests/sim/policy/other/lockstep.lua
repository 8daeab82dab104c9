-- What the common policy may come to be while its engine is at work, and be again. Of the assets
-- nothing changed: what is told of them is as true as before.
settings {
	change_deadline = "7s", secure_mode = false, gateway_in_flight = 2,
	retention = { versions = 4 },
}

include "platforms/*.lua"

rule "plain" { length = 20, lower = 1, upper = 1, digit = 2, symbol = 0 }

-- `svc` left it, and `beta`, `sourced` and `beside` left the inventory.
asset "alpha" {
	address = "192.0.2.1", platform = "linux", admin = "root", node = "/doors",
	accounts = { "app" }, lockout = { limit = 2 },
}
asset "gamma" {
	address = "192.0.2.3", platform = "linux", admin = "ops", become = "su",
	accounts = { "app", "db", "svc" }, node = "/others",
}
asset "targeted" {
	address = "192.0.2.4", platform = "linux", admin = "ops", become = "sudo",
	accounts = { "app" },
}
asset "keyed" {
	address = "192.0.2.20", platform = "linux", admin = "ops", become = "sudo",
	accounts = { "app" }, lockout = { limit = 2 },
}
asset "inner" {
	address = "192.0.2.5", platform = "linux", admin = "root", gateway = "alpha",
	accounts = { "app" },
}
-- There is a shorter way.
asset "innermost" {
	address = "192.0.2.7", platform = "linux", admin = "root", gateway = "alpha",
	accounts = { "app" },
}
asset "early" {
	address = "192.0.2.9", platform = "early2", admin = "root", accounts = { "app", "svc" },
}

task "login" { accounts = "*", nodes = { "/" }, secret = random "plain", verify = "su" }
task "hash" { accounts = "app", nodes = { "/" }, secret = random "plain", verify = "hash" }
task "ordered" {
	accounts = "*", nodes = { "/" }, secret = random "plain", verify = { "su", "login" },
}
task "entries" {
	accounts = { "root", "ops" }, nodes = { "/" }, secret = random "plain",
	verify = { "login", "su" },
}
task "keys" { accounts = { "app", "svc" }, nodes = { "/" }, secret = ssh_key {} }
task "careful" {
	accounts = "*", nodes = { "/" }, secret = random "plain", verify = "login",
	limits = { canary = 2, stop_after = 4, per_node = 2 },
}
task "entry_keys" { accounts = { "root", "ops" }, nodes = { "/" }, secret = ssh_key {} }
task "unproved" { accounts = "app", nodes = { "/" }, secret = random "plain", verify = false }

-- `often` is as before, `windowed` has another schedule, `once` left, and `heartbeat` rests.
task "often" {
	accounts = { "app", "svc" }, nodes = { "/" }, secret = random "plain", verify = "login",
	schedule = every "2m", jitter = "20s", catch_up = false,
}
task "windowed" {
	accounts = "*", nodes = { "/" }, secret = random "plain", verify = { "login", "su" },
	schedule = cron "*/2 * * * *", window = "08:04-08:10",
}
task "heartbeat" {
	kind = "verify", accounts = "*", nodes = { "/" }, schedule = every "7m", active = false,
	catch_up = "1h",
}
