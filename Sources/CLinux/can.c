#define _GNU_SOURCE
#include "CLinux.h"
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

// SO_RXQ_OVFL is Linux's own and not in every libc header.
#ifndef SO_RXQ_OVFL
#define SO_RXQ_OVFL 40
#endif

static void name_interface(struct ifreq *request, const char *interface)
{
    memset(request, 0, sizeof *request);
    strncpy(request->ifr_name, interface, IFNAMSIZ - 1);
}

int clinux_can_open(const char *interface)
{
    int fd = socket(PF_CAN, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, CAN_RAW);
    if (fd < 0) return -1;
    can_err_mask_t every_error = CAN_ERR_MASK;
    int on = 1, off = 0;
    struct ifreq request;
    name_interface(&request, interface);
    struct sockaddr_can address = { .can_family = AF_CAN };
    if (setsockopt(fd, SOL_CAN_RAW, CAN_RAW_ERR_FILTER, &every_error, sizeof every_error) < 0) goto failed;
    if (setsockopt(fd, SOL_CAN_RAW, CAN_RAW_RECV_OWN_MSGS, &off, sizeof off) < 0) goto failed;
    setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on);
    if (ioctl(fd, SIOCGIFINDEX, &request) < 0) goto failed;
    address.can_ifindex = request.ifr_ifindex;
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) goto failed;
    return fd;
failed:;
    int reason = errno;
    close(fd);
    errno = reason;
    return -1;
}

int clinux_can_link(int fd, const char *interface)
{
    struct ifreq request;
    name_interface(&request, interface);
    if (ioctl(fd, SIOCGIFFLAGS, &request) < 0) return -1;
    if (!(request.ifr_flags & IFF_UP)) return 0;
    // Not IFF_RUNNING: the kernel takes up to a second to set and clear it. Without /sys only error frames tell of bus-off.
    char path[64], carrier = '1';
    snprintf(path, sizeof path, "/sys/class/net/%s/carrier", request.ifr_name);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        if (read(file, &carrier, 1) != 1) carrier = '1';
        close(file);
    }
    return carrier == '0' ? 2 : 1;
}

int clinux_can_restart(int fd, const char *interface)
{
    struct ifreq request;
    name_interface(&request, interface);
    if (ioctl(fd, SIOCGIFFLAGS, &request) < 0) return -1;
    request.ifr_flags &= ~IFF_UP;
    if (ioctl(fd, SIOCSIFFLAGS, &request) < 0) return -1;
    request.ifr_flags |= IFF_UP;
    return ioctl(fd, SIOCSIFFLAGS, &request);
}

int clinux_can_receive(int fd, struct can_frame *frame, uint32_t *overruns)
{
    char control[CMSG_SPACE(sizeof(uint32_t))];
    struct iovec part = { frame, sizeof *frame };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
    ssize_t count = recvmsg(fd, &message, MSG_DONTWAIT);
    if (count < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) memcpy(overruns, CMSG_DATA(c), sizeof *overruns);
    if (count != (ssize_t)sizeof *frame) {
        errno = EIO;
        return -1;
    }
    return 1;
}
