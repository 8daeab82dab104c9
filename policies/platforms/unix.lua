-- What Unix systems have in common, whatever changes their passwords: what the SSH server asks of a
-- login, and the file of keys. The platforms "linux" and "posix" extend it.

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

-- What runs on the asset is for any sh (dash, bash, mksh, busybox) and the tools of POSIX.
--
-- Finds the account, and the server that serves this very session: of the processes above us the
-- one that was started first. Only its settings are worth something.
local FIND = one_line [[
	set -f;
	user=$1;
	entry() {
		while IFS= read -r one || [ -n "$one" ]; do
			case $one in "$user":*) printf '%s\n' "$one"; return 0;; esac;
		done;
		return 1;
	};
	no() { printf 'no %s\n' "$*"; exit 0; };
	account=$(entry </etc/passwd) || account=$(getent passwd "$user" 2>/dev/null | entry) ||
		no 'there is no such account';
	IFS=:;
	set -- $account;
	unset IFS;
	uid=$3; gid=$4; home=$6;
	server=; kind=; connection=; at=$$;
	while [ "${at:-0}" -ge 1 ] && [ -r /proc/$at/status ]; do
		name=; parent=0;
		while read -r key value; do
			case $key in Name:) name=$value;; PPid:) parent=$value; break;; esac;
		done </proc/$at/status;
		case $name in
			sshd*) kind=sshd; server=$at;;
			dropbear*) kind=dropbear; server=$at;;
		esac;
		[ -n "$connection" ] || connection=$(
			tr '\0' '\n' 2>/dev/null </proc/$at/environ |
			sed -n 's/^SSH_CONNECTION=//p');
		at=$parent;
	done;
	set -- ${connection:-0 0 0 0};
	from=$1; to=$3; port=$4;
]]

-- What sshd says of this account's login from where we are: `told`, or nothing where that cannot be
-- known. The server's command line says where its settings are; where it does not, the settings are
-- believed that listen at the port which we came in by.
local ASK = one_line [[
	told=;
	ask() {
		sure=no; take=;
		for word in $([ -z "$server" ] || tr '\0' ' ' </proc/$server/cmdline); do
			case $take$word in
				-[fo]) take=$word;;
				-f* | -o*) set -- "$@" "$take$word"; take=;;
				*/sshd*) sure=yes;;
			esac;
		done;
		set -- "$@" -C "user=$user,host=$from,addr=$from,laddr=$to,lport=$port";
		answer=$("$sshd" -T "$@" 2>/dev/null) || return;
		[ $sure = no ] || told=$answer;
		for word in $answer; do
			[ "$take,$word" != "port,$port" ] || told=$answer;
			take=$word;
		done;
	};
	if [ "$kind" != dropbear ]; then
		sshd=$(readlink "/proc/$server/exe" 2>/dev/null);
		[ -x "$sshd" ] || sshd=$(command -v sshd) || sshd=/usr/sbin/sshd;
		ask;
	fi;
]]

-- What could forbid a login: the rules on names that do, and settings to be judged.
local RULES = FIND .. ASK .. one_line [[
	one_of() {
		list=$1; shift;
		for pattern in $list; do
			case $pattern in *@* | !*) return 2;; esac;
			for name in "$@"; do
				case $name in $pattern) return 0;; esac;
			done;
		done;
		return 1;
	};
	judge() {
		what=$1; denied=$2; allowed=$3; shift 3;
		one_of "$denied" "$@" && printf 'rule=deny%s\n' "$what";
		one_of "$allowed" "$@";
		[ $? != 1 ] || [ -z "$allowed" ] || printf 'rule=allow%s\n' "$what";
	};
	printf 'uid=%s\n' "$uid";
	printf '%s\n' "$told" | {
		du=; au=; dg=; ag=;
		while read -r key value; do
			case $key in
				denyusers) du="$du $value";; allowusers) au="$au $value";;
				denygroups) dg="$dg $value";; allowgroups) ag="$ag $value";;
				permitrootlogin | passwordauthentication | pubkeyauthentication |
				kbdinteractiveauthentication | challengeresponseauthentication |
				usepam | authenticationmethods | forcecommand)
					printf '%s=%.200s\n' "$key" "$value";;
			esac;
		done;
		judge users "$du" "$au" "$user";
		[ -z "$dg$ag" ] || ! groups=$(id -Gn "$user") || judge groups "$dg" "$ag" $groups;
	}
]]

-- Where the keys are, and who changes them. A directory of the account's is worked in by the
-- account; one of root's by root, once it is sure that nobody else may change what stands in it,
-- and that it is no other which the account put in its place.
local WHERE = one_line [[
	verb=$2; work=$3; mark=$4; replace=$5; line=;
	[ "$verb" = look ] || IFS= read -r line || exit 1;
]] .. FIND .. ASK .. one_line [[
	values() { printf '%s\n' "$told" | sed -n "s/^$1 //p"; };
	look() { set -- $(ls -ldn "$1" 2>/dev/null); perms=$1; owner=$3; group=$4; };
	real() { (cd -P "$1" 2>/dev/null && pwd -P); };
	of_root() {
		look "$1";
		[ "$owner" = 0 ] || return 1;
		case $perms in ????????w*) return 1;; ?????w*) [ "$group" = 0 ];; esac;
	};
	all_of_root() {
		up=$1;
		while of_root "$up/."; do
			[ -n "$up" ] || return 0;
			up=${up%/*};
		done;
		return 1;
	};
	expand() {
		path=; rest=$1;
		while :; do
			case $rest in *%*) ;; *) break;; esac;
			path=$path${rest%%\%*}; rest=${rest#*%};
			case $rest in
				h*) path=$path$home;; u*) path=$path$user;; U*) path=$path$uid;;
				%*) path=$path%;; *) no "AuthorizedKeysFile $1 is not understood";;
			esac;
			rest=${rest#?};
		done;
		path=$path$rest;
		case $path in /*) ;; *) path=$home/$path;; esac;
		dir=${path%/*};
	};
	make() {
		cd -P "$home" && { ! [ -e .ssh.lockstep ] || rmdir .ssh.lockstep; } &&
			mkdir -m 700 .ssh.lockstep && chown "$uid:$gid" .ssh.lockstep &&
			mv .ssh.lockstep .ssh || no "$dir cannot be made";
		restorecon .ssh 2>/dev/null;
		cd /;
	};
	who() {
		here=; by=account; me=$(id -u);
		if [ "$me" != 0 ]; then
			[ "$me" = "$uid" ] ||
				no 'without the rights of root only its own keys can be set';
			by=self; return;
		fi;
		if ! [ -e "$dir" ] && ! [ -L "$dir" ] && [ "$dir" = "$home/.ssh" ] &&
			[ "$uid" != 0 ] && [ -d "$home" ] && all_of_root "$(real "$home")";
		then
			by=nobody; return;
		fi;
		[ ! -L "$dir" ] || no "$dir is a symbolic link";
		if [ -d "$dir" ] && look "$dir/." && [ "$owner" = 0 ]; then
			by=self; here=$(real "$dir");
			[ "$here" = "$(real "$home")${dir#"$home"}" ] ||
				{ all_of_root "$dir" && all_of_root "$here"; } ||
				no "$dir is of root, and others may change the way to it";
			of_root "$here/." || no "$dir is of root, and others may write in it";
		fi;
	};
	work() {
		set -- "$1" "$path" "$here" "$uid" "$gid" "$home" "${strict:-yes}";
		set -- "$@" "$mark" "$replace";
		printf '%s\n' "$line" | if [ $by = self ]; then
			sh -c "$work" sh "$@";
		elif [ $by = nobody ]; then
			echo ok;
		elif setpriv --reuid="$uid" --regid="$gid" --init-groups true 2>/dev/null; then
			setpriv --reuid="$uid" --regid="$gid" --init-groups sh -c "$work" sh "$@";
		elif runuser -u "$user" true </dev/null >/dev/null 2>&1; then
			runuser -u "$user" -- sh -c "$work" sh "$@";
		elif su -s /bin/sh -c true "$user" </dev/null >/dev/null 2>&1; then
			su -s /bin/sh -c "$work" "$user" sh "$@";
		else
			no 'root cannot work as the account: no setpriv, runuser or su -s';
		fi;
	};

	files=$(values authorizedkeysfile); files=${files:-.ssh/authorized_keys};
	[ "$files" != none ] || no 'sshd reads no file of keys: AuthorizedKeysFile is none';
	strict=$(values strictmodes);
	if [ "$verb" != settle ]; then
		for file in $files; do
			expand "$file";
			[ ! -e "$path" ] || break;
		done;
		[ -e "$path" ] || expand "${files%% *}";
		who;
		if [ $by = nobody ] && [ "$verb" = add ]; then make; who; fi;
		work "$verb";
		exit;
	fi;
	there=no;
	for file in $files; do
		expand "$file"; who;
		said=$(work has) || exit;
		case $said in held) there=yes;; no*) echo "$said"; exit;; esac;
	done;
	[ $there = yes ] || no 'the new key is not there any more';
	for file in $files; do
		expand "$file"; who;
		said=$(work settle) || exit;
		printf '%s\n' "$said";
		case $said in no*) exit;; esac;
	done
]]

-- Runs as who() said, in the directory of the file: whoever can lead the account astray there, by
-- a link or by moving something, leads it only to where it could write anyway. The file is copied
-- with all that belongs to it, and the copy renamed over it when all of it is on the disk.
local WORK = one_line [=[
	set -f; umask 077;
	verb=$1; path=$2; here=$3; uid=$4; gid=$5; home=$6; strict=$7; mark=$8; replace=$9;
	file=./${path##*/}; new=$file.lockstep;
	dir=${path%/*}; dir=${dir:-/};
	no() { [ -z "$begun" ] || rm -f "$new"; printf 'no %s\n' "$*"; exit 0; };
	begun=;
	IFS= read -r line || exit 1;
	look() {
		set -- $(ls -ldn "$1" 2>/dev/null);
		perms=$1; names=$2; owner=$3; group=$4; size=$5;
	};
	fits() {
		look "$1";
		[ -n "$perms" ] || no "$2 cannot be looked at";
		[ "$strict" != no ] || return 0;
		case $owner in 0 | "$uid") ;;
			*) no "sshd takes no keys there: $2 is of uid $owner";;
		esac;
		case $perms in
			????????w*) no "sshd takes no keys there: $2 may be written by everyone";;
			?????w*) [ "$group" = "$gid" ] || [ "$group,$owner" = 0,0 ] ||
				no "sshd takes no keys there: $2 may be written by group $group";;
		esac;
	};
	holds() { [ -f "$1" ] && grep -q -F -x -e "$line" "$1"; };
	keep() { sync "$1" 2>/dev/null || sync; };
	bytes() { wc -c | tr -d ' '; };
	start() {
		begun=yes;
		rm -f "$new";
		if [ -n "$had" ]; then
			cp -a "$file" "$new" 2>/dev/null || cp -p "$file" "$new" ||
				no "$path cannot be copied: is the disk full?";
			chcon --reference="$file" "$new" 2>/dev/null;
			look "$new";
			[ "$perms,$owner" = "$had" ] ||
				no "the mode and owner of $path cannot be kept";
		else
			(set -C; : >"$new") || no "there can be no file in $dir: is the disk full?";
			[ -z "$here" ] || chmod 644 "$new";
			restorecon "$new" 2>/dev/null;
		fi;
	};
	finish() {
		[ "$(bytes <"$new")" = "$want" ] || no "$path cannot be written: is the disk full?";
		[ $held = no ] || holds "$new" || no "$path cannot be written";
		keep "$new" || no "$path cannot be written to the disk";
		size=; look "$file";
		[ "${size:-0}" = "$was" ] && [ ! -L "$file" ] || no "$path was changed by another";
		mv -f "$new" "$file" || no "$path cannot be replaced";
		keep .;
		echo changed;
	};

	if ! [ -e "$dir" ] && ! [ -L "$dir" ]; then
		case $verb in has | settle) echo absent; exit 0;; esac;
		[ -d "$home" ] || no "the home directory $home is not there";
		[ "$dir" = "$home/.ssh" ] || no "the directory $dir is not there";
		fits "$home/." "$home";
		[ -w "$home" ] || no "$home has no .ssh, and the account may not make one";
		[ $verb = add ] || { echo ok; exit 0; };
		mkdir -m 700 "$dir" || no "$dir cannot be made: is the disk full?";
		restorecon "$dir" 2>/dev/null;
	fi;
	[ ! -L "$dir" ] || no "$dir is a symbolic link";
	top=$(cd -P "$home" 2>/dev/null && pwd -P);
	cd -P "$dir" || no "$dir cannot be entered";
	at=$(pwd -P);
	if [ -n "$here" ]; then
		[ "$at" = "$here" ] && look . && [ "$owner" = 0 ] ||
			no "$dir was changed by another";
	fi;
	while :; do
		fits "$at/." "${at:-/}";
		case $at in '' | / | "$top") break;; esac;
		at=${at%/*};
	done;
	[ ! -L "$file" ] || no "$path is a symbolic link";
	had=; was=0;
	if [ -e "$file" ]; then
		[ -f "$file" ] || no "$path is not a file";
		fits "$file" "$path";
		look "$file";
		had=$perms,$owner; was=$size;
		[ "$names" = 1 ] ||
			no "$path has $names names (hard links): one would be left behind";
		[ -n "$here" ] || [ "$owner" = "$uid" ] ||
			no "$path is of uid $owner, in a directory of the account";
		[ -r "$file" ] || no "$path cannot be read";
		[ "$was" -le 4194304 ] || no "$path has more than 4 MB";
		case "$(id -u) $perms $(id -G | tr ' ' '\n' | grep -x "$group")" in
			0* | *\ ????---* | *\ ????r--r--* | *" $group") ;;
			*) no "$path is of group $group, which the account cannot give it again";;
		esac;
	fi;
	held=no; ! holds "$file" || held=yes;
	case $verb in
		look) [ -w . ] || no "the account may not write in $dir"; echo ok; exit 0;;
		has) if [ $held = yes ]; then echo held; else echo lacks; fi; exit 0;;
		add)
			[ $held = no ] || { echo same; exit 0; };
			start;
			end=;
			if [ -n "$had" ] && [ -n "$(tail -c 1 "$file")" ]; then end=1; fi;
			{ [ -z "$end" ] || echo; printf '%s\n' "$line"; } >>"$new" ||
				no "$path cannot be written: is the disk full?";
			held=yes; want=$((was + ${#line} + 1 + ${end:-0}));
			finish; exit 0;;
	esac;
	[ -n "$had" ] || { echo absent; exit 0; };
	quoted=$(printf '%s\n' "$line" | sed 's/[].[\/*^$\\]/\\&/g');
	s='[[:space:]]';
	if [ "$replace" = all ]; then others="/^$s*\$/!d"; else
		others="/${s}AAAA[A-Za-z0-9+\/=]*$s$s*$mark$s*\$/d";
	fi;
	filter() { sed -e "/^$s*#/b" -e "/^$quoted$s*\$/b" -e "$others" "$file"; };
	want=$(filter | bytes);
	[ "$want" != "$was" ] || { echo same; exit 0; };
	start;
	filter >"$new" || no "$path cannot be written: is the disk full?";
	finish
]=]

-- ── Logins ──────────────────────────────────────────────────────────────────────────────────

-- Whether one of the lists of methods is this one alone.
local function takes(lists, method)
	if not lists or lists == "any" then
		return true
	end
	for list in lists:gmatch("%S+") do
		if list == method or list:match("^([%w-]+):[^,]*$") == method then
			return true
		end
	end
	return false
end

local RULE_REASONS = {
	denyusers = "DenyUsers names it",
	allowusers = "AllowUsers does not name it",
	denygroups = "DenyGroups names a group of it",
	allowgroups = "AllowGroups names no group of it",
}

local function password_reason(rules)
	local asks = rules.kbdinteractiveauthentication or rules.challengeresponseauthentication
	local password = rules.passwordauthentication ~= "no"
	local prompts = asks ~= "no" and rules.usepam ~= "no"

	if rules.uid == "0" and (rules.permitrootlogin or "yes") ~= "yes" then
		return "PermitRootLogin is " .. rules.permitrootlogin
	elseif not password and not prompts then
		return "PasswordAuthentication is no"
	elseif not (password and takes(rules.authenticationmethods, "password"))
		and not (prompts and takes(rules.authenticationmethods, "keyboard-interactive"))
	then
		return "AuthenticationMethods asks for more than a password"
	end
end

local function key_reason(rules)
	if rules.uid == "0" and rules.permitrootlogin == "no" then
		return "PermitRootLogin is no"
	elseif rules.pubkeyauthentication == "no" then
		return "PubkeyAuthentication is no"
	elseif not takes(rules.authenticationmethods, "publickey") then
		return "AuthenticationMethods asks for more than a key"
	end
end

-- Where nothing can be known, nothing is forbidden: the login itself will tell. Only root can ask.
local function login_rules(job)
	if job.targeted then
		return {}
	end
	local result = job.admin:exec { "sh", "-c", RULES, "sh", job.account }
	local rules = {}

	if result.status == 0 and #result.stdout <= 2048 then
		for key, value in result.stdout:gmatch("(%l+)=([^\n]*)\n") do
			rules[key] = value
		end
	end
	return rules
end

local function check_login(job)
	local rules = login_rules(job)
	local reason

	if rules.rule then
		reason = RULE_REASONS[rules.rule]
	elseif rules.forcecommand and rules.forcecommand ~= "none" then
		reason = "ForceCommand runs something else: " .. rules.forcecommand
	elseif job.key then
		reason = key_reason(rules)
	else
		reason = password_reason(rules)
	end
	if reason then
		skip("no_proof", "sshd does not let the account in this way: " .. reason)
	end
end

-- ── Keys ────────────────────────────────────────────────────────────────────────────────────

-- True, or nil and why the file of keys cannot be as `verb` wants it.
local function keys(job, verb)
	local mark = job.key.mark
	local stdin = verb ~= "look" and { job.key.line, "\n" } or nil
	local words, result, reason

	if not mark:match("^[%w@:._+=/-]+$") then
		error("a mark of keys that is not safe to look for: " .. mark)
	end
	mark = mark:gsub("[./]", "\\%0")
	words = { "sh", "-c", WHERE, "sh", job.account, verb, WORK, mark, job.key.replace }
	result = job.admin:exec(words, { stdin = stdin, elevate = not job.targeted })
	reason = ("\n" .. result.stdout:sub(-1024)):match("\nno ([^\n]*)\n$")
	if reason then
		return nil, reason
	elseif result.status ~= 0 or result.stdout == "" then
		return nil, ("status %d: %s"):format(result.status, result.stderr:sub(1, 800))
	end
	return true
end

local function check_keys(job)
	local fine, reason = keys(job, "look")

	if not fine and not (job.params.create and reason == "there is no such account") then
		skip("no_proof", "its keys cannot be changed: " .. reason)
	end
end

platform "unix" {
	accounts = "posix",
	persist_keys_only = true, -- a password is in the file that counts at once

	check_proof = function(job)
		if job.proof == "login" then
			check_login(job)
		end
		if job.key then
			check_keys(job)
		end
	end,

	change_key = function(job)
		local fine, reason = keys(job, "add")
		if not fine then
			refused(reason)
		end
	end,

	persist = function(job)
		if job.key and job.key.replace ~= "add" then
			local fine, reason = keys(job, "settle")
			if not fine then
				refused(reason)
			end
		end
	end,
}
