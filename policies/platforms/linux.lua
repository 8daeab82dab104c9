-- Linux, and what has its passwd and shadow files: accounts that are local to the asset.

-- A command line has no newline: lines are joined, without the tabs that indent them.
local function one_line(script)
	local bytes, fresh = {}, false
	for at = 1, #script do
		local byte = script:sub(at, at)
		if byte == "\n" then
			fresh = true
		elseif not (fresh and byte == "\t") then
			bytes[#bytes + 1] = fresh and " " .. byte or byte
			fresh = false
		end
	end
	return table.concat(bytes)
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
	elif [ "$hash" = '*' ] && [ -r /etc/master.passwd ]; then
		set -- $(entry </etc/master.passwd);
		hash=$2;
		[ "${7:-0}" = 0 ] || expires=$(($7 / 86400));
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

-- What a task asks for beside the secret: the account made where it is absent, and made to be so.
-- Says what is wrong, or nothing.
local ACCOUNT = one_line [[
	set -f;
	user=$1; create=$2; uid=$3; group=$4; groups=$5; shell=$6; home=$7;
	no() { printf '%s\n' "$*"; exit 0; };
	entry() {
		while IFS= read -r line || [ -n "$line" ]; do
			case $line in "$1":*) printf '%s\n' "$line"; return 0;; esac;
		done;
		return 1;
	};
	have() { command -v "$1" >/dev/null 2>&1; };
	group_of() { entry "$1" </etc/group || getent group "$1" 2>/dev/null; };
	for name in $group $groups; do
		[ -n "$(group_of "$name")" ] || no "there is no group $name";
	done;
	[ -z "$shell" ] || { [ -f "$shell" ] && [ -x "$shell" ]; } ||
		no "there is no shell $shell that could be run";
	add_groups() {
		for name in $groups; do
			case " $(id -Gn "$user") " in *" $name "*) continue;; esac;
			if have usermod; then usermod -a -G "$name" "$user";
			else addgroup "$user" "$name"; fi ||
				no "the account cannot be put into the group $name";
		done;
	};

	if ! account=$(entry "$user" </etc/passwd); then
		[ "$create" = true ] || no 'there is no such account';
		[ -z "$(getent passwd "$user" 2>/dev/null)" ] || no 'the account is of a directory';
		if have useradd; then
			set -- -m ${uid:+-u "$uid"} ${group:+-g "$group"} ${shell:+-s "$shell"};
			useradd "$@" ${home:+-d "$home"} "$user" >/dev/null;
		elif have adduser; then
			set -- -D ${uid:+-u "$uid"} ${group:+-G "$group"} ${shell:+-s "$shell"};
			adduser "$@" ${home:+-h "$home"} "$user" >/dev/null;
		else
			no 'there is neither useradd nor adduser';
		fi || no 'the account cannot be made';
		add_groups;
		exit 0;
	fi;
	IFS=:;
	set -- $account;
	unset IFS;
	[ "${uid:-$3}" = "$3" ] || no "its uid is $3, and that cannot be changed";
	gid=$4; is_home=$6; is_shell=${7:-/bin/sh};
	set --;
	if [ -n "$group" ]; then
		wanted=$(group_of "$group"); wanted=${wanted#*:*:}; wanted=${wanted%%:*};
		[ "$wanted" = "$gid" ] || set -- -g "$group";
	fi;
	[ "${shell:-$is_shell}" = "$is_shell" ] || set -- "$@" -s "$shell";
	[ "${home:-$is_home}" = "$is_home" ] || set -- "$@" -d "$home";
	if [ $# != 0 ]; then
		have usermod || no 'there is no usermod';
		usermod "$@" "$user" || no 'the account cannot be changed';
	fi;
	add_groups
]]

-- One file for each account; sudo reads none that has a dot in its name, and so not the new one
-- before visudo has found it good.
local SUDO = one_line [=[
	user=$1; name=$2; rights=$3;
	no() { rm -f "$new"; printf '%s\n' "$*"; exit 0; };
	new=;
	for dir in /etc/sudoers.d /usr/local/etc/sudoers.d ''; do [ ! -d "$dir" ] || break; done;
	[ -n "$dir" ] && grep -q "^[@#]includedir[[:space:]]*\"*$dir" "${dir%.d}" ||
		no 'sudo reads no directory sudoers.d here';
	file=$dir/$name; new=$file.lockstep;
	if [ -z "$rights" ]; then rm -f "$file"; exit 0; fi;
	umask 0337;
	rm -f "$new";
	printf '%s ALL=(ALL:ALL) %s\n' "$user" "$rights" >"$new" ||
		no "$new cannot be written: is the disk full?";
	visudo -cqf "$new" >&2 || no 'visudo does not take what "sudo" says';
	sync "$new" 2>/dev/null || sync;
	mv -f "$new" "$file" || no "$file cannot be written"
]=]

-- A name with a colon would be another account's to chpasswd.
local function is_local_name(name)
	return #name <= 32 and name:match("^[%a_][%w._-]*%$?$") ~= nil
end

local function with_said(what, result)
	local said = result.stderr:sub(1, 800)
	return said:find("%S") and what .. ": " .. said or what
end

local function refuse(result, what)
	refused(with_said(("%s (status %d)"):format(what, result.status), result))
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

-- ── Parameters ──────────────────────────────────────────────────────────────────────────────

local function is_path(text)
	return text:match("^/[%w/._+-]*$") and not (text .. "/"):find("/../", 1, true)
end

-- Nothing that a tool could take for an option, a list or a line of its own.
local GOOD = {
	uid = function(uid) return uid > 0 and uid < 4294967295 end,
	group = is_local_name,
	shell = is_path,
	home = is_path,
	sudo = function(text) return #text <= 512 and not text:find("[%c\\#]") end,
	groups = function(names)
		for _, name in ipairs(names) do
			if not is_local_name(name) then
				return false
			end
		end
		return true
	end,
}

-- Whether the task asks for anything. Raises where it cannot be meant.
local function asks(job)
	local any = false
	for name, value in pairs(job.params) do
		if GOOD[name] and not GOOD[name](value) then
			error(("params: %s cannot be %s"):format(name,
				type(value) == "table" and "this list" or tostring(value)))
		end
		any = true
	end
	if job.params.sudo and not job.params.modify_sudo then
		error("params: sudo is for tasks that say modify_sudo = true")
	end
	return any
end

local function must(result, what)
	local reason = result.stdout:sub(1, 500):match("^[^\n]+")
	if result.status ~= 0 then
		refuse(result, what)
	elseif reason then
		refused(with_said(reason, result))
	end
end

platform "linux" {
	extends = "unix", -- what it asks of a login, and keys
	password = { longest = 511, refuse = "\0\n" }, -- PAM takes 511 bytes
	accounts = "posix",
	params = {
		create = "flag", -- the account where it is absent
		uid = "number",
		group = "text", -- the first one
		groups = "list", -- further ones: added, none is taken away
		shell = "text",
		home = "text",
		modify_sudo = "flag", -- so that the account's rights are what `sudo` says, or none
		sudo = "text", -- such as "NOPASSWD: /usr/bin/id"
	},

	check = function(job)
		if not is_local_name(job.account) then
			skip("absent", "no local account can have this name")
		end
		local found = look(job)
		if asks(job) and job.params.create and found.place == "absent" then
			return
		end
		check_place(found)
		check_lock(job, found)
		check_age(job, found)
		if (job.proof == "login" or job.proof == "su") and not job.params.shell then
			check_shell(found)
		end
		if job.proof == "su" then
			check_su(found)
		end
	end,

	prepare = function(job)
		if not asks(job) then
			return
		elseif job.targeted then
			refused("what its params ask for needs a sudo that allows every command")
		end
		local p = job.params
		local groups = table.concat(p.groups or {}, " ")
		local words = { "sh", "-c", ACCOUNT, "sh", job.account, tostring(p.create or false),
			tostring(p.uid or ""), p.group or "", groups, p.shell or "", p.home or "" }
		must(job.admin:exec(words), "the account cannot be made ready")
		if p.modify_sudo then
			local name = "lockstep-" .. job.account:gsub("%.", "%%2e")
			words = { "sh", "-c", SUDO, "sh", job.account, name, p.sudo or "" }
			must(job.admin:exec(words), "its rights by sudo cannot be set")
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
