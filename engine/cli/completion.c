#include "cli/complete.h"

#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static int completion_run(struct cli *);

const struct command completion_commands[] = {
    {"completion", "bash|zsh|fish", "print what makes a shell complete lockstep's words", NULL, 1,
	1, completion_run},
    {0},
};

/* Each asks the program itself (complete.h), so that none has to know the commands. */
static const struct script {
	const char *shell, *text;
} scripts[] = {
    {"bash",
	"# Completion of lockstep for bash: source it, or install it where bash looks.\n"
	"_lockstep()\n"
	"{\n"
	"\tlocal line\n"
	"\n"
	"\tCOMPREPLY=()\n"
	"\twhile IFS= read -r line; do\n"
	"\t\tif [ \"$line\" = " COMPLETE_FILES " ]; then\n"
	"\t\t\tcompopt -o default\n"
	"\t\t\tCOMPREPLY=()\n"
	"\t\t\treturn\n"
	"\t\tfi\n"
	"\t\tCOMPREPLY+=(\"${line%%$'\\t'*}\")\n"
	"\tdone < <(lockstep " COMPLETE_ARGUMENT " \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
	"\tcase ${COMPREPLY[0]-} in *=) compopt -o nospace ;; esac\n"
	"}\n"
	"complete -F _lockstep lockstep\n"},
    {"zsh", "#compdef lockstep\n"
	    "# Completion of lockstep for zsh: source it, or install it as _lockstep in $fpath.\n"
	    "_lockstep()\n"
	    "{\n"
	    "\tlocal line name\n"
	    "\tlocal -a found\n"
	    "\n"
	    "\twhile IFS= read -r line; do\n"
	    "\t\tif [[ $line == " COMPLETE_FILES " ]]; then\n"
	    "\t\t\t_files\n"
	    "\t\t\treturn\n"
	    "\t\tfi\n"
	    "\t\tname=${line%%$'\\t'*}\n"
	    "\t\tfound+=(\"${name//:/\\\\:}${${line#$name}:+:${line#*$'\\t'}}\")\n"
	    "\tdone < <(lockstep " COMPLETE_ARGUMENT " \"${(@)words[2,CURRENT]}\" 2>/dev/null)\n"
	    "\t_describe lockstep found\n"
	    "}\n"
	    "if [[ ${funcstack[1]-} == _lockstep ]]; then\n"
	    "\t_lockstep \"$@\"\n"
	    "else\n"
	    "\tcompdef _lockstep lockstep\n"
	    "fi\n"},
    {"fish", "# Completion of lockstep for fish: source it, or install it where fish looks.\n"
	     "function __lockstep_complete\n"
	     "\tset -l words (commandline -opc) (commandline -ct)\n"
	     "\tset -l found (lockstep " COMPLETE_ARGUMENT " $words[2..-1] 2>/dev/null)\n"
	     "\tif test \"$found[1]\" = " COMPLETE_FILES "\n"
	     "\t\t__fish_complete_path (commandline -ct)\n"
	     "\telse\n"
	     "\t\tprintf '%s\\n' $found\n"
	     "\tend\n"
	     "end\n"
	     "complete -c lockstep -f -a '(__lockstep_complete)'\n"},
};

static int completion_run(struct cli *cli)
{
	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		if (strcmp(scripts[i].shell, cli->args[0]) != 0)
			continue;
		fputs(scripts[i].text, stdout);
		return SERVICE_OK;
	}
	return cli_usage(
	    "there is no completion for \"%.32s\": give bash, zsh or fish", cli->args[0]);
}
