/*
 * A report of an execution, for people who were not there: as text, or as a page of HTML that needs
 * nothing else.
 *
 * It is what execution.report answers; a mail's may have `note` (said in front) and `foot` too, and
 * no execution.
 */
#ifndef SERVICE_REPORT_H
#define SERVICE_REPORT_H

#include <stdio.h>

#include <jansson.h>

void report_text(FILE *, const json_t *report);

/* Everything in it is escaped; it loads nothing, and forbids a browser to. */
void report_html(FILE *, const json_t *report);

#endif
