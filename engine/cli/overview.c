#include "cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/format.h"
#include "cli/terminal.h"
#include "cli/trouble.h"

#define BAR_COLUMNS 30

enum { KEY_DAYS = 0x1000 };

static int overview_run(struct cli *);

static const struct argp_option options[] = {
    {"days", KEY_DAYS, "1|7|30", 0, "of how many days, today among them (else 7)", 0},
    {0},
};

const struct command overview_commands[] = {
    {"overview", "", "show how it stands with executions, records and accounts", options, 0, 0,
	overview_run},
    {0},
};

/* In the order in which they are shown. */
static const struct outcome_look {
	const char *status, *block, *colour;
} looks[] = {
    {"success", "█", "\033[32m"},
    {"failed", "▓", "\033[31m"},
    {"unverified", "▒", "\033[33m"},
    {"skipped", "░", "\033[36m"},
};

#define LOOKS (sizeof(looks) / sizeof(looks[0]))

static const char *count_of(char out[FORMAT_SIZE], const json_t *object, const char *key)
{
	return format_count(out, (uint64_t)number_of(object, key));
}

/* ── Executions ──────────────────────────────────────────────────────────────────────────── */

static void print_executions(const json_t *result)
{
	const json_t *executions = json_object_get(result, "executions");
	json_int_t days = number_of(result, "days");
	char total[FORMAT_SIZE], succeeded[FORMAT_SIZE], failed[FORMAT_SIZE], running[FORMAT_SIZE];

	printf("executions  %s in %lld day%s: %s succeeded, %s with failures, %s running\n",
	    count_of(total, executions, "total"), (long long)days, days == 1 ? "" : "s",
	    count_of(succeeded, executions, "succeeded"),
	    count_of(failed, executions, "with_failures"),
	    count_of(running, executions, "running"));
}

/* ── Records a day ───────────────────────────────────────────────────────────────────────── */

static json_int_t day_total(const json_t *day)
{
	json_int_t total = 0;

	for (size_t i = 0; i < LOOKS; i++)
		total += number_of(day, looks[i].status);
	return total;
}

static json_int_t days_most(const json_t *days)
{
	json_int_t most = 0;

	for (size_t i = 0; i < json_array_size(days); i++) {
		json_int_t total = day_total(json_array_get(days, i));

		most = total > most ? total : most;
	}
	return most;
}

/* What there is takes a column at least: one that failed among thousands is to be seen. */
static void print_bar(const json_t *day, json_int_t most, bool colour)
{
	for (size_t i = 0; i < LOOKS && most > 0; i++) {
		json_int_t count = number_of(day, looks[i].status);
		json_int_t columns = (count * BAR_COLUMNS + most / 2) / most;

		if (count == 0)
			continue;
		fputs(i == 0 ? "  " : "", stdout);
		fputs(colour ? looks[i].colour : "", stdout);
		for (json_int_t column = 0; column < (columns > 0 ? columns : 1); column++)
			fputs(looks[i].block, stdout);
		fputs(colour ? "\033[0m" : "", stdout);
	}
}

static void print_days(const json_t *days)
{
	bool chart = terminal_is(STDOUT_FILENO), colour = terminal_has_colour(STDOUT_FILENO);
	json_int_t most = days_most(days);

	printf("\nday (UTC) ");
	for (size_t i = 0; i < LOOKS; i++)
		printf("  %10s", looks[i].status);
	fputc('\n', stdout);
	for (size_t i = 0; i < json_array_size(days); i++) {
		const json_t *day = json_array_get(days, i);
		char text[FORMAT_SIZE];

		printf("%s", text_of(day, "day"));
		for (size_t k = 0; k < LOOKS; k++)
			printf("  %10s", count_of(text, day, looks[k].status));
		if (chart)
			print_bar(day, most, colour);
		fputc('\n', stdout);
	}
}

/* ── Accounts ────────────────────────────────────────────────────────────────────────────── */

static void print_accounts(const json_t *result)
{
	const json_t *accounts = json_object_get(result, "accounts");
	char current[FORMAT_SIZE], doubt[FORMAT_SIZE], mismatch[FORMAT_SIZE],
	    unmanaged[FORMAT_SIZE];

	printf("\naccounts    %s current, %s in doubt, %s mismatch, %s unmanaged\n",
	    count_of(current, accounts, "current"), count_of(doubt, accounts, "in_doubt"),
	    count_of(mismatch, accounts, "mismatch"), count_of(unmanaged, accounts, "unmanaged"));
}

static void print_checkouts(const json_t *result)
{
	const json_t *checkouts = json_object_get(result, "checkouts"), *checkout;
	char out[FORMAT_SIZE], over[FORMAT_SIZE], until[FORMAT_SIZE];
	size_t i;

	if (number_of(checkouts, "out") == 0 && number_of(checkouts, "over") == 0)
		return;
	printf("checked out %s, %s over and not rotated yet\n", count_of(out, checkouts, "out"),
	    count_of(over, checkouts, "over"));
	json_array_foreach(json_object_get(checkouts, "accounts"), i, checkout)
	    printf("  OVERDUE %s %s: %s had it until %s; lockstep account checkin %s %s --of %s\n",
		text_of(checkout, "asset"), text_of(checkout, "account"), text_of(checkout, "who"),
		format_time(until, text_of(checkout, "until")), text_of(checkout, "asset"),
		text_of(checkout, "account"), text_of(checkout, "who"));
}

static void print_ages(const json_t *ages)
{
	printf("secrets     ");
	for (size_t i = 0; i < json_array_size(ages); i++) {
		const json_t *age = json_array_get(ages, i);
		json_int_t days = number_of(age, "up_to_days");
		char count[FORMAT_SIZE];

		count_of(count, age, "accounts");
		if (days > 0)
			printf(
			    "%s%s up to %lld days old", i == 0 ? "" : ", ", count, (long long)days);
		else
			printf(", %s older\n", count);
	}
}

static void print_failing(const json_t *failing)
{
	const json_t *records = json_object_get(failing, "records");
	json_int_t total = number_of(failing, "total");
	json_int_t more = total - (json_int_t)json_array_size(records);
	char count[FORMAT_SIZE];

	if (total == 0) {
		printf("\nno account fails\n");
		return;
	}
	printf("\nfailing     %s: the last record of each failed or is in doubt\n",
	    format_count(count, (uint64_t)total));
	troubles_rows(
	    stdout, records, terminal_width(STDOUT_FILENO), terminal_has_colour(STDOUT_FILENO));
	if (more > 0)
		printf("  … and %s more: lockstep record list --status failed\n",
		    format_count(count, (uint64_t)more));
}

/* ── All ─────────────────────────────────────────────────────────────────────────────────── */

static void print_overview(const json_t *result)
{
	print_executions(result);
	print_days(json_object_get(result, "records"));
	print_accounts(result);
	print_checkouts(result);
	print_ages(json_object_get(result, "ages"));
	print_failing(json_object_get(result, "failing"));
	if (!json_is_true(json_object_get(result, "sandbox")))
		printf("\nthe wires have no sandbox: settings { sandbox = true } gives them one\n");
}

static int overview_run(struct cli *cli)
{
	json_t *result;
	int status = cli_call(cli, "overview", cli_params(cli), &result);

	if (status == SERVICE_OK && cli->json)
		status = cli_print_json(result, status);
	else if (status == SERVICE_OK)
		print_overview(result);
	json_decref(result);
	return status;
}
