#define _GNU_SOURCE
#include "CLinux.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

// Between fork and exec: only what is safe in a signal handler.
static void become(const char *path, char *const arguments[], char *const environment[], int input, int output, pid_t parent)
{
    // Signals of the terminal go to the parent alone, which ends its children in the right order.
    setpgid(0, 0);
    // A parent that is killed takes its children along: nothing must run that nobody looks after.
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(127);
    signal(SIGPIPE, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);

    // Above the low numbers first, so that no copy overwrites a descriptor that is still needed.
    input = fcntl(input, F_DUPFD, 10);
    output = fcntl(output, F_DUPFD, 10);
    int null = open("/dev/null", O_RDONLY);
    if (input < 0 || output < 0 || null < 0) _exit(127);
    dup2(null, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    dup2(input, CLINUX_CHILD_INPUT);
    syscall(SYS_close_range, CLINUX_CHILD_INPUT + 1, ~0U, 0);
    execve(path, arguments, environment);
    const char *reason = strerrordesc_np(errno);
    if (reason) {
        ssize_t ignored = write(STDERR_FILENO, reason, strlen(reason));
        ignored = write(STDERR_FILENO, "\n", 1);
        (void)ignored;
    }
    _exit(127);
}

int clinux_spawn(const char *path, char *const arguments[], char *const environment[], int input, int output)
{
    pid_t parent = getpid();
    pid_t child = fork();
    if (child == 0) become(path, arguments, environment, input, output, parent);
    return child;
}
