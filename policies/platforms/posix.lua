-- Systems that have passwd and nothing better: it asks, and is answered.

-- How the questions of passwd end, on Linux with PAM and without, BusyBox, the BSDs, Solaris, AIX
-- and HP-UX.
local NEW = { "New password:", "New Password:", "New UNIX password:", "Enter new UNIX password:",
	"Enter new password:", "Enter New Password:", "Enter the new password:" }
local AGAIN = { "Retype password:", "Retype new password:", "Retype New Password:",
	"Retype new UNIX password:", "Re-enter password:", "Re-enter new password:",
	"Re-enter new Password:", "Re-enter New Password:", "Confirm password:", "Verify password:",
	"Enter the new password again:", "Repeat password:" }

-- passwd does not always end in an error when it changed nothing.
local UNCHANGED = { "unchanged", "not changed", "do not match", "don't match", "mismatch" }

-- A passwd that insists on a terminal is given one by script(1): that of util-linux, or a BSD's.
local function on_terminal(job)
	local command = "passwd " .. job.account
	local test = { "script", "-q", "-e", "-c", "true", "/dev/null" }

	if job.admin:exec(test).status == 0 then
		return { "script", "-q", "-e", "-c", command, "/dev/null" }
	elseif job.admin:exec({ "script", "-q", "/dev/null", "true" }).status == 0 then
		return { "script", "-q", "/dev/null", "passwd", job.account }
	end
end

local function ask(job, words)
	return job.admin:dialogue(words, {
		{ expect = NEW, send = job.new },
		{ expect = AGAIN, send = job.new },
	})
end

local function changed(result)
	local said = result.stdout:sub(-1024):lower()

	if result.status ~= 0 or result.unanswered or result.answered < 2 then
		return false
	end
	for _, words in ipairs(UNCHANGED) do
		if said:find(words, 1, true) then
			return false
		end
	end
	return true
end

platform "posix" {
	extends = "linux",
	password = { longest = 127 }, -- as getpass(3) of most takes it

	change_password = function(job)
		if #job.account > 32 or not job.account:match("^[%a_][%w._-]*%$?$") then
			refused("no local account can have this name")
		end
		local result = ask(job, { "passwd", job.account })
		-- It asked for nothing: then nothing was sent.
		if result.status ~= 0 and result.answered == 0 and not result.unanswered then
			local words = not job.targeted and on_terminal(job)
			result = words and ask(job, words) or result
		end
		if not changed(result) then
			local said = result.stdout:sub(-800)
			refused(("passwd did not take it (status %d): %s"):format(
				result.status, said))
		end
	end,
}
