#include "service/scope.h"

#include <stdlib.h>

#include "base/mem.h"

struct scope *scope_new(const struct token *token)
{
	struct scope *scope = xcalloc(1, sizeof(*scope));

	scope->uses = 1;
	scope->token = *token;
	for (size_t i = 0; i < token->permission_count; i++) {
		enum permission permission = permission_named(token->permissions[i]);

		if (permission < PERMISSION_COUNT)
			scope->permissions |= 1U << permission;
	}
	for (size_t i = 0; i < token->node_count; i++)
		scope->nodes[i] = scope->token.nodes[i];
	for (size_t i = 0; i < token->task_count; i++)
		scope->tasks[i] = scope->token.tasks[i];
	scope->reach = (struct reach){
	    .nodes = scope->nodes,
	    .node_count = token->node_count,
	    .tasks = scope->tasks,
	    .task_count = token->task_count,
	};
	return scope;
}

struct scope *scope_hold(struct scope *scope)
{
	if (scope != NULL)
		scope->uses++;
	return scope;
}

void scope_drop(struct scope *scope)
{
	if (scope != NULL && --scope->uses == 0)
		free(scope);
}

bool scope_may(
    const struct scope *scope, enum permission permission, const char *node, const char *task)
{
	return scope == NULL || ((scope->permissions & 1U << permission) != 0 &&
				    reach_has(&scope->reach, node, task));
}
