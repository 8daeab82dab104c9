-- Linux, and what has its passwd and shadow files: accounts that are local to the asset.

-- A command line has no newline.
local function one_line(script)
	return (script:gsub("%s*\n%s*", " "))
end

-- Where sudo allows no sh, getent alone is elevated, and its entry handed on as stdin, unseen here:
--   ops ALL=(root) NOPASSWD: /usr/sbin/chpasswd, /usr/bin/getent shadow *
--
-- What runs on the asset is for any sh (dash, bash, busybox), and for an asset without awk. The
-- hash stays within that shell: in its variables and builtins, never in a command line. The files
-- come before getent: the accounts of a directory are not ours to change.
local FIND = one_line [[
	set -f;
	user=$1;
	entry() {
		while IFS= read -r line || [ -n "$line" ]; do
			case $line in "$user":*) printf '%s\n' "$line"; return 0;; esac;
		done;
		return 1;
	};
	from=${2-file};
	if [ $from = file ] && [ -e /etc/shadow ] && ! [ -r /etc/shadow ]; then
		echo 'cannot read /etc/shadow' >&2; exit 1;
	fi;
	place=local;
	passwd=$(entry </etc/passwd) || {
		place=elsewhere;
		passwd=$(getent passwd "$user" 2>/dev/null | entry) || place=absent;
	};
	shadow=;
	if [ $from = stdin ]; then shadow=$(entry);
	elif [ -e /etc/shadow ]; then shadow=$(entry </etc/shadow); fi;
	IFS=:;
	set -- $passwd;
	hash=$2; shell=${7:-/bin/sh};
	changed=; longest=; inactive=; expires=;
	if [ "$hash" = x ]; then
		set -- $shadow;
		hash=$2; changed=$3; longest=$5; inactive=$7; expires=$8;
		[ -n "$shadow" ] || hash=none;
	fi;
	case $hash in
		'') state=empty;;
		'!'* | '*'*) state=locked;;
		'$'* | _???????????????????) state=set;;
		?????????????) state=set;;
		*) state=unusable;;
	esac;
]]

local LOOK = FIND .. one_line [[
	runs=no;
	if [ -f "$shell" ] && [ -x "$shell" ]; then runs=yes; fi;
	su=no;
	if [ -u "$(command -v su)" ]; then su=yes; fi;
	if [ -r /etc/pam.d/su ]; then
		while IFS= read -r line; do
			case $line in
			'#'* | *trust*) ;;
			*pam_wheel*) su=few;;
			esac;
		done </etc/pam.d/su;
	fi;
	today=$(($(date +%s) / 86400));
	printf '%s\n' "place=$place" "state=$state" "changed=$changed" "longest=$longest"
		"inactive=$inactive" "expires=$expires" "today=$today" "shell=$shell" "runs=$runs"
		"su=$su"
]]

local HASH = FIND .. one_line [[
	if [ "$place $state" = 'local set' ]; then printf '%s\n' "$hash"; fi
]]

-- A name with a colon would be another account's to chpasswd.
local function is_local_name(name)
	return #name <= 32 and name:match("^[%a_][%w._-]*%$?$") ~= nil
end

local function refuse(result, what)
	local said = result.stderr:sub(1, 800)
	refused(("%s (status %d): %s"):format(what, result.status, said))
end

-- The entry in /etc/shadow as a part of stdin; "" where there is none.
local function shadow_entry(job)
	local result = job.admin:exec({ "getent", "shadow", job.account }, { opaque = true })
	if result.status == 2 then
		return ""
	elseif result.status ~= 0 then
		refuse(result, "getent shadow, which sudoers must allow, was not run")
	end
	return result.stdout
end

local function run(job, script, options)
	local words = { "sh", "-c", script, "sh", job.account }
	if job.targeted then
		words[#words + 1] = "stdin"
		options.stdin = { shadow_entry(job), "\n" }
		options.elevate = false
	end
	return job.admin:exec(words, options)
end

local function look(job)
	local result = run(job, LOOK, {})
	if result.status ~= 0 then
		refuse(result, "the account cannot be looked at")
	end
	local found = {}
	for key, value in result.stdout:gmatch("(%l+)=([^\n]*)\n") do
		found[key] = value
	end
	for _, key in ipairs { "changed", "longest", "inactive", "expires", "today" } do
		found[key] = tonumber(found[key])
	end
	if not (found.runs and found.today) then
		error("the account cannot be looked at: the asset says something else")
	end
	return found
end

local function check_place(found)
	if found.place == "absent" then
		skip("absent", "there is no such account")
	elseif found.place ~= "local" then
		skip("no_proof", "the account is not in /etc/passwd: it comes from a directory "
			.. "(LDAP, SSSD …), and a local password would only hide that one")
	end
end

-- A key opens an account without a password.
local function check_lock(job, found)
	if job.key then
		return
	elseif found.state == "locked" then
		skip("locked", "the account's password is locked, or it never had one")
	elseif found.state == "unusable" then
		skip("locked", "the account has no password: "
			.. "neither /etc/passwd nor /etc/shadow has a hash for it")
	end
end

-- As pam_unix and login count, in days since 1970; -1 and nothing both mean never. A password that
-- is only past its longest age is what a change of it mends.
local function check_age(job, found)
	local function set(days)
		return days and days ~= -1
	end
	if set(found.expires) and found.today >= found.expires then
		skip("expired", "the account has expired")
	end
	if not found.changed then
		return
	end
	if set(found.longest) and set(found.inactive)
		and found.today - found.changed > found.longest + found.inactive
	then
		skip("expired", "the account is inactive: "
			.. "its password is past its longest age and the days of grace")
	end
	if found.changed == 0 and job.proof == "login" then
		skip("expired", "the password must be changed at the next login")
	end
	if job.key and job.proof == "login" and set(found.longest)
		and found.today - found.changed > found.longest
	then
		skip("expired", "its password is past its longest age: "
			.. "a login by key would have to change it first")
	end
end

local function check_shell(found)
	if found.shell:match("/nologin$") or found.shell:match("/false$") then
		skip("no_proof", "the account cannot log in: its shell is " .. found.shell)
	elseif found.runs ~= "yes" then
		skip("no_proof", "the account's shell cannot be run: " .. found.shell)
	end
end

-- The one who asks is no member of any group that we could know of.
local function check_su(found)
	if found.su == "few" then
		skip("no_proof", "su is for the members of a group alone "
			.. "(pam_wheel in /etc/pam.d/su)")
	elseif found.su ~= "yes" then
		skip("no_proof", "the asset has no su, or one without the set-user-ID bit")
	end
end

platform "linux" {
	extends = "unix", -- what it asks of a login, and keys
	password = { longest = 511, refuse = "\0\n" }, -- PAM takes 511 bytes
	accounts = "posix",

	check = function(job)
		if not is_local_name(job.account) then
			skip("absent", "no local account can have this name")
		end
		local found = look(job)
		check_place(found)
		check_lock(job, found)
		check_age(job, found)
		if job.proof == "login" or job.proof == "su" then
			check_shell(found)
		end
		if job.proof == "su" then
			check_su(found)
		end
	end,

	change_password = function(job)
		if not is_local_name(job.account) then
			refused("no local account can have this name")
		end
		local line = { job.account, ":", job.new, "\n" }
		local result = job.admin:exec({ "chpasswd" }, { stdin = line })
		if result.status ~= 0 then
			refuse(result, "chpasswd did not take it")
		end
	end,

	read_hash = function(job)
		local result = run(job, HASH, { opaque = true })
		if result.status ~= 0 then
			refuse(result, "the hash cannot be read")
		end
		return result.stdout
	end,
}
