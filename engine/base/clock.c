#include "base/clock.h"

#include <stddef.h>

uint64_t clock_mono_ms(struct clock *clock)
{
	return clock->ops->mono_ms(clock);
}

uint64_t clock_wall_ms(struct clock *clock)
{
	return clock->ops->wall_ms(clock);
}

void timer_start(struct clock *clock, struct timer *timer, uint64_t delay_ms)
{
	timer_stop(timer);
	timer->clock = clock;
	clock->ops->start(clock, timer, delay_ms);
}

void timer_stop(struct timer *timer)
{
	if (timer->clock == NULL)
		return;
	timer->clock->ops->stop(timer->clock, timer);
	timer->clock = NULL;
}
