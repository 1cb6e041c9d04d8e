/* Fault points: named places where a test may end, stop or delay the process, to see that what others find then is
 * whole; fault.def has them all. They are compiled in with the CMake option GRANARY_FAULTS, and do nothing then either
 * unless the environment says
 *
 *     GRANARY_FAULT=NAME[:K]=kill | stop | exit | sleep-MS      at the K-th pass of point NAME (default 1), once
 *
 * kill: SIGKILL, stop: SIGSTOP, exit: _exit(97), without any clean-up. The variable is read at each pass, so that a
 * child may set it after fork(); passes are counted from the moment that it has its present value.
 *
 *     GRANARY_FAULT_LOG=FILE         each pass appends the point's name as a line, before it acts
 *     GRANARY_FAULT_LEASE_MS=N       the leases of the catalog are this long
 *
 * Threads: any. */
#ifndef GR_BASE_FAULT_H
#define GR_BASE_FAULT_H

#include <stdint.h>

#ifdef GRANARY_FAULTS
void gr_fault_point(const char *name);
int64_t gr_fault_lease_us(int64_t usual_us);
#else
static inline void gr_fault_point(const char *name) { (void)name; }
static inline int64_t gr_fault_lease_us(int64_t usual_us) { return usual_us; }
#endif
#endif
