#define _GNU_SOURCE
#include "CLinux.h"
#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

// Unix98 pseudo-terminals, Documentation/admin-guide/devices.txt of the kernel.
#define FIRST_PTY_SLAVE_MAJOR 136
#define LAST_PTY_SLAVE_MAJOR 143

// Not <sys/ioctl.h>: some C libraries pull in the other struct termios with it.
extern int ioctl(int, unsigned long, ...);

int clinux_tty_set_raw(int fd, uint32_t baud)
{
    struct termios2 t;
    if (ioctl(fd, TCGETS2, &t) < 0) return -1;
    t.c_iflag &= ~(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON | IXOFF | IXANY | INPCK);
    t.c_oflag &= ~OPOST;
    t.c_lflag &= ~(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
    t.c_cflag &= ~(CSIZE | PARENB | PARODD | CSTOPB | CRTSCTS | HUPCL | CBAUD | (CBAUD << IBSHIFT));
    t.c_cflag |= CS8 | CREAD | CLOCAL | BOTHER | (BOTHER << IBSHIFT);
    t.c_ispeed = t.c_ospeed = baud;
    t.c_cc[VMIN] = 1;
    t.c_cc[VTIME] = 0;
    if (ioctl(fd, TCSETS2, &t) < 0) return -1;
    return ioctl(fd, TCFLSH, TCIOFLUSH); // bytes from before belong to nobody
}

int clinux_tty_read_back(int fd, uint32_t *input_baud, uint32_t *output_baud, int *raw_8n1)
{
    struct termios2 t;
    if (ioctl(fd, TCGETS2, &t) < 0) return -1;
    *input_baud = t.c_ispeed;
    *output_baud = t.c_ospeed;
    *raw_8n1 = (t.c_cflag & CSIZE) == CS8 && !(t.c_cflag & (PARENB | CSTOPB | CRTSCTS))
        && !(t.c_lflag & (ICANON | ECHO | ISIG)) && !(t.c_oflag & OPOST) && !(t.c_iflag & (IXON | ICRNL | ISTRIP));
    return 0;
}

int clinux_tty_claim(int fd)
{
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK) errno = EBUSY;
        return -1;
    }
    // The flag outlives us while anybody else has the terminal open, and a simulator keeps its own slave open: a bridge that was
    // killed could then never come back. The lock alone does for pseudo-terminals.
    struct stat device;
    if (fstat(fd, &device) == 0 && major(device.st_rdev) >= FIRST_PTY_SLAVE_MAJOR && major(device.st_rdev) <= LAST_PTY_SLAVE_MAJOR) return 0;
    return ioctl(fd, TIOCEXCL);
}

int clinux_pty_open(char *slave_path, size_t capacity)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (master < 0) return -1;
    if (grantpt(master) < 0 || unlockpt(master) < 0 || ptsname_r(master, slave_path, capacity) != 0
        || clinux_tty_set_raw(master, 115200) < 0) {
        int reason = errno;
        close(master);
        errno = reason;
        return -1;
    }
    return master;
}
