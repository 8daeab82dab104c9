/* Telling whoever supervises us how we are: systemd's protocol, a datagram of lines (sd_notify(3)).
 */
#ifndef SERVICE_SYSTEMD_H
#define SERVICE_SYSTEMD_H

#include <stdint.h>

/* "READY=1", several lines if need be. Fine where nobody asked for it. */
void systemd_tell(const char *state);

/* How often we are to say that we are alive; 0 = nobody asked. */
uint64_t systemd_watchdog_ms(void);

#endif
