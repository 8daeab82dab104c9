---@meta
-- What the file of a platform can use. A platform says how one kind of asset checks an account,
-- changes its secret and shows what proves it; the engine decides what that means.
--
-- Each function is marked *waits* or *does not wait*. One that waits lets other assets be served
-- meanwhile; it cannot be called from a function that was given to `table.sort`, `string.gsub` or
-- the like.
--
-- Of Lua's own there are: assert, error, getmetatable, ipairs, next, pairs, pcall, rawequal,
-- rawget, rawlen, select, setmetatable, tonumber, tostring, type, xpcall, and the libraries math,
-- string (without dump), table and utf8. What is global is read-only once the platforms have
-- loaded. A pattern matches in texts of up to 2 KB.

---A secret that a script passes on and cannot look into: it has no text, no length, and is equal to
---itself alone. Good only in the job that it came with.
---@class secret

---What a command is given beside its words.
---@class exec_options
---The command's standard input: texts and secrets, joined by the engine. Whole lines: the last part
---ends with "\n". A text may end with "\n"; nothing else may hold a newline, and nothing a NUL.
---@field stdin? (string|secret)[]
---True: `stdout` becomes a secret, without the newline that ends it, and its bytes never reach the
---script.
---@field opaque? boolean
---False: the command needs no privileges, and has none where they come command by command (see
---`job.targeted`); elsewhere it makes no difference. Default true.
---@field elevate? boolean

---What came of a command. After a secret was given to an asset, each of the job's secrets is
---replaced by "[secret]" in what it says. At most 64 KB each.
---@class exec_result
---The command's exit status; 128 and more when a signal ended it, 124 when its time was up.
---@field status integer
---@field stdout string|secret
---@field stderr string

---The privileged session on the asset.
---@class admin
local admin = {}

---Runs a command with the privileges of the session, and gives what came of it. The words are
---quoted by the engine: no shell looks into them. A secret is no word of a command, for others can
---read a command line.
---
---When the link breaks or the time is up, the script ends here; `pcall` does not survive it.
---
---*Waits.*
---@param words string[] the command and its arguments; no NUL, no newline; up to 32 KB
---@param options? exec_options
---@return exec_result
function admin:exec(words, options) end

---One answer of a dialogue, and the questions that it is for.
---@class dialogue_step
---How the question ends; one text, or several of which one will do. Blanks behind it do not count.
---@field expect string|string[]
---The answer, joined from its parts and sent as one line. No part holds a newline or a NUL.
---@field send string|secret|(string|secret)[]

---@class dialogue_result
---@field status integer the command's exit status
---Both its outputs, in their order; each of the job's secrets is replaced by "[secret]".
---@field stdout string
---@field answered integer how many of the steps it asked for
---It asked for something else: it was not answered, and its input ended there.
---@field unanswered boolean

---Runs a command that asks, with the privileges of the session, and answers it: each step once, in
---their order. An answer that it does not read reaches nothing else. It has no terminal unless
---the session has one. A question that no step is for ends its input; on a terminal, which has no
---end, it ends the script.
---
---When the link breaks or the time is up, the script ends here; `pcall` does not survive it.
---
---*Waits.*
---@param words string[] as for `exec`
---@param steps dialogue_step[] at most 8
---@return dialogue_result
function admin:dialogue(words, steps) end

---The SSH key that is to be an account's. Its private part never leaves the engine.
---@class job_key
---The line for `authorized_keys`: type, key, mark, no newline. It is public; that a script
---cannot look into it is how the engine knows when it was sent. Not there yet in `check`.
---@field line? secret
---@field mark string the comment by which ours are known: one word
---What is to be removed once the new key was seen to work: nothing; what has our mark, the new one
---apart; every other.
---@field replace "add"|"ours"|"all"

---One account on one asset.
---@class job
---@field account string the account's name
---@field asset string the asset's name
---True: sudo allows single commands only, and each `exec` is elevated alone. The first word is then
---what sudoers name: no `sh`, no script.
---@field targeted boolean
---@field admin admin
---@field proof "login"|"su"|"hash"|"none" how a new secret will be proven; of use in `check`
---@field new? secret the secret to set, in `change_password`
---@field old? secret the one that is replaced, where it is known, in `change_password`
---Where it is about a key: in `change_key` and `persist`, and in the `check` before it. Read-only.
---@field key? job_key
---What the task asks for beside the secret, in `check` and `change_*`; empty where it asks for
---nothing. Read-only.
---@field params table<string, string|number|boolean|string[]>

---Ends the job: the asset refused what it was asked, and is done with it. Raises.
---
---*Does not wait.*
---@param text string why, in the asset's words; cut at 1 KB
function refused(text) end

---Ends a check: the account is left alone. Only in `check`. Raises.
---
---*Does not wait.*
---@param reason "absent"|"locked"|"expired"|"no_proof"
---@param text string more about it, for people; cut at 1 KB
function skip(reason, text) end

---What a platform's passwords may be.
---@class platform_password
---@field longest? integer bytes
---@field shortest? integer bytes
---@field refuse? string bytes that a password must not hold, beside NUL and newline

---@class platform_fields
---@field password? platform_password
---Which names of accounts it takes.
---@field accounts? "posix"
---True: the asset answers before a change is in effect, so that its answer is no seen end.
---@field answers_early? boolean
---True: a password is permanent as soon as it is in effect, so that `persist` is for keys alone. It
---belongs to this platform's own `persist`, or to the one that it has from another.
---@field persist_keys_only? boolean
---Is the account there, not locked, not expired, the proof possible? Returns when all is well, else
---calls `skip`. No secret is there yet. Without it every account is fine.
---@field check? fun(job: job)
---Called after `check`: can the new secret be seen to work as `job.proof` says, and, with
---`job.key`, can the account's keys be changed? Calls `skip` where not.
---@field check_proof? fun(job: job)
---Called before `change_password` and `change_key`: does what the task asks for beside the secret
---(`job.params`). The secret has not been sent yet, so that `refused` here leaves no doubt.
---@field prepare? fun(job: job)
---Sets `job.new` as the account's password. Returns when the asset took it, and calls `refused`
---when it did not; to return without having sent it is an error. The engine verifies afterwards.
---@field change_password? fun(job: job)
---Adds `job.key.line` to the keys that open the account, and removes none. Returns when the asset
---took it, and calls `refused` when it did not; to return without having sent it is an error.
---@field change_key? fun(job: job)
---Makes permanent what was changed, after it was seen to work: of a key, removes what it replaces.
---It may be called again, also when it was done already.
---@field persist? fun(job: job)
---The account's crypt(3) hash as an opaque output of a command, or nil where it has none. Without
---this function the proof "hash" is not possible.
---@field read_hash? fun(job: job): secret?

---Declares a platform: `platform "name" { … }`. A file that declares one declares nothing else.
---
---*Does not wait.*
---@param name string
---@return fun(fields: platform_fields)
function platform(name) end
