settings { change_deadline = "5s", retention = { versions = 4 } }

rule "plain" { length = 16, lower = 1, upper = 1, digit = 1, symbol = 0 }

asset "alpha" {
	address = "192.0.2.1", platform = "linux", admin = "root",
	accounts = { "app", "svc" },
}
asset "beta" {
	address = "192.0.2.2", platform = "linux", admin = "root",
	accounts = { "app" },
}
asset "gamma" {
	address = "192.0.2.3", platform = "linux", admin = "root",
	accounts = { "app", "db", "svc" },
}

task "login" { accounts = "*", nodes = { "/" }, secret = random "plain", verify = "login" }
task "hash" { accounts = "*", nodes = { "/" }, secret = random "plain", verify = "hash" }
task "unproved" { accounts = "app", nodes = { "/" }, secret = random "plain", verify = false }
