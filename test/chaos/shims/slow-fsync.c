/* Makes each sync of a file take FSYNC_US microseconds longer, as a busy disk does. Loaded with LD_PRELOAD. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static int slowly(int fd, const char *name) {
  const char *longer = getenv("FSYNC_US");
  if (longer != NULL) usleep((useconds_t)atoi(longer));
  return ((int (*)(int))dlsym(RTLD_NEXT, name))(fd);
}

int fsync(int fd) { return slowly(fd, "fsync"); }
int fdatasync(int fd) { return slowly(fd, "fdatasync"); }
