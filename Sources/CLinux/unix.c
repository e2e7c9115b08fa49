#define _GNU_SOURCE
#include "CLinux.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int address_of(struct sockaddr_un *address, socklen_t *length, const char *path)
{
    size_t count = strlen(path);
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    if (count == 0 || count >= sizeof address->sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address->sun_path, path, count);
    if (path[0] == '@') address->sun_path[0] = 0;
    *length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + count + (path[0] == '@' ? 0 : 1));
    return 0;
}

static int fail(int fd)
{
    int reason = errno;
    close(fd);
    errno = reason;
    return -1;
}

int clinux_unix_connect(const char *path)
{
    struct sockaddr_un address;
    socklen_t length;
    if (address_of(&address, &length, path) < 0) return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    return connect(fd, (struct sockaddr *)&address, length) < 0 ? fail(fd) : fd;
}

int clinux_unix_listen(const char *path)
{
    struct sockaddr_un address;
    socklen_t length;
    if (address_of(&address, &length, path) < 0) return -1;
    int predecessor = clinux_unix_connect(path);
    if (predecessor >= 0) {
        close(predecessor);
        errno = EADDRINUSE;
        return -1;
    }
    struct stat entry;
    if (errno == ECONNREFUSED && lstat(path, &entry) == 0 && S_ISSOCK(entry.st_mode)) unlink(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -1;
    // Owner and group only: whoever may write here may pause the battery.
    mode_t before = umask(0117);
    int bound = bind(fd, (struct sockaddr *)&address, length);
    umask(before);
    return bound < 0 || listen(fd, 8) < 0 ? fail(fd) : fd;
}

int clinux_unix_accept(int fd, int send_buffer)
{
    int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client >= 0) setsockopt(client, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer);
    return client;
}

int clinux_unix_pair(int ends[2]) { return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends); }

int clinux_unix_mailbox(const char *path)
{
    struct sockaddr_un address;
    socklen_t length;
    if (address_of(&address, &length, path) < 0) return -1;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -1;
    return bind(fd, (struct sockaddr *)&address, length) < 0 ? fail(fd) : fd;
}

int clinux_unix_datagram(const char *path, const void *bytes, size_t count)
{
    struct sockaddr_un address;
    socklen_t length;
    if (address_of(&address, &length, path) < 0) return -1;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    ssize_t sent = sendto(fd, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&address, length);
    return sent < 0 ? fail(fd) : close(fd);
}
