#ifndef CLINUX_H
#define CLINUX_H
// What Glibc's Swift module lacks: SocketCAN, termios2, epoll, timerfd, signalfd.
#endif
