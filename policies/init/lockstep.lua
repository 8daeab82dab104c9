-- The entry of this policy: settings, and the files to include.
-- `lockstep check` reads it all and changes nothing.

settings {
	secure_mode = true, -- leave admins, root and administrator alone
	in_flight = 2000, -- accounts at once
	change_deadline = "30s", -- after this no change can still be under way
	host_keys = "first_use", -- or "known": only assets whose key is known already
}

inventory "inventory/*.csv"
include "rules/*.lua"
include "tasks/*.lua"

-- What an asset does not say itself, it has from its nodes.
node "/prod" { platform = "linux", admin = "ops", become = "sudo" }
