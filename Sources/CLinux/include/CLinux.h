#ifndef CLINUX_H
#define CLINUX_H
// What Glibc's Swift module lacks: SocketCAN's structures, any baud rate (termios2), epoll, timerfd, signalfd, pseudo-terminals.
//
// Functions, where a header cannot be imported: <asm/termbits.h> redefines struct termios, epoll_event is packed, CMSG_* are
// macros. Every function returns -1 with errno set on failure, unless it says otherwise.

#include <linux/can.h>
#include <linux/can/error.h>
#include <linux/can/raw.h>
#include <stddef.h>
#include <stdint.h>

// ---- Serial lines (tty.c)

/// Raw, 8 data bits, no parity, 1 stop bit, no flow control, any baud rate.
int clinux_tty_set_raw(int fd, uint32_t baud);

/// What the driver made of it. A driver may accept a baud rate and silently use another (a 16550 turns 250 000 into 9600), so
/// the settings are always read back. `raw_8n1` becomes 1 or 0.
int clinux_tty_read_back(int fd, uint32_t *input_baud, uint32_t *output_baud, int *raw_8n1);

/// Nobody else may open the terminal (TIOCEXCL) nor lock it (flock, which also holds root back). errno EBUSY when somebody does.
int clinux_tty_claim(int fd);

/// Opens a new pseudo-terminal, raw on both ends, and stores the path of its slave. Returns the master.
int clinux_pty_open(char *slave_path, size_t capacity);

// ---- Waiting (wait.c)

struct clinux_ready {
    uint64_t token;
    uint32_t readable, writable, hung_up;
};

int clinux_epoll_open(void);
/// Watches `fd`, or changes how it is watched.
int clinux_epoll_watch(int epoll, int fd, uint64_t token, int writable_too);
/// Watches a timer edge-triggered: every expiry is reported once, and the timer need not be read.
int clinux_epoll_watch_timer(int epoll, int timer, uint64_t token);
int clinux_epoll_forget(int epoll, int fd);
/// Waits for at most `capacity` events. A signal that interrupts gives 0.
int clinux_epoll_wait(int epoll, struct clinux_ready *ready, int capacity);

/// Milliseconds of CLOCK_BOOTTIME.
int64_t clinux_milliseconds(void);
/// 1 when a time server sets the wall clock, 0 when none does, -1 when the kernel does not say.
int clinux_clock_is_synchronised(void);
/// A timer descriptor on the same clock.
int clinux_timer_open(void);
/// Becomes readable at this instant; also at once, when it has passed.
int clinux_timer_set(int fd, int64_t milliseconds);
/// Takes away what made the descriptor readable: timer, signal and event descriptors.
void clinux_drain(int fd);

/// SIGTERM, SIGINT and SIGHUP arrive on this descriptor instead of killing the process; SIGPIPE is ignored.
int clinux_signals_open(void);
/// The next signal that has arrived there; 0 = none.
int clinux_signal_take(int fd);
/// A counter that another thread can make readable (`clinux_event_raise`).
int clinux_event_open(void);
void clinux_event_raise(int fd);

// ---- Child processes (process.c)

/// Where a child finds what it is to read first.
#define CLINUX_CHILD_INPUT 3

/// Starts a program in a process group of its own; it gets SIGTERM when the calling thread ends. It inherits three descriptors:
/// `input` as CLINUX_CHILD_INPUT, `output` as its standard output and error. Signals are as they are by default. Returns its id; a
/// program that cannot be started says why on `output` and ends with 127.
int clinux_spawn(const char *path, char *const arguments[], char *const environment[], int input, int output);

// ---- SocketCAN (can.c)

/// Opens a raw CAN socket on an interface: error frames too, own frames not, non-blocking.
int clinux_can_open(const char *interface);
/// 1 when the link is up with carrier, 2 when it is up without (bus-off), 0 when it is down.
int clinux_can_link(int fd, const char *interface);
/// Takes the link down and up again, which ends bus-off and throws away what waited in the queue. Needs CAP_NET_ADMIN.
int clinux_can_restart(int fd, const char *interface);
/// One frame; 1, or 0 when none waits. `overruns` receives how many the socket has lost so far.
int clinux_can_receive(int fd, struct can_frame *frame, uint32_t *overruns);

// ---- Unix sockets (unix.c)

/// Listens at `path`. Takes the place of a dead predecessor's socket, never of a living one (EADDRINUSE).
int clinux_unix_listen(const char *path);
int clinux_unix_accept(int fd, int send_buffer);
int clinux_unix_connect(const char *path);
/// A connected pair that keeps the bounds of messages.
int clinux_unix_pair(int ends[2]);
/// Receives datagrams at `path`, without waiting; for NOTIFY_SOCKET of a child.
int clinux_unix_mailbox(const char *path);
/// One datagram to `path`; a leading '@' means the abstract name space (systemd's NOTIFY_SOCKET).
int clinux_unix_datagram(const char *path, const void *bytes, size_t count);
#endif
