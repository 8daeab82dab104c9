#include "policy/zone.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"

#define ZONES_DIR "/usr/share/zoneinfo" /* unless TZDIR says where; tzset(3) */
#define MAGIC	  "TZif"		/* RFC 8536, 3.1 */
#define ZONES_MAX 4096
#define DEPTH_MAX 3 /* America/Argentina/Ushuaia */

#define HOUR 3600
/* No wall clock was ever set further than a day, when a country changed the side of the date line.
 */
#define REACH (26 * HOUR)

/* The environment is everybody's: names are looked up where a policy is loaded, beside the loop. */
static pthread_mutex_t environment = PTHREAD_MUTEX_INITIALIZER;

/* ── Names ───────────────────────────────────────────────────────────────────────────────── */

static const char *zones_dir(void)
{
	const char *dir;

	pthread_mutex_lock(&environment);
	dir = getenv("TZDIR");
	pthread_mutex_unlock(&environment);
	return dir != NULL && dir[0] == '/' ? dir : ZONES_DIR;
}

static bool name_is_good(const char *name)
{
	static const char letters[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-/";

	/* right/ counts leap seconds, which no other clock of ours does. */
	return name[0] != '\0' && name[0] != '/' && strlen(name) < ZONE_NAME_SIZE &&
	       name[strspn(name, letters)] == '\0' && strncmp(name, "right/", 6) != 0;
}

static bool zone_is_there(const char *name)
{
	char *path = xasprintf("%s/%s", zones_dir(), name);
	char magic[sizeof(MAGIC) - 1];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	bool there = fd >= 0 && read(fd, magic, sizeof(magic)) == (ssize_t)sizeof(magic) &&
		     memcmp(magic, MAGIC, sizeof(magic)) == 0;

	if (fd >= 0)
		close(fd);
	free(path);
	return there;
}

struct zones {
	char (*names)[ZONE_NAME_SIZE];
	size_t count;
};

static void zones_add(struct zones *zones, const char *below, int depth)
{
	char *path = xasprintf("%s/%s", zones_dir(), below);
	DIR *dir = opendir(path);
	const struct dirent *entry;

	free(path);
	while (dir != NULL && zones->count < ZONES_MAX && (entry = readdir(dir)) != NULL) {
		char name[ZONE_NAME_SIZE];
		int len = snprintf(name, sizeof(name), "%s%s%s", below, below[0] != '\0' ? "/" : "",
		    entry->d_name);

		if (len >= (int)sizeof(name) || !name_is_good(name) || strcmp(name, "posix") == 0 ||
		    strcmp(name, "right") == 0)
			continue;
		if (zone_is_there(name))
			memcpy(zones->names[zones->count++], name, sizeof(name));
		else if (depth < DEPTH_MAX)
			zones_add(zones, name, depth + 1);
	}
	if (dir != NULL)
		closedir(dir);
}

/* "berlin" means Europe/Berlin. */
static const char *zones_by_city(const struct zones *zones, const char *word)
{
	for (size_t i = 0; i < zones->count; i++) {
		const char *name = zones->names[i], *slash = strrchr(name, '/');

		if (strcasecmp(name, word) == 0 ||
		    (slash != NULL && strcasecmp(slash + 1, word) == 0))
			return name;
	}
	return NULL;
}

static const char *zones_nearest(const struct zones *zones, const char *word)
{
	const char **names = xcalloc(zones->count + 1, sizeof(*names));
	const char *found = zones_by_city(zones, word);

	for (size_t i = 0; i < zones->count; i++)
		names[i] = zones->names[i];
	if (found == NULL)
		found = text_nearest(word, names, zones->count);
	free(names);
	return found;
}

const char *zone_fault(const char *name, char nearest[ZONE_NAME_SIZE])
{
	struct zones zones = {.count = 0};
	const char *found, *fault = "is no time zone that this machine knows";

	nearest[0] = '\0';
	if (name_is_good(name) && zone_is_there(name))
		return NULL;
	zones.names = xcalloc(ZONES_MAX, sizeof(*zones.names));
	zones_add(&zones, "", 1);
	found = zones_nearest(&zones, name);
	if (zones.count == 0)
		fault = "cannot be looked up: the machine has no time zones (install tzdata)";
	else if (found != NULL)
		snprintf(nearest, ZONE_NAME_SIZE, "%s", found);
	free(zones.names);
	return fault;
}

/* ── Turns ───────────────────────────────────────────────────────────────────────────────── */

void zone_enter(struct zone_turn *turn, const char *name)
{
	const char *before = getenv("TZ");

	*turn = (struct zone_turn){.changed = name != NULL};
	if (name == NULL)
		return;
	if (before != NULL)
		turn->before = xstrdup(before);
	pthread_mutex_lock(&environment);
	setenv("TZ", name, 1);
	pthread_mutex_unlock(&environment);
	tzset();
}

void zone_leave(struct zone_turn *turn)
{
	if (!turn->changed)
		return;
	pthread_mutex_lock(&environment);
	if (turn->before != NULL)
		setenv("TZ", turn->before, 1);
	else
		unsetenv("TZ");
	pthread_mutex_unlock(&environment);
	tzset();
	free(turn->before);
}

/* ── The clock ───────────────────────────────────────────────────────────────────────────── */

/* What wall clocks show, which may go back. */
static int64_t wall(int64_t moment)
{
	time_t at = (time_t)moment;
	struct tm tm;

	return localtime_r(&at, &tm) != NULL ? moment + tm.tm_gmtoff : moment;
}

/* Where they are set between `from` and `to`, by an hour at most apart: the first moment of the
 * new time. */
static int64_t change_between(int64_t from, int64_t to)
{
	int64_t ahead = wall(from) - from;

	while (from + 1 < to) {
		int64_t middle = from + (to - from) / 2;

		if (wall(middle) - middle == ahead)
			from = middle;
		else
			to = middle;
	}
	return to;
}

/* The most that wall clocks show from the hour before `moment` to it. */
static int64_t most_of_hour(int64_t moment)
{
	int64_t from = moment - HOUR, shown = wall(moment), most;

	if (wall(from) - from == shown - moment)
		return shown;
	most = wall(change_between(from, moment) - 1);
	return most > shown ? most : shown;
}

int64_t zone_reading(int64_t moment)
{
	int64_t most = wall(moment);

	for (int64_t at = moment; at > moment - REACH; at -= HOUR) {
		int64_t shown = most_of_hour(at);

		most = shown > most ? shown : most;
	}
	return most;
}

/* Of the hour up to `to`, in which they come to show it. */
static int64_t moment_in_hour(int64_t reading, int64_t to)
{
	int64_t from = to - HOUR;
	int64_t early = reading - (wall(from) - from), late = reading - (wall(to) - to);
	int64_t change = change_between(from, to);

	if (early < change)
		return early;
	return late > change ? late : change;
}

int64_t zone_moment(int64_t reading)
{
	int64_t to = reading - REACH;

	while (most_of_hour(to) < reading)
		to += HOUR;
	return moment_in_hour(reading, to);
}
