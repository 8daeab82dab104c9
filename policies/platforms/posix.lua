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
		local result = job.admin:dialogue({ "passwd", job.account }, {
			{ expect = NEW, send = job.new },
			{ expect = AGAIN, send = job.new },
		})
		if not changed(result) then
			local said = result.stdout:sub(-800)
			refused(("passwd did not take it (status %d): %s"):format(
				result.status, said))
		end
	end,
}
