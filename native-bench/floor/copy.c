// Floor of moving payloads: memcpy of the same body into a region of the size of a lane's ring,
// over and over. Nothing that hands bodies from one thread to another can be faster.
//
// usage: copy BODY BODIES
// prints one JSON object: seconds, and a hash of what was copied.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { REGION_BYTES = 64 * 1024 * 1024, TOUCHED_BYTES = 16 * 1024 * 1024 };  // ring, its credit

static double now_seconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

int main(int count, char **arguments) {
  if (count != 3) {
    fprintf(stderr, "usage: copy BODY BODIES\n");
    return 2;
  }
  static char body[REGION_BYTES], region[REGION_BYTES];
  FILE *file = fopen(arguments[1], "rb");
  if (!file) {
    perror(arguments[1]);
    return 1;
  }
  size_t bytes = fread(body, 1, TOUCHED_BYTES, file), at = 0;
  fclose(file);
  uint64_t bodies = strtoull(arguments[2], NULL, 10), hash = 0;
  double started = now_seconds();
  for (uint64_t number = 0; number < bodies; number++) {
    if (at + bytes > TOUCHED_BYTES) at = 0;
    memcpy(region + at, body, bytes);
    hash = hash * 31 + (unsigned char)region[at + number % bytes];  // or the copy could be left out
    at += bytes;
  }
  printf("{\"seconds\":%.6f,\"hash\":\"%016llx\"}\n", now_seconds() - started,
         (unsigned long long)hash);
  return 0;
}
