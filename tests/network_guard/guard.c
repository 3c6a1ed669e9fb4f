/* Preloaded before libc: records the names that a process looks up and the addresses that it sends to, and refuses
   both unless they are this machine's own. It also sees libraries that are not written in Python. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int is_own(const char *host) {
    static const char *own[] = {"", "localhost", "0.0.0.0", "::", "::1"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (!host || !strcmp(host, own[i])) return 1;
    return !strncmp(host, "127.", 4) || !strncmp(host, "::ffff:127.", 11);
}

static int is_refused(const char *host) {
    if (is_own(host)) return 0;
    char line[300];
    int length = snprintf(line, sizeof line, "%.250s from C\n", host);
    int log = open(getenv("NETWORK_LOG"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (log < 0 || write(log, line, length) != length) abort();
    close(log);
    return 1;
}

static int is_refused_address(const struct sockaddr *address) {
    char host[INET6_ADDRSTRLEN] = "";
    if (address && address->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, host, sizeof host);
    if (address && address->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, host, sizeof host);
    if (!is_refused(host)) return 0;
    errno = ENETUNREACH;
    return 1;
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **result) {
    int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **) = dlsym(RTLD_NEXT, "getaddrinfo");
    return is_refused(host) ? EAI_FAIL : next(host, service, hints, result);
}

struct hostent *gethostbyname(const char *host) {
    struct hostent *(*next)(const char *) = dlsym(RTLD_NEXT, "gethostbyname");
    return is_refused(host) ? NULL : next(host);
}

int connect(int socket, const struct sockaddr *address, socklen_t length) {
    int (*next)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "connect");
    return is_refused_address(address) ? -1 : next(socket, address, length);
}

ssize_t sendto(int socket, const void *data, size_t size, int flags, const struct sockaddr *address, socklen_t length) {
    ssize_t (*next)(int, const void *, size_t, int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "sendto");
    return is_refused_address(address) ? -1 : next(socket, data, size, flags, address, length);
}

ssize_t sendmsg(int socket, const struct msghdr *message, int flags) {
    ssize_t (*next)(int, const struct msghdr *, int) = dlsym(RTLD_NEXT, "sendmsg");
    return is_refused_address(message->msg_name) ? -1 : next(socket, message, flags);
}
