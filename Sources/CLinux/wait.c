#define _GNU_SOURCE
#include "CLinux.h"
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

int clinux_epoll_open(void) { return epoll_create1(EPOLL_CLOEXEC); }

int clinux_epoll_watch(int epoll, int fd, uint64_t token, int writable_too)
{
    struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP | (writable_too ? EPOLLOUT : 0), .data.u64 = token };
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0) return 0;
    return errno == EEXIST ? epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event) : -1;
}

int clinux_epoll_watch_timer(int epoll, int timer, uint64_t token)
{
    struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.u64 = token };
    return epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &event);
}

int clinux_epoll_forget(int epoll, int fd) { return epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL); }

int clinux_epoll_wait(int epoll, struct clinux_ready *ready, int capacity)
{
    struct epoll_event events[32];
    int count = epoll_wait(epoll, events, capacity < 32 ? capacity : 32, -1);
    if (count < 0) return errno == EINTR ? 0 : -1;
    for (int i = 0; i < count; i++) {
        ready[i].token = events[i].data.u64;
        ready[i].readable = (events[i].events & EPOLLIN) != 0;
        ready[i].writable = (events[i].events & EPOLLOUT) != 0;
        ready[i].hung_up = (events[i].events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) != 0;
    }
    return count;
}

// CLOCK_BOOTTIME, not CLOCK_MONOTONIC: it goes on while the machine sleeps. After a suspend of an hour the last reading of the
// BMS must be an hour old, not a second. Neither is moved by NTP steps or by hand (failsafe.md §8).
int64_t clinux_milliseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int clinux_clock_is_synchronised(void)
{
    struct timex state = { 0 };
    if (adjtimex(&state) < 0) return -1;
    return state.status & STA_UNSYNC ? 0 : 1;
}

int clinux_timer_open(void) { return timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK); }

int clinux_timer_set(int fd, int64_t milliseconds)
{
    if (milliseconds < 1) milliseconds = 1; // 0 would switch the timer off
    struct itimerspec when = { .it_value = { .tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000 } };
    return timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, NULL);
}

void clinux_drain(int fd)
{
    char bytes[sizeof(struct signalfd_siginfo)]; // the longest of the three
    while (read(fd, bytes, sizeof bytes) > 0 || errno == EINTR) {}
}

int clinux_signals_open(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0) return -1;
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int clinux_signal_take(int fd)
{
    struct signalfd_siginfo info;
    ssize_t count;
    do count = read(fd, &info, sizeof info); while (count < 0 && errno == EINTR);
    return count == sizeof info ? (int)info.ssi_signo : 0;
}

int clinux_event_open(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

void clinux_event_raise(int fd)
{
    uint64_t one = 1;
    ssize_t ignored = write(fd, &one, sizeof one);
    (void)ignored;
}
