/* Loaded into QEMU with LD_PRELOAD: its can-host-socketcan asks the kernel for a CAN socket and is given a connection to the
 * unix SOCK_SEQPACKET listener named by $FAKECAN instead. Each record is one `struct can_frame` of 16 bytes. So the stock QEMU of
 * Debian puts its emulated CAN bus into the hands of a test, on a kernel that knows no CAN.
 *
 *   cc -shared -fPIC -o fakecan.so fakecan.c -ldl
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/can.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

static int bus = -1;

#define REAL(name, ...)            \
    static int (*real)(__VA_ARGS__); \
    if (!real) real = (int (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

int socket(int domain, int type, int protocol) {
    REAL("socket", int, int, int);
    const char *path = getenv("FAKECAN");
    if (domain != PF_CAN || !path) return real(domain, type, protocol);
    int fd = real(AF_UNIX, SOCK_SEQPACKET | (type & (SOCK_CLOEXEC | SOCK_NONBLOCK)), 0);
    if (fd < 0) return fd;
    struct sockaddr_un listener = {.sun_family = AF_UNIX};
    strncpy(listener.sun_path, path, sizeof listener.sun_path - 1);
    if (connect(fd, (struct sockaddr *)&listener, sizeof listener) < 0) return -1;
    return bus = fd;
}

int bind(int fd, const struct sockaddr *address, socklen_t length) {
    REAL("bind", int, const struct sockaddr *, socklen_t);
    return fd == bus ? 0 : real(fd, address, length);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t length) {
    REAL("setsockopt", int, int, int, const void *, socklen_t);
    return fd == bus ? 0 : real(fd, level, name, value, length);
}

int ioctl(int fd, unsigned long request, ...) {
    REAL("ioctl", int, unsigned long, void *);
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (fd != bus || fd < 0) return real(fd, request, argument);
    struct ifreq *interface = argument;
    if (request == SIOCGIFINDEX) return interface->ifr_ifindex = 1, 0;
    if (request == SIOCGIFMTU) return interface->ifr_mtu = CAN_MTU, 0;
    return errno = EINVAL, -1;
}
