/* Fault points: named places where a test may end, stop or delay the process, to see that what others find then is
 * whole. They are compiled in with the CMake option GRANARY_FAULTS, and do nothing then either unless the environment
 * says
 *
 *     GRANARY_FAULT=NAME[:K]=kill | stop | exit | sleep-MS      at the K-th pass of point NAME (default 1), once
 *
 * kill: SIGKILL, stop: SIGSTOP, exit: _exit(97), without any clean-up. The variable is read at each pass, so that a
 * child may set it after fork(); passes are counted from the moment that it has its present value. Threads: any. */
#ifndef GR_BASE_FAULT_H
#define GR_BASE_FAULT_H

#ifdef GRANARY_FAULTS
void gr_fault_point(const char *name);
#else
static inline void gr_fault_point(const char *name) { (void)name; }
#endif
#endif
