/* A text in the person's own editor. */
#ifndef CLI_EDITOR_H
#define CLI_EDITOR_H

#include <stdbool.h>

#include "base/buf.h"

/* A text that is being edited, in a file that only the person may read. */
struct editor {
	char *dir;
	char *path;
};

/* Makes the file `name` with the text; says why where it cannot. */
bool editor_open(struct editor *, const char *name, const char *text);
/* Lets $VISUAL, $EDITOR or vi edit it, and reads what came of it into `text`. */
bool editor_run(const struct editor *, struct buf *text);
/* Takes the file away. `keep`: leaves it, for what is in it was not taken. */
void editor_close(struct editor *, bool keep);

#endif
