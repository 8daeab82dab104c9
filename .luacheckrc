-- What luacheck knows of the policy language: the words that a policy's files may use.
std = "lua54"
max_line_length = false -- the lint `format` looks at that

local words = {
	"asset", "at", "cron", "every", "include", "inventory", "node", "platform", "quote", "random",
	"refused", "rule", "secret", "settings", "skip", "specified", "ssh_key", "task",
}

files["policies"] = { read_globals = words }
files["tests"] = { read_globals = words }

-- Stubs for editors define what C offers.
files["lua/meta"] = { ignore = { "111", "112", "113", "121", "122", "131", "212", "241" } }
