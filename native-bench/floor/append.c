// Floor of the log: plain pwrite of the same bodies, sixteen at a time as a lane commits them, into
// files of 128 MiB; four are kept, the oldest is unlinked. No keys, no checksums, no transactions,
// no flush to the device: what any log in the page cache pays.
//
// usage: append BODY BODIES DIRECTORY
// prints one JSON object: seconds, bytes written, files.

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
  BODIES_PER_WRITE = 16, BODY_BYTES_MAX = 4 * 1024 * 1024, FILE_BYTES = 128 * 1024 * 1024,
  FILES_KEPT = 4, PATH_BYTES = 4096
};

static double now_seconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void name_file(char *path, const char *directory, uint64_t number) {
  snprintf(path, PATH_BYTES, "%s/floor-%llu", directory, (unsigned long long)number);
}

static int open_file(const char *directory, uint64_t number) {
  char path[PATH_BYTES];
  if (number >= FILES_KEPT) {
    name_file(path, directory, number - FILES_KEPT);
    if (unlink(path) < 0) fail(path);
  }
  name_file(path, directory, number);
  int file = open(path, O_CREAT | O_RDWR | O_TRUNC, 0600);
  if (file < 0) fail(path);
  return file;
}

int main(int count, char **arguments) {
  if (count != 4) {
    fprintf(stderr, "usage: append BODY BODIES DIRECTORY\n");
    return 2;
  }
  FILE *source = fopen(arguments[1], "rb");
  if (!source) fail(arguments[1]);
  char *batch = malloc((size_t)BODY_BYTES_MAX * BODIES_PER_WRITE);
  size_t bytes = fread(batch, 1, BODY_BYTES_MAX, source);
  fclose(source);
  for (int copy = 1; copy < BODIES_PER_WRITE; copy++) memcpy(batch + copy * bytes, batch, bytes);
  uint64_t bodies = strtoull(arguments[2], NULL, 10), files = 1, written = 0;
  int file = open_file(arguments[3], 0);
  off_t at = 0;
  double started = now_seconds();
  for (uint64_t number = 0; number < bodies; number += BODIES_PER_WRITE) {
    size_t wanted = bytes * BODIES_PER_WRITE;
    if (at + (off_t)wanted > FILE_BYTES) {
      close(file);
      file = open_file(arguments[3], files++);
      at = 0;
    }
    if (pwrite(file, batch, wanted, at) != (ssize_t)wanted) fail("pwrite");
    at += (off_t)wanted;
    written += wanted;
  }
  double seconds = now_seconds() - started;
  printf("{\"seconds\":%.6f,\"bytes\":%llu,\"files\":%llu}\n", seconds, (unsigned long long)written,
         (unsigned long long)files);
  return 0;
}
