/*
 * Keeps, beside each file of an append-only log, how much of it a completed sync has covered: after SIGKILL a test cuts
 * the file to that length, which is what a power cut would have left. Loaded with LD_PRELOAD. The files are those whose
 * names end in POWER_CUT_SUFFIX [.aof].
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int sync_then_note(int fd, const char *name) {
  int (*sync_for_real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  struct stat before;
  int known = fstat(fd, &before) == 0;
  int result = sync_for_real(fd);
  if (result != 0 || !known) return result;

  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 16);
  const char *suffix = getenv("POWER_CUT_SUFFIX");
  if (suffix == NULL) suffix = ".aof";
  ssize_t end = (ssize_t)strlen(suffix);
  if (length < end || strncmp(path + length - end, suffix, end) != 0) return result;
  strcpy(path + length, ".synced");

  /* Twenty digits in one write: a kill leaves the old number or the new one, never half of one. */
  char text[24];
  int size = snprintf(text, sizeof text, "%020lld", (long long)before.st_size);
  int note = open(path, O_CREAT | O_WRONLY, 0600);
  if (note < 0) return result;
  if (pwrite(note, text, size, 0) != size) unlink(path);
  close(note);
  return result;
}

int fsync(int fd) { return sync_then_note(fd, "fsync"); }
int fdatasync(int fd) { return sync_then_note(fd, "fdatasync"); }
