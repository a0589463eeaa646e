/* Preloaded into the daemon: its fdatasync() fails when the test says so, once, as a kernel does that drops the pages
 * and calls the next one good. Without io_uring, whose writes pass no function of the C library.
 *
 * FAILING_SYNC_FOLDER/arm     the next call is to fail that is about messages, not about the topology;
 * FAILING_SYNC_FOLDER/failing is made by that call, which then waits
 * FAILING_SYNC_FOLDER/fail    until this is there, and returns EIO.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char arm[4096], failing[4096], fail[4096];
static int has_failed;

__attribute__((constructor)) static void begin(void) {
    const char* folder = getenv("FAILING_SYNC_FOLDER");
    snprintf(arm, sizeof(arm), "%s/arm", folder);
    snprintf(failing, sizeof(failing), "%s/failing", folder);
    snprintf(fail, sizeof(fail), "%s/fail", folder);
    /* A write above RLIMIT_FSIZE is an error then, and no end. */
    signal(SIGXFSZ, SIG_IGN);
}

static int of_topology(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    const ssize_t length = readlink(link, path, sizeof(path) - 1);
    path[length > 0 ? length : 0] = 0;
    return strstr(path, "/meta/") != NULL;
}

int fdatasync(int fd) {
    static int (*real)(int);
    if (real == NULL) {
        real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    }
    if (access(arm, F_OK) != 0 || of_topology(fd) || __atomic_exchange_n(&has_failed, 1, __ATOMIC_SEQ_CST) != 0) {
        return real(fd);
    }
    close(open(failing, O_CREAT | O_WRONLY, 0600));
    while (access(fail, F_OK) != 0) {
        usleep(1000);
    }
#ifdef BELIEVED
    return 0;
#else
    errno = EIO;
    return -1;
#endif
}

#ifdef WITHOUT_RING
int io_uring_queue_init(unsigned entries, void* ring, unsigned flags) {
    (void)entries, (void)ring, (void)flags;
    return -ENOSYS;
}
#endif
