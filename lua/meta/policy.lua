---@meta

-- The statements of a policy, for editors and for the reference.
--
-- Every statement is `kind "name" { … }`. There is no order to learn: a name may be used before the
-- file that declares it. A field that is not known is an error. Files are Lua 5.4 without `os`,
-- `io`, `debug`, `load` and coroutines; globals cannot be set, and nothing is shared between files
-- but what they declare.

---A span of time: a whole number and `ms`, `s`, `m`, `h`, `d` or `w`, such as `"30s"`.
---@alias duration string

---A name in which `*` stands for any characters; all else is literal.
---@alias pattern string

---@class retention
---How long records are kept, and executions with them, from `"1d"`; default `"400d"`. What is
---older is taken away when a run has ended, but for what has not ended or is in doubt, and the
---last record of each account.
---@field records? duration
---How many earlier versions of a secret are kept, from 2 to 1000; default 10.
---@field versions? integer

---One of these ways. A key is 64 hexadecimal digits and a newline, as `openssl rand -hex 32` prints
---them.
---@class master_key
---A file that only its owner may read.
---@field file? string
---The name of a credential that systemd gives to lockstepd (`LoadCredential=`).
---@field credential? string
---A program and its arguments, without a shell, that prints the key.
---@field command? string[]
---How long that may take, `"100ms"` to `"1m"`; default `"10s"`.
---@field timeout? duration
---The key is made of a passphrase, by scrypt: of the credential's text where one is named, else it
---is asked for on the terminal. At least 12 characters.
---@field passphrase? boolean

---@class audit
---Each entry goes to syslog too (`authpriv.notice`) as it becomes durable; default false.
---@field syslog? boolean

---A secret of the vault, by its name.
---@class named

---What someone may be told of: an execution ended well (`finished`), with failures (`failed`), or
---with doubts (`in_doubt`); nothing more of one is begun (`stopped`); doubts of earlier ones ended
---(`settled`); lockstepd was to load a policy that has errors (`policy_rejected`); someone asks for
---an approval (`approval`): mail goes to the users who may give it.
---@alias event
---| "finished"
---| "failed"
---| "stopped"
---| "in_doubt"
---| "settled"
---| "policy_rejected"
---| "approval"

---@class mail
---`"smtps://HOST"` or `"smtp://HOST:PORT"`; by the latter nothing is sent before STARTTLS.
---@field server? string
---The address that the mail is from.
---@field from? string
---Who logs in; only together with `password`.
---@field user? string
---`secret "name"`: what `lockstep secret set name` keeps.
---@field password? named
---False: by `smtp://` it is sent without TLS, and without a login; default true.
---@field tls? boolean
---A file of certificates that are trusted in place of the system's, relative to the policy's
---directory.
---@field ca? string
---Of which there is mail; default: of all.
---@field events? event[]
---Who hears of what is no task's, and of tasks that name nobody; as of a task.
---@field recipients? string|string[]

---@class webhook
---`"https://HOST/PATH"`; to this machine itself also `"http://"`.
---@field url string
---`secret "name"`, which signs what is posted.
---@field secret named
---Of which it is told; default: of all.
---@field events? event[]
---A file of certificates that are trusted in place of the system's, relative to the policy's
---directory.
---@field ca? string

---@class notify
---After the first attempt that failed, `"100ms"` to `"1h"`; default `"30s"`. Pauses double up to an
---hour. For so long, too, doubts that are settled are gathered into one notice.
---@field first_pause? duration
---After so long nothing is tried any more, `"1s"` to `"30d"`; default `"3d"`.
---@field give_up? duration
---Of one attempt, `"1s"` to `"10m"`; default `"1m"`.
---@field timeout? duration

---@class settings
---Leaves admins, `root` and `administrator` alone; default true. With false they are rotated too:
---the account that an asset is entered with as its last, and not without a proof. Where the new
---secret does not open it, the old one is put back.
---@field secure_mode? boolean
---Accounts at once, from 1 to 20000; default 2000. No more sessions are begun than this machine
---keeps up with, and the timeouts count from when one is.
---@field in_flight? integer
---After this no change can still be under way, `"100ms"` to `"10m"`; default `"30s"`.
---@field change_deadline? duration
---How long lockstepd lets what is in flight end when it is told to stop; default `"5m"`.
---@field drain? duration
---For a connection to stand; default `"10s"`.
---@field connect_timeout? duration
---For the handshake, the login and the elevation, each; default `"20s"`.
---@field login_timeout? duration
---Whether an asset's first key is believed; default `"first_use"`.
---@field host_keys? "first_use"|"known"
---@field retention? retention
---The vault's directory, relative to the policy's; default `"vault"` (of `/etc/lockstep`:
---`/var/lib/lockstep`).
---@field vault? string
---The master key's file, relative to the policy's directory; default `"master.key"`.
---Or a table that says where else it comes from.
---@field master_key? string|master_key
---The same of the one that `lockstep vault rekey` changes to.
---@field next_master_key? string|master_key
---Where the engine listens for other commands, relative to the policy's directory; default `socket`
---in the vault's directory. The vault's owner, root and the users with a `uid` are let in: for
---these it must stand in a directory that they reach, such as `/run/lockstep`.
---@field socket? string
---Processes that speak to assets; 0 = one for each core, the default. One more is started for
---assets that know no elliptic curves, when the first is met.
---@field wires? integer
---Assets at once through one gateway, from 1 to 20000; default 100.
---@field gateway_in_flight? integer
---Whether these processes are sandboxed; default true.
---@field sandbox? boolean
---Where the audit log goes besides.
---@field audit? audit
---Whether a declared user needs a second factor to see a secret, or is asked for a code only where
---they have one; default `"required"`.
---@field mfa? "required"|"enrolled"
---So long a code holds, `"1s"` to `"1d"`, for one user at one terminal; 0 = for one request.
---Default `"5m"`.
---@field mfa_ttl? duration|0
---What it takes to see a secret, whoever it is.
---@field reveal? reveal
---How long people have secrets that they check out, and where alone.
---@field checkout? checkout

---How mail is sent; without it none is.
---@field mail? mail
---How what could not be sent is tried again.
---@field notify? notify
---Who is told by an HTTP request, at most 32: each under a name of its own.
---@field webhooks? table<string, webhook>
---An IP address and a port, such as `"127.0.0.1:9464"`, where lockstepd serves its metrics to
---Prometheus, without TLS or a login. At the engine's socket they are always.
---@field metrics? string
---Where lockstepd serves the API of its socket over TLS too; without it, nowhere.
---@field listen? listen

---@class listen
---An IP address and a port, such as `"0.0.0.0:8443"`.
---@field address string
---A PEM file, relative to the policy's directory: the engine's certificate, then those between it
---and its CA.
---@field certificate string
---A PEM file: its private key, without a passphrase, which only its owner may read.
---@field key string
---A PEM file: the CAs that vouch for clients' certificates. Without it clients are asked for none;
---with it one may show none all the same, and needs a token then.
---@field client_ca? string

---@class checkout
---The longest that someone may have a secret out, `"1s"` to `"90d"`; default `"1d"`.
---@field longest? duration
---Places, each with all that is below it, where only one person has an account out at a time, and
---nobody else sees its secret until it was rotated. Default: none.
---@field exclusive? pattern|pattern[]

---@class reveal
---Why, with `--reason`; default false.
---@field reason? boolean

---How Lockstep works, for the whole policy. At most once.
---@param fields settings
function settings(fields) end

---Reads another policy file, or several in order of name. A pattern without `*` must name a file
---that is there. A file is read once, however often it is included.
---@param file pattern Relative to the policy's directory, and inside it; ends in `.lua`.
function include(file) end

---Reads assets, from one file or several in order of name. What a file is, its name's end says.
---
---`.csv` (RFC 4180, UTF-8): the first row names the columns, in any order: `name`, `address`,
---`port`, `platform`, `node`, `admin`, `become`, `accounts`, `labels`, `gateway`. Lists are
---separated by `;`, an empty cell says nothing.
---
---`.json`: as `ansible-inventory --list` prints it. Groups become labels, those above a host's own
---too. Of the variables are read: `ansible_host` as the address, `ansible_port`, `ansible_user` as
---the admin, `ansible_become_method`, `ansible_become` (false: `"none"`), and `lockstep_address`,
---`lockstep_port`, `lockstep_platform`, `lockstep_node`, `lockstep_admin`, `lockstep_become`,
---`lockstep_accounts`, `lockstep_labels`, `lockstep_gateway`, which are an asset's fields and win.
---Lists are lists, or texts with `;`. Secrets among the variables are never read; a warning says
---so.
---
---`.lua`: statements, of which none but `asset` and `node` may stand there.
---@param file pattern Relative to the policy's directory, and inside it.
function inventory(file) end

---How an asset locks an account after wrong passwords. Lockstep stays at least one attempt below
---it.
---@class lockout
---Wrong attempts that lock, at least 2; default 3.
---@field limit? integer
---The time in which they count; default `"15m"`.
---@field window? duration
---`"source"` where the asset blocks where the attempts came from; default `"account"`.
---@field by? "account"|"source"

---@class node
---Default `"linux"`.
---@field platform? string
---The account that changes the others. Without one nothing is changed.
---@field admin? string
---How the admin gets its rights; default `"none"` for root, else `"sudo"`. `"su"` uses root's
---secret of the same asset, and declares the account `root` there.
---
---Where sudoers allow no shell, single commands are run by sudo, each alone. Platform `linux` then
---needs these for passwords (and can neither change keys nor apply parameters):
---
---    ops ALL=(root) NOPASSWD: /usr/sbin/chpasswd, /usr/bin/getent shadow *
---
---That a shell was refused stands in the asset's log for each visit, which asks for one first.
---Without NOPASSWD sudo must keep a ticket for a few minutes, as it does by default
---(`timestamp_timeout`). The one who may run chpasswd can set root's password: such a line keeps
---away mistakes, not an intruder. A change is then not bounded by the asset's own `timeout`, and
---the admin's own password cannot be rotated, for want of a lifeline.
---@field become? "none"|"sudo"|"su"|"doas"
---Default 22.
---@field port? integer
---Accounts that are managed. Those of all nodes above and of the asset add up.
---@field accounts? string|string[]
---`{ "nginx", tier = "1" }`; the nearest value of a key wins.
---@field labels? table<string|integer, string|integer|true>
---The asset that connections go through; false = none, where a node above has one. A gateway may
---have one itself; at most four stand one behind the other. A gateway that stands below the node
---that names it is reached as that node itself is.
---@field gateway? string|false
---@field lockout? lockout

---@class asset: node
---A host name or an IP address; default: the asset's name.
---@field address? string
---Its place in the tree, such as `"/prod/web"`; default `"/"`.
---@field node? string

---What all assets at and below a place have, unless they or a nearer node say otherwise.
---@param path string `"/"`, or `"/prod/web"`
---@return fun(fields: node)
function node(path) end

---A machine that has accounts.
---@param name string
---@return fun(fields: asset)
function asset(name) end

---@class class
---At least; default 0.
---@field min? integer
---At most; default: as many as fit.
---@field max? integer
---The characters; default: all of the class, of symbols `-_.+=`.
---@field set? string

---@alias edge "any"|"letter"|"lower"|"upper"|"digit"|"alnum"|"symbol"

---How a password is made: evenly from all strings that satisfy every field. A rule that none
---satisfies is an error, and so is one whose secrets the platform of a selected asset refuses.
---@class characters
---From 1 to 256; default 24.
---@field length? integer
---Lower-case letters: how many at least, none, or more precisely; default 1.
---@field lower? integer|false|class
---Upper-case letters; default 1.
---@field upper? integer|false|class
---Digits; default 1.
---@field digit? integer|false|class
---Symbols; default 0: they may stand but need not.
---@field symbol? integer|false|class
---What may stand first; default `"any"`.
---@field first? edge
---What may stand last; default `"any"`.
---@field last? edge
---How often a character may stand side by side with itself; default: without limit.
---@field longest_run? integer
---Whether `0 O o I l 1 |` may stand; default true.
---@field ambiguous? boolean
---Whether the account's name may stand inside, in any case; default true.
---@field user_name? boolean
---Characters that may not stand.
---@field exclude? string

---How a passphrase is made: words drawn evenly from a list. No two draws that differ give the same
---text.
---@class passphrase
---How many, from 1 to 64.
---@field words integer
---Where from: `"eff-large"`, which comes with the program and is the default, or a file of the
---policy, such as `"words/mine.txt"`: a word a line, of printable ASCII; what stands before a word
---for dice, empty lines and those that begin with `#` are left out.
---@field list? string
---What stands between them: up to eight symbols or spaces; default `"-"`. Words that hold one of
---these characters are not drawn. `""` is possible where no word of the list begins another.
---@field join? string
---Whether each word begins with a capital; default false.
---@field capital? boolean
---Digits after the last word, from 0 to 9; default none.
---@field digit? integer|false

---@param name string
---@return fun(fields: characters|passphrase)
function rule(name) end

---@class source

---New passwords by a rule: `random "strong"`, or one in place: `random { length = 20 }`.
---@param rule string|characters|passphrase
---@return source
function random(rule) end

---A password that the vault holds under this name (`lockstep secret set NAME`), the same for every
---account of the task.
---@param name string
---@return source
function specified(name) end

---What the vault holds under this name (`lockstep secret set NAME`), for fields of settings that
---ask for such a value. It is never set on an asset.
---@param name string
---@return named
function secret(name) end

---@class key
---Default `"ed25519"`. `"rsa"` is refused where the SSH library of this build signs by SHA-1 alone.
---@field type? "ed25519"|"ecdsa"|"rsa"
---Of ecdsa 256 (the default), 384 or 521; of rsa 2048 to 8192, default 3072. Not for ed25519.
---@field bits? integer
---Which keys the new one replaces once it was seen to work: none, those that Lockstep set before,
---or every other; default `"ours"`.
---@field replace? "add"|"ours"|"all"

---A new SSH key, made here. It is proved by `"login"`.
---@param fields key
---@return source
function ssh_key(fields) end

---When a task is run by itself, by the wall clock of its zone. In an hour that is repeated when
---summer time ends the clock stands still, so that what is due in it is run once; what falls into
---an hour that is left out is run where the clock jumps.
---@class schedule

---As crontab(5) has it: minute, hour, day of the month, month, day of the week, with lists,
---ranges, steps and the names of months and days; or `@hourly`, `@daily`, `@weekly`, `@monthly`,
---`@yearly`. Where neither day begins with `*`, one of the two is enough.
---@param fields string
---@return schedule
function cron(fields) end

---Each time that so much has passed, from `"1m"` to `"3660d"`, counted from 1970-01-01 00:00 UTC:
---so a restart moves nothing.
---@param time duration
---@return schedule
function every(time) end

---Once, at a date and time such as `"2027-01-01 03:00"`.
---@param time string
---@return schedule
function at(time) end

---What a `where` function is given. A copy: changing it changes nothing.
---@class selected_asset
---@field name string
---@field address string
---@field port integer
---@field platform string
---@field node string
---@field admin? string
---@field become "none"|"sudo"|"su"|"doas"
---@field gateway? string
---A label without a value, or with the value `true`, is `true`.
---@field labels table<string, string|true>

---@class exclude
---@field assets? pattern|pattern[]
---@field nodes? pattern|pattern[]
---@field accounts? pattern|pattern[]

---Some of a task's accounts: how many, or a part such as `"5%"` or `"0.5%"`.
---@alias portion integer|string

---How much a run does at once, and when it ends early. An asset is always worked on by one visit at
---a time, its accounts one after the other.
---@class limits
---Accounts at once, from 1 to 20000; default: the settings'.
---@field in_flight? integer
---Assets begun with in a second, from 1 to 10000; default: as many as can be.
---@field per_second? integer
---Assets at once that have the same node; default: without limit.
---@field per_node? integer
---Assets at once through the same gateway; default: the settings' `gateway_in_flight` alone, which
---all runs share.
---@field per_gateway? integer
---So many are tried before all others, the same in each run, chosen from all platforms, nodes and
---assets; default none. The rest is begun when they have ended well: none of them failed or stayed
---unverified, or with `stop_after` less than that of them. Of those that are skipped, others take
---the place.
---@field canary? portion
---When so many failed or are unverified, nothing more is begun; what was not is skipped: stopped.
---Default: never.
---@field stop_after? portion
---Repetitions within one run after an error that sent nothing, from 0 to 10; default 2.
---@field retries? integer

---@alias proof "login"|"su"|"hash"

---@alias kind "change"|"verify"

---@alias priority "low"|"normal"|"high"

---@class task
---`"verify"` only sees whether the current secrets still work, each that is held of an account. It
---sets nothing, takes no `secret` and no `params`, and looks at privileged accounts too. A match is
---a success, a mismatch failed; for all else the record is unverified, and its reason says what was
---found. Default `"change"`.
---@field kind? kind
---Of those that the assets declare; `"*"` = all.
---@field accounts pattern|pattern[]
---Assets by name. These and `nodes` unite; one of the two must be there.
---@field assets? pattern|pattern[]
---Places in the tree, each with all that is below it; `*` stands within one part.
---@field nodes? pattern|pattern[]
---Keeps the assets for which it returns true.
---@field where? fun(asset: selected_asset): boolean?
---Leaves out what was selected.
---@field exclude? exclude
---Default `random {}`.
---@field secret? source
---How the new secret is seen to work: by a login, by su from the admin's session, by the hash that
---the asset keeps, or not at all. Of a list, the first that is possible there. Default `"login"`.
---@field verify? proof|proof[]|false
---What the platforms of all selected assets are given beside the secret; each says which it takes.
---@field params? table<string, string|integer|boolean|string[]>
---@field limits? limits
---How large its share is while other runs are at work too: `"high"` has four times that of
---`"normal"`, `"low"` a fourth. None waits for another to end. Default `"normal"`.
---@field priority? priority
---When it is run by itself; default: only by hand. A run that is due while the task still runs
---waits for it to end. A run by hand heeds neither schedule nor window.
---@field schedule? schedule
---The zone of schedule and window, such as `"Europe/Berlin"`; default: the machine's.
---@field zone? string
---Times of day such as `"22:00-04:00"`, between which it is run: what is due outside is begun when
---it opens, once, and what was not begun when it closes is skipped: window. Default: always.
---@field window? string
---Up to so much later it is begun, `"1s"` to `"1d"`: for each time another part of it, and the same
---one whenever it is asked for. Default: none.
---@field jitter? duration
---What was missed, because the machine was off or its clock was set, is run once as soon as can be,
---if that is not longer ago, `"1m"` to `"366d"`; false = not at all. Default `"1d"`.
---@field catch_up? duration|false
---A secret that is older is overdue: `check` and `task show` say how many are.
---@field max_age? duration
---Default true. What was due while it was false is not made up for.
---@field active? boolean
---Whether accounts that someone has checked out are rotated too; default false: they are skipped.
---@field rotate_checked_out? boolean
---Addresses of mail, or names of users who have one, at most 100: who is told what came of its
---executions. Without any, the `recipients` of `settings.mail` are.
---@field recipients? string|string[]
---@field comment? string

---What is rotated.
---@param name string
---@return fun(fields: task)
function task(name) end

---What someone may do: see what there is and what was done, but no secret; rotate what is declared;
---change what is declared and what the vault holds; see secrets; let someone else see one; read
---what people did; manage people's second factors and tokens, the vault's keys and copies. Whoever
---may edit the policy is root on every asset: a platform is a program.
---@alias permission "view"|"run"|"edit"|"reveal"|"approve"|"audit"|"admin"

---@class role
---What it permits; at least one.
---@field [integer] permission
---Places, each with all that is below it, where it permits that; default: everywhere.
---@field nodes? pattern|pattern[]
---Tasks with which it permits that; default: all.
---@field tasks? pattern|pattern[]
---Whoever sees a secret by it has to say why; default false.
---@field reason? boolean
---Whoever sees a secret by it needs the approval of another, who may `"approve"` there; default
---false.
---@field approval? boolean

---What people of one kind may do. `viewer` (view), `operator` (view, run), `auditor` (view, audit)
---and `admin` (everything) are there; one that is declared stands in its place.
---@param name string
---@return fun(fields: role)
function role(name) end

---@class user
---One role or several: what one of them permits is permitted.
---@field role string|string[]
---The user id by which the kernel knows them at the engine's socket.
---@field uid? integer
---By which certificates they are known over TLS: for each the fingerprint, such as
---`"SHA256:1F:9C:…"`, that `openssl x509 -noout -fingerprint -sha256` prints. A CA of
---`settings { listen = { client_ca = … } }` has to vouch for them.
---@field certificate? string|string[]
---@field mail? string
---Narrows all of their roles to these places.
---@field nodes? pattern|pattern[]
---Narrows all of their roles to these tasks.
---@field tasks? pattern|pattern[]

---Someone who may ask the engine for something. Without any, only the vault's owner and root may:
---they always do, as who can read vault and key needs no permission.
---@param name string
---@return fun(fields: user)
function user(name) end
