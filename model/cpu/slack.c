// Sleeping threads of this process may wake up to a millisecond late (Linux's timer slack; 50 us unless set).
//
// Go's monitor sleeps for 20 us at a time, some 60 times over, whenever it has taken a goroutine's place: each time a screen is drawn
// while another goroutine is in C. Every wake-up takes the core of a thread of the pool, and the others wait for that one. With more
// slack it comes back ten times less often. Nothing of ours sleeps for less than milliseconds, and what the Go runtime does (a thread
// that looks for work, a stopped world that has not stopped yet) is rare.
//
// Threads inherit the slack, and the monitor starts before main does; hence the constructor. So do programs that are started from here.
#include <sys/prctl.h>

enum { SLACK_NS = 1000 * 1000 };

__attribute__((constructor)) static void set_slack(void) { prctl(PR_SET_TIMERSLACK, SLACK_NS, 0, 0, 0); }
