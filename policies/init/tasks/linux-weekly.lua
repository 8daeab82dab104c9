-- What is rotated. Run it: lockstep run linux-weekly

task "linux-weekly" {
	accounts = { "app", "deploy", "postgres" },
	nodes = { "/prod" }, -- and all that is below
	secret = random "strong",
	verify = "login", -- log in with the new password before the old one is let go
	limits = { in_flight = 500 },
}
